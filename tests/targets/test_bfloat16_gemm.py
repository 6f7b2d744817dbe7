"""Products of bfloat16 numbers equal their reference bit for bit."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.targets.host import CPUINFO, cpu_flags
from octavo.targets.instructions import ISAS
from octavo.targets.kernel import Slower
from octavo.targets.kernels.bfloat16_gemm import Bfloat16Gemm
from octavo.targets.library import select
from octavo.targets.ops.bfloat16_conv import (
    TO_ODD,
    Bfloat16Conv,
    add_pairs,
    add_to_odd,
    bfloat16_conv,
    flush,
    reference,
    round_bfloat16,
    widen_bfloat16,
)
from octavo.targets.ops.conv import Conv, Placement
from octavo.targets.ops.work import macs, touched

KERNEL = Bfloat16Gemm()
ISA = ISAS["avx512_bf16"]
PAD = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}

needs_bfloat16 = pytest.mark.skipif(
    "avx512_bf16" not in cpu_flags(CPUINFO), reason="this CPU does not multiply bfloat16")

SHAPES = {
    "matrix product": Bfloat16Conv(1, 1, 5, 70, 10),
    "large matrix product": Bfloat16Conv(1, 1, 50, 192, 96),
    "odd channels": Bfloat16Conv(1, 4, 5, 35, 17),
    "one channel": Bfloat16Conv(1, 6, 7, 1, 20, 3, 3, **PAD),
    "one channel, a whole vector of pixels": Bfloat16Conv(1, 3, 33, 1, 20, 1, 3),
    "seven channels": Bfloat16Conv(1, 3, 21, 7, 20, 3, 3, **PAD),
    "first layer": Bfloat16Conv(1, 19, 17, 3, 32, 3, 3, 2, 2, **PAD),
    "3x3": Bfloat16Conv(1, 9, 7, 6, 24, 3, 3, **PAD),
    "1x1 strided": Bfloat16Conv(2, 7, 9, 34, 40, stride_h=2, stride_w=2),
    "1x1 strided, odd": Bfloat16Conv(1, 7, 9, 21, 16, stride_h=3, stride_w=2),
    "strided, dilated": Bfloat16Conv(1, 9, 7, 5, 10, 3, 3, 2, 2, 2, 2, pad_left=2),
    "pixels left out": Bfloat16Conv(
        1, 9, 8, 5, 20, 3, 3, pad_top=-1, pad_right=-2, pad_left=1),
    "pixels left out of even channels": Bfloat16Conv(1, 9, 8, 6, 20, pad_top=-1, pad_left=-3),
    "batch and groups": Bfloat16Conv(2, 6, 6, 8, 20, 3, 3, groups=2, **PAD),
    "more pixels than a tile": Bfloat16Conv(1, 21, 23, 6, 33, 3, 3, **PAD),
    "residual": Bfloat16Conv(1, 5, 6, 40, 48, residual=True),
    "slice of a wider tensor": Bfloat16Conv(1, 5, 4, 6, 20, 3, 3, in_pixel_stride=11, **PAD),
    "dense slice": Bfloat16Conv(1, 5, 4, 33, 20, in_pixel_stride=50),
    "enough elements for threads": Bfloat16Conv(1, 1, 300, 130, 16),
    "interleaved output": Bfloat16Conv(
        1, 5, 4, 8, 16, 2, 2, placement=Placement(8, 8, 2, 2, 1, 1)),
}  # fmt: skip


def make_arrays(op, rng, spread=2.0):
    """Random operands; ``spread`` widens their exponents."""

    def floats(*shape):
        values = rng.normal(size=shape) * np.exp2(rng.uniform(-spread, spread, shape))
        return values.astype(np.float32)

    return {
        "x": floats(op.batch, op.in_h, op.in_w, op.in_c),
        "weight": floats(op.out_c, op.kernel_h, op.kernel_w, op.group_in),
        "bias": floats(op.out_c),
        "limits": np.array([-1.5, np.inf], np.float32),
        "residual": floats(op.batch, op.out_h, op.out_w, op.out_c),
    }


def as_stored(op, x):
    """Input pixels where the operation finds them, NaN in between."""
    stored = np.full(op.batch * op.in_h * op.in_w * op.in_pixel, np.nan, np.float32)
    stored.reshape(-1, op.in_pixel)[:, : op.in_c] = x.reshape(-1, op.in_c)
    return stored[: op.in_elements]


def run(run_kernel, op, arrays, kernel=KERNEL, isa=ISA):
    inputs = [as_stored(op, arrays["x"])] + ([arrays["residual"]] if op.residual else [])
    y = np.zeros((op.batch, op.full_h, op.full_w, op.out_c), np.float32)
    result = run_kernel(kernel, op, isa, inputs, arrays, y)
    place = op.placement
    written = result[:, place.offset_h :: place.step_h, place.offset_w :: place.step_w]
    return written[:, : op.out_h, : op.out_w]


def assert_same_bits(result, expected):
    np.testing.assert_array_equal(result.view(np.uint32), expected.view(np.uint32))


@needs_bfloat16
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_match_the_reference(run_kernel, name):
    op = SHAPES[name]
    arrays = make_arrays(op, np.random.default_rng(1))
    assert_same_bits(run(run_kernel, op, arrays), reference(op, arrays))


@needs_bfloat16
@pytest.mark.parametrize("channels", [15, 16, 17, 63, 64, 65])
def test_channels_around_the_vector_width(run_kernel, channels):
    op = Bfloat16Conv(1, 3, 3, channels, channels)
    arrays = make_arrays(op, np.random.default_rng(3))
    assert_same_bits(run(run_kernel, op, arrays), reference(op, arrays))


@needs_bfloat16
@pytest.mark.parametrize(("spread", "scale"), [(70.0, 1.0), (3.0, 2.0**-64)])
def test_numbers_around_the_largest_and_the_smallest(run_kernel, spread, scale):
    """Sums become infinite; denormals count as zeros everywhere."""
    op = Bfloat16Conv(1, 8, 8, 6, 32)
    arrays = make_arrays(op, np.random.default_rng(4), spread)
    for name, factor in {"x": scale, "weight": scale, "bias": scale**2}.items():
        arrays[name] = (arrays[name] * factor).astype(np.float32)
    arrays["limits"] = np.array([-np.inf, np.inf], np.float32)
    expected = reference(op, arrays)
    assert np.isinf(expected).any() == (scale == 1)
    assert (expected == 0).any() == (scale < 1)
    assert_same_bits(run(run_kernel, op, arrays), expected)


@needs_bfloat16
def test_all_schedules_give_the_same_bits(run_kernel):
    op = Bfloat16Conv(1, 14, 14, 32, 48, 3, 3, **PAD)
    arrays = make_arrays(op, np.random.default_rng(5))
    expected = reference(op, arrays)
    schedules = KERNEL.schedules(op, ISA)
    assert len(schedules) > 3
    for schedule in (schedules[0], schedules[len(schedules) // 2], schedules[-1]):
        result = run(run_kernel, op, arrays, KERNEL.with_schedule(schedule))
        assert_same_bits(result, expected)


@needs_bfloat16
def test_infinite_neighbours_do_not_spoil_other_pixels(run_kernel):
    """What is read behind an odd number of channels is not multiplied with."""
    op = Bfloat16Conv(1, 4, 4, 3, 16)
    arrays = make_arrays(op, np.random.default_rng(6))
    arrays["x"][0, 1, 1] = np.inf
    arrays["weight"] = np.abs(arrays["weight"])
    result = run(run_kernel, op, arrays)
    assert np.isinf(result[0, 1, 1]).all()
    assert np.isfinite(np.delete(result.reshape(16, 16), 5, axis=0)).all()


def test_rounding_is_to_nearest_and_half_to_even():
    one = 0x3F800000
    bits = [one, one + 0x7FFF, one + 0x8000, one + 0x8001, one + 0x18000, 0x7F7FFFFF,
            0x807FFFFF, 1, 0x7F800000, 0x7F800001]  # fmt: skip
    expected = [0x3F80, 0x3F80, 0x3F80, 0x3F81, 0x3F82, 0x7F80, 0x8000, 0, 0x7F80, 0x7FC0]
    found = round_bfloat16(np.array(bits, np.uint32).view(np.float32))
    np.testing.assert_array_equal(found, np.array(expected, np.uint16))
    assert widen_bfloat16(found)[2] == 1.0


def test_pairs_are_added_second_product_first():
    """2**24 + 1 rounds to 2**24, so that the order is seen."""
    big, one = np.float32(2.0**24), np.float32(1)
    a = round_bfloat16(np.array([-big, one]))
    ones = round_bfloat16(np.array([one, one]))
    assert add_pairs(np.array(big), a, ones) == 0
    assert add_pairs(np.array(big), a[::-1].copy(), ones) == 1


@settings(max_examples=300, deadline=None)
@given(*[st.floats(width=32, allow_nan=False, allow_infinity=False)] * 2, st.integers(0, 40))
def test_sums_to_odd_are_the_odd_neighbour_where_they_are_not_exact(a, b, shift):
    """Of numbers of like and of distant sizes, against exact fractions."""
    small = np.float32(b) * np.float32(2.0**-shift)
    found = float(add_to_odd(np.array([a], np.float32), np.array([small]))[0])
    exact = Fraction(a) + Fraction(float(small))
    if abs(exact) < Fraction(2) ** -126:
        assert found == 0
    elif abs(exact) >= Fraction(2) ** 128:
        assert np.isinf(found)
    else:
        step = Fraction(2) ** (math.frexp(found)[1] - 24)
        assert abs(exact - Fraction(found)) < step
        if Fraction(found) != exact:
            assert np.float32(found).view(np.uint32) % 2 == 1


def test_pairs_to_odd_are_summed_before_they_are_added():
    """1 + 2**-30 is cut to 1 with an odd last bit; then 1 is taken away."""
    a = round_bfloat16(np.array([1, 2.0**-30], np.float32))
    ones = round_bfloat16(np.ones(2, np.float32))
    assert add_pairs(np.array(np.float32(-1)), a, ones, TO_ODD) == 2.0**-23
    assert add_pairs(np.array(np.float32(-1)), a, ones) == 0


def test_denormals_are_zeros_of_their_sign():
    tiny = np.array([1e-40, -1e-40], np.float32)
    np.testing.assert_array_equal(flush(tiny).view(np.uint32), [0, 0x80000000])


def test_a_float_convolution_becomes_one_of_bfloat16():
    op = Conv(2, 5, 6, 8, 16, 3, 3, dtype="float32", residual=True, **PAD)
    rounded = bfloat16_conv(op)
    assert type(rounded) is Bfloat16Conv
    assert (macs(rounded), touched(rounded)) == (macs(op), touched(op))
    assert rounded.residual
    assert {select(rounded, ISAS[name]).name for name in ("avx512_bf16", "amx_int8")} == {
        "bfloat16_gemm"}
    with pytest.raises(ValueError, match="uint8"):
        bfloat16_conv(Conv(1, 1, 1, 4, 4))
    with pytest.raises(ValueError, match="exact"):
        bfloat16_conv(op, "exact")


def test_what_cannot_be_multiplied_is_refused():
    op = Bfloat16Conv(1, 5, 5, 9, 9, 3, 3, groups=9)
    assert "pairs" in KERNEL.reject(op, ISA)
    assert "avx512_vbmi" in KERNEL.reject(SHAPES["3x3"], ISAS["avx512_vbmi"])
    assert "fused" in KERNEL.reject(SHAPES["3x3"], ISAS["arm64_i8mm"])


def test_a_single_channel_wins_nothing():
    """Twice the products at twice the rate, and the rounding on top."""
    assert isinstance(KERNEL.reject(SHAPES["one channel"], ISA), Slower)


def test_what_is_computed_in_vain_is_told():
    padding = KERNEL.padding(SHAPES["first layer"], ISA)
    inputs = {p.axis: (p.wanted, p.computed) for p in padding}
    assert inputs["input channels"] == (9, 12)
    assert inputs["output channels"] == (32, 32)
