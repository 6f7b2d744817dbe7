"""Winograd's convolution equals the direct reference bit for bit, up to its proven bound."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.targets import test_conv_gemm
from tests.targets.test_conv_gemm import PAD, make_arrays
from tests.targets.test_machine_code import INEXACT, assembly

from octavo.targets import TARGETS
from octavo.targets.instructions import ISAS, isa_of
from octavo.targets.kernels.conv_gemm import ConvGemm
from octavo.targets.kernels.winograd import Winograd, largest_sum
from octavo.targets.kernels.winograd_layout import WinogradSchedule
from octavo.targets.kernels.winograd_transform import MAX_OUTPUT
from octavo.targets.library import select
from octavo.targets.ops.conv import Conv, Placement, reference
from octavo.targets.ops.requantize import Requantize

any_isa = test_conv_gemm.any_isa
SAMPLED = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SMALL = WinogradSchedule(2, 1, keeps_weights=True)
EPILOGUES = {
    "residual": Requantize(residual="uint8"),
    "signed residual, table": Requantize(residual="int8", dtype="int8", has_table=True),
    "saturated, from 0": Requantize(has_limits=False, has_zero_point=False),
    "dyadic": Requantize(mode="dyadic"),
    "dequantize": Requantize(dtype="float32"),
}
# Products of 16-bit integers, in the assembler's words, by target.
PRODUCTS = {
    "x86-64": r"\tpmaddwd\t.*%xmm",
    "x86-64-avx2": r"\tvpmaddwd\t.*%ymm",
    "x86-64-avxvnni": r"\tvpdpwssd\t.*%ymm",
    "x86-64-cascade-lake": r"\tvpdpwssd\t.*%zmm",
    "x86-64-avx512vnni": r"\tvpdpwssd\t.*%zmm",
}
LARGE = Conv(1, 56, 56, 64, 64, 3, 3, **PAD)
HEAVY = Conv(1, 28, 28, 128, 32, 3, 3, **PAD)


def run(run_kernel, kernel, op, isa, arrays):
    inputs = [arrays["x"]] + ([arrays["residual"]] if op.requantize.residual else [])
    y = np.zeros((op.batch, op.full_h, op.full_w, op.out_c), op.requantize.dtype)
    return run_kernel(kernel, op, isa, inputs, arrays, y)


@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues_match_the_reference(run_kernel, any_isa, name):
    op = Conv(1, 8, 8, 2 * any_isa.lanes, any_isa.lanes, 3, 3, **PAD,
              requantize=EPILOGUES[name])
    arrays = make_arrays(op, np.random.default_rng(1))
    result = run(run_kernel, Winograd(SMALL), op, any_isa, arrays)
    np.testing.assert_array_equal(result, reference(op, arrays))


@pytest.mark.parametrize("keeps_weights", [True, False])
@pytest.mark.parametrize("size", [(3, 3), (5, 11), (8, 6)])
def test_images_that_tiles_do_not_divide(run_kernel, any_isa, size, keeps_weights):
    lanes = any_isa.lanes
    op = Conv(2, *size, 4 * lanes, 2 * lanes, 3, 3, **PAD)
    arrays = make_arrays(op, np.random.default_rng(2))
    kernel = Winograd(WinogradSchedule(2, 2, keeps_weights))
    result = run(run_kernel, kernel, op, any_isa, arrays)
    np.testing.assert_array_equal(result, reference(op, arrays))


def test_slices_of_a_wider_output(run_kernel, any_isa):
    lanes = any_isa.lanes
    op = Conv(1, 6, 10, 2 * lanes, lanes, 3, 3, in_pixel_stride=2 * lanes + 3,
              placement=Placement(pixel_stride=3 * lanes))
    arrays = make_arrays(op, np.random.default_rng(3))
    x = np.full((1, 6, 10, op.in_pixel), 77, np.uint8)
    x[..., : op.in_c] = arrays["x"]
    y = np.full((1, 4, 8, op.out_pixel), 5, np.uint8)
    result = run_kernel(Winograd(SMALL), op, any_isa, [x], arrays, y)
    np.testing.assert_array_equal(result[..., :lanes], reference(op, arrays))
    assert (result[..., lanes:] == 5).all()


@SAMPLED
@given(data=st.data())
def test_any_schedule_shape_and_padding(run_kernel, isa, data):
    pads = dict(zip(PAD, data.draw(st.tuples(*[st.integers(-1, 2)] * 4)), strict=True))
    op = Conv(
        data.draw(st.integers(1, 2)), data.draw(st.integers(5, 13)),
        data.draw(st.integers(5, 13)), 2 * isa.lanes * data.draw(st.integers(1, 3)),
        isa.lanes * data.draw(st.integers(1, 4)), 3, 3, **pads)
    schedule = data.draw(st.sampled_from(Winograd().schedules(op, isa)))
    arrays = make_arrays(op, np.random.default_rng(4), data.draw(st.integers(0, 255)))
    result = run(run_kernel, Winograd(schedule), op, isa, arrays)
    np.testing.assert_array_equal(result, reference(op, arrays))


def test_signed_activations(run_kernel, any_isa):
    signed = replace(any_isa, activation_dtype="int8")
    op = Conv(1, 9, 7, 2 * any_isa.lanes, any_isa.lanes, 3, 3, dtype="int8", **PAD)
    arrays = make_arrays(op, np.random.default_rng(5), zero_point=-11)
    arrays["x"] = (arrays["x"] ^ 0x80).view(np.int8)
    result = run(run_kernel, Winograd(SMALL), op, signed, arrays)
    np.testing.assert_array_equal(result, reference(op, arrays))


def heavy_weights(total):
    """Weights of ``HEAVY`` whose channels each sum up to ``total``, all of one sign."""
    full, rest = divmod(abs(total), 127)
    row = np.zeros(9 * HEAVY.in_c, np.int8)
    row[:full], row[full] = 127, rest
    signed = row if total > 0 else -row
    return np.tile(signed.reshape(1, 3, 3, -1), (HEAVY.out_c, 1, 1, 1))


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_up_to_the_bound_are_exact(run_kernel, any_isa, sign):
    """The largest sum is 255 * (MAX_OUTPUT // 255), most sums on the way wrap around."""
    op = replace(HEAVY, requantize=Requantize(dtype="float32"))
    arrays = make_arrays(op, np.random.default_rng(6), zero_point=0)
    arrays["weight"] = heavy_weights(sign * (MAX_OUTPUT // 255))
    arrays["x"][...] = 255
    arrays["x"][:, ::3, ::5] = 0
    arrays["multiplier"] = np.ones(op.out_c, np.float32)
    expected = reference(op, arrays)
    assert abs(expected).max() > 0.999 * MAX_OUTPUT
    result = run(run_kernel, Winograd(SMALL), op, any_isa, arrays)
    np.testing.assert_array_equal(result, expected)


def test_weights_beyond_the_bound_are_rejected():
    isa = ISAS["avx512_vbmi"]
    arrays = make_arrays(HEAVY, np.random.default_rng(7))
    arrays["weight"] = heavy_weights(MAX_OUTPUT // 255)
    assert isinstance(select(HEAVY, isa, arrays), Winograd)
    arrays["weight"] = heavy_weights(MAX_OUTPUT // 255 + 1)
    assert isinstance(select(HEAVY, isa, arrays), ConvGemm)
    with pytest.raises(ValueError, match="at most 33554431 can be told apart"):
        Winograd(SMALL).constants(HEAVY, isa, arrays)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_the_largest_sum_is_that_of_the_worst_input(dtype):
    op = Conv(1, 3, 3, 5, 7, 3, 3, dtype=dtype)
    weight = make_arrays(op, np.random.default_rng(8))["weight"].astype(np.int64)
    limits = np.iinfo(dtype)
    highest = np.where(weight > 0, limits.max, limits.min)
    lowest = np.where(weight > 0, limits.min, limits.max)
    sums = [(weight * x).reshape(7, -1).sum(axis=1) for x in (highest, lowest)]
    assert largest_sum(op, weight) == max(sums[0].max(), -sums[1].min())


def test_it_is_chosen_where_it_is_faster_and_never_without_looking_at_the_weights():
    small = Conv(1, 7, 7, 512, 512, 3, 3, **PAD)
    isa = ISAS["avx512_vbmi"]
    for op, is_faster in ((LARGE, True), (small, False)):
        light = {"weight": np.ones((op.out_c, 3, 3, op.in_c), np.int8)}
        assert isinstance(select(op, isa, light), Winograd) == is_faster
        assert not isinstance(select(op, isa), Winograd)


@pytest.mark.parametrize("change", [
    {"stride_h": 2}, {"dilation_w": 2}, {"groups": 2}, {"kernel_h": 1}, {"dtype": "float32"},
    {"in_c": 72}, {"out_c": 72},
])
def test_other_convolutions_are_rejected(change):
    assert Winograd().reject(replace(LARGE, **change), ISAS["avx512_vbmi"])


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_use_the_instruction_of_the_level(name):
    isa = isa_of(TARGETS[name])
    assert Winograd().reject(LARGE, isa) == ""
    code = assembly(LARGE, TARGETS[name], Winograd())
    assert re.search(PRODUCTS[name], code)
    assert not re.search(INEXACT, code)
