"""Implicit-GEMM convolution equals its reference bit for bit on every variant."""

from dataclasses import replace

import numpy as np
import pytest

from octavo.targets.host import CPUINFO, cpu_flags
from octavo.targets.instructions import ISAS
from octavo.targets.isa import Isa
from octavo.targets.kernels.conv_gemm import ConvGemm
from octavo.targets.ops.conv import Conv, Placement, accumulate, reference
from octavo.targets.ops.requantize import Requantize, dyadic
from octavo.targets.ops.result_range import largest_result
from octavo.targets.x86.saturating_pack import X86Isa

PAD = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}
KERNEL = ConvGemm()

# /proc/cpuinfo's words for the features of each variant.
AVX512 = {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
NEEDED_FLAGS = {
    "generic": {"sse4_2"},
    "sse41": {"sse4_2"},
    "avx2": {"avx2", "fma"},
    "avx_vnni": {"avx2", "fma", "avx_vnni"},
    "avx512_vnni": {*AVX512, "avx512_vnni"},
    "avx512_vbmi": {*AVX512, "avx512_vnni", "avx512vbmi"},
    "amx_int8": {*AVX512, "avx512_vnni", "avx512vbmi"},  # this kernel leaves tiles alone
}

SHAPES = {
    "3x3 of 5 channels": Conv(1, 9, 7, 5, 24, 3, 3, **PAD),
    "strided, dilated": Conv(1, 9, 7, 5, 10, 3, 3, 2, 2, 2, 2, pad_left=2),
    "batch and groups": Conv(2, 6, 6, 8, 20, 3, 3, groups=2, **PAD),
    "more pixels than a tile": Conv(1, 21, 23, 6, 33, 3, 3, **PAD),
    "strided batch": Conv(3, 9, 19, 8, 16, 3, 3, 2, 2, **PAD),
    "matrix product": Conv(1, 1, 5, 70, 10),
    "one pixel": Conv(1, 1, 1, 33, 70),
    "interleaved output": Conv(
        1, 5, 4, 8, 16, 2, 2, placement=Placement(8, 8, 2, 2, 1, 1)),
}  # fmt: skip
EPILOGUES = {
    "uint8": Requantize(),
    "int8": Requantize(dtype="int8"),
    "residual": Requantize(residual="uint8"),
    "signed residual, table": Requantize(residual="int8", dtype="int8", has_table=True),
    "table": Requantize(has_table=True),
    "saturated": Requantize(has_limits=False),
    "saturated, from 0": Requantize(has_limits=False, has_zero_point=False),
    "signed, saturated, residual": Requantize(
        dtype="int8", residual="uint8", has_limits=False, has_zero_point=False),
    "limits around 0": Requantize(dtype="int8", has_zero_point=False),
    "dyadic": Requantize(mode="dyadic"),
    "dyadic, residual, table": Requantize(mode="dyadic", residual="int8", has_table=True),
    "dequantize": Requantize(dtype="float32"),
}


@pytest.fixture(params=NEEDED_FLAGS)
def any_isa(request):
    """Every variant of the library."""
    missing = NEEDED_FLAGS[request.param] - cpu_flags(CPUINFO)
    if missing:
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}")
    return ISAS[request.param]


def test_every_variant_is_tested():
    assert set(NEEDED_FLAGS) == {
        isa.name for isa in ISAS.values() if isinstance(isa, X86Isa) or isa == Isa()}


def make_arrays(op, rng, zero_point=117, spread=1.0):
    """Random operands whose results fill the output; ``spread`` widens the multipliers."""
    taps = op.kernel_h * op.kernel_w * op.group_in
    scale = rng.uniform(0.5, 1.5, op.out_c) * 40 / (70 * 75 * np.sqrt(taps))
    multiplier = np.clip(
        scale * np.exp2(rng.uniform(-spread, spread, op.out_c)), 2.0**-40, 2.0**20)
    significand, shift = dyadic(multiplier)
    out = (op.batch, op.out_h, op.out_w, op.out_c)
    low, high = (3, 250) if op.requantize.dtype == "uint8" else (-120, 119)
    if not op.requantize.has_limits:
        low, high = (0, 255) if op.requantize.dtype == "uint8" else (-128, 127)
    zero_out = (low + high) // 2 if op.requantize.has_zero_point else 0
    return {
        "x": rng.integers(0, 256, (op.batch, op.in_h, op.in_w, op.in_c)).astype(np.uint8),
        "weight": rng.integers(
            -127, 128, (op.out_c, op.kernel_h, op.kernel_w, op.group_in)).astype(np.int8),
        "bias": rng.integers(-1000, 1000, op.out_c).astype(np.int32),
        "zero_point": np.array([zero_point], np.int32),
        "multiplier": multiplier.astype(np.float32),
        "significand": significand,
        "shift": shift,
        "params": np.array([zero_out, low, high, 99], np.int32),
        "residual": rng.integers(0, 256, out).astype(np.uint8).view(
            op.requantize.residual or "uint8"),
        "residual_multiplier": np.array([0.37], np.float32),
        "residual_significand": np.rint(0.37 * 2.0 ** np.minimum(shift, 50)).astype(np.int64),
        "table": rng.permutation(256).astype(np.uint8).view(
            op.requantize.dtype if op.requantize.dtype != "float32" else "uint8"),
    }  # fmt: skip


def run(run_kernel, op, isa, arrays):
    inputs = [arrays["x"]] + ([arrays["residual"]] if op.requantize.residual else [])
    shape = (op.batch, op.full_h, op.full_w, op.out_c)
    y = np.zeros(shape, op.requantize.dtype)
    return run_kernel(KERNEL, op, isa, inputs, arrays, y)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_match_the_reference(run_kernel, any_isa, name):
    op = SHAPES[name]
    arrays = make_arrays(op, np.random.default_rng(1))
    result = run(run_kernel, op, any_isa, arrays)
    place = op.placement
    written = result[:, place.offset_h :: place.step_h, place.offset_w :: place.step_w]
    written = written[:, : op.out_h, : op.out_w]
    np.testing.assert_array_equal(written, reference(op, arrays))


@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues_match_the_reference(run_kernel, any_isa, name):
    op = Conv(1, 3, 5, 16, 2 * any_isa.lanes + 5, requantize=EPILOGUES[name])
    arrays = make_arrays(op, np.random.default_rng(2))
    np.testing.assert_array_equal(run(run_kernel, op, any_isa, arrays), reference(op, arrays))


@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues_of_pixels_without_gaps_match_the_reference(run_kernel, any_isa, name):
    """Vectors of several pixels are joined; the last tile moves back over its neighbour."""
    op = Conv(1, 3, 7, 16, 3 * any_isa.lanes, requantize=EPILOGUES[name])
    arrays = make_arrays(op, np.random.default_rng(7))
    np.testing.assert_array_equal(run(run_kernel, op, any_isa, arrays), reference(op, arrays))


@pytest.mark.parametrize("delta", [-1, 0, 1])
@pytest.mark.parametrize("vectors", [1, 4, 5])
def test_channels_around_the_vector_width(run_kernel, any_isa, vectors, delta):
    op = Conv(1, 2, 3, 4, max(vectors * any_isa.lanes + delta, 1))
    arrays = make_arrays(op, np.random.default_rng(3))
    np.testing.assert_array_equal(run(run_kernel, op, any_isa, arrays), reference(op, arrays))


@pytest.mark.parametrize("zero_point", [0, 255])
@pytest.mark.parametrize("mode", ["float32", "dyadic", "tflite"])
def test_extreme_scales_and_zero_points(run_kernel, any_isa, mode, zero_point):
    """Multipliers from 2**-40 to 2**20: results saturate on both sides, or vanish."""
    op = Conv(1, 4, 4, 9, 40, 3, 3, requantize=Requantize(mode=mode), **PAD)
    arrays = make_arrays(op, np.random.default_rng(4), zero_point, spread=45.0)
    expected = reference(op, arrays)
    assert {3, 250} <= set(np.unique(expected))
    np.testing.assert_array_equal(run(run_kernel, op, any_isa, arrays), expected)


def test_the_largest_accumulators_are_exact(run_kernel, any_isa):
    """255 * 127 in every product: pairs that saturate 16 bits must not be added in them."""
    op = Conv(1, 2, 2, 64, 24, requantize=Requantize(dtype="float32"))
    arrays = make_arrays(op, np.random.default_rng(5), zero_point=0)
    arrays["x"][...] = 255
    arrays["weight"][...] = np.where(np.arange(24) % 2, 127, -127)[:, None, None, None]
    np.testing.assert_array_equal(run(run_kernel, op, any_isa, arrays), reference(op, arrays))


@pytest.mark.parametrize("taps", [(1, 40), (9, 8)])
def test_weights_below_the_narrow_range_are_exact(run_kernel, any_isa, taps):
    """Models of others have -128; a sum of two products of it does not fit 16 bits."""
    size, channels = taps
    op = Conv(1, 1, size, channels, 8, 1, size)
    arrays = make_arrays(op, np.random.default_rng(6))
    arrays["weight"][...] = -128
    arrays["x"][...] = 0
    arrays["bias"][...] = 0
    arrays["zero_point"] = np.array([255], np.int32)
    arrays["multiplier"][...] = 2.0**-15
    isa = any_isa.for_weights(-128)
    np.testing.assert_array_equal(run(run_kernel, op, isa, arrays), reference(op, arrays))


@pytest.mark.parametrize("residual", [None, "int8"])
@pytest.mark.parametrize(("dtype", "zero_point"), [
    ("int8", -128), ("int8", 3), ("int8", 0), ("uint8", 0), ("uint8", 128), ("uint8", 255)])
def test_results_of_known_range_are_rounded_alike(
    run_kernel, any_isa, dtype, zero_point, residual
):
    """Ties, products that round to ties, and the largest results for which there is a way."""
    epilogue = Requantize(dtype=dtype, has_zero_point=zero_point != 0, residual=residual,
                          has_limits=False)
    op = Conv(1, 16, 32, 24, 4 * any_isa.lanes + 1, requantize=epilogue)
    arrays = make_arrays(op, np.random.default_rng(8))
    arrays["multiplier"][:] = np.float32(2.0**-9)
    # Multiples of 3 times this are near a tie, and on it when they are rounded to float32.
    arrays["multiplier"][1::2] = np.float32(2.0**-6) / np.float32(3)
    limits = np.iinfo(dtype)
    arrays["params"][:3] = zero_point, limits.min, limits.max
    arrays["residual_multiplier"][:] = 0.5
    exact = largest_result(op, arrays)
    expected = reference(op, arrays)
    for largest in (exact, 1e9):
        isa = any_isa.for_results(largest, zero_point)
        np.testing.assert_array_equal(run(run_kernel, op, isa, arrays), expected)
    arrays["bias"][:] = np.where(np.arange(op.out_c) % 2, 1, -1) * 5_000_000
    assert 20_000 < largest_result(op, arrays) < 32_000
    isa = any_isa.for_results(largest_result(op, arrays), zero_point)
    expected = reference(op, arrays)
    np.testing.assert_array_equal(run(run_kernel, op, isa, arrays), expected)
    assert {limits.min, limits.max} == set(np.unique(expected))


@pytest.mark.parametrize("residual", [False, True])
def test_float_convolution(run_kernel, any_isa, residual):
    op = Conv(1, 6, 5, 7, 19, 3, 3, dtype="float32", residual=residual, **PAD)
    rng = np.random.default_rng(6)
    x, weight, bias, more = (
        rng.normal(size=shape).astype(np.float32)
        for shape in ((1, 6, 5, 7), (19, 3, 3, 7), (19,), (1, 6, 5, 19))
    )
    limits = np.array([-2.0, np.inf], np.float32)
    inputs = [x, more] if residual else [x]
    result = run_kernel(
        KERNEL, op, any_isa, inputs, {"weight": weight, "bias": bias, "limits": limits},
        np.zeros((1, 6, 5, 19), np.float32))
    wide = replace(op, residual=False)
    exact = accumulate(wide, x, weight, 0) + bias + (more if residual else 0)
    # Each of the 63 additions rounds once, relative to the sum of magnitudes so far.
    magnitude = accumulate(wide, np.abs(x), np.abs(weight), 0) + np.abs(bias) + 4
    bound = 2 * 65 * np.finfo(np.float32).eps * magnitude
    assert (np.abs(result - np.maximum(exact, -2.0)) <= bound).all()


def test_activations_of_another_type_are_rejected():
    op = Conv(1, 1, 1, 4, 4, dtype="int8")
    assert "int8" in KERNEL.reject(op, ISAS["avx2"])
