"""Line by line convolution equals the reference bit for bit, and leaves padding out."""

from dataclasses import replace

import numpy as np
import pytest

from octavo.targets.host import CPUINFO, cpu_flags
from octavo.targets.instructions import ISAS
from octavo.targets.isa import Isa
from octavo.targets.kernels.conv_lines import ConvLines
from octavo.targets.kernels.line_taps import LineTaps, taps_inside
from octavo.targets.ops.conv import Conv, Placement, reference
from octavo.targets.ops.requantize import Requantize, dyadic
from octavo.targets.x86.saturating_pack import X86Isa

KERNEL = ConvLines(min_saving=-100.0)  # also where another kernel would be faster
PAD = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}
WIDE = {"pad_top": 2, "pad_left": 2, "pad_bottom": 2, "pad_right": 2}
ROWS = Requantize(residual="uint8")

# Sizes are few; channels are around the vector widths of 4, 8 and 16 lanes.
OPS = {
    "3x3 of 4x4": Conv(1, 4, 4, 16, 48, 3, 3, **PAD),
    "residual": Conv(1, 4, 4, 16, 48, 3, 3, requantize=ROWS, **PAD),
    "one more channel": Conv(1, 4, 4, 4, 49, 3, 3, **PAD),
    "one channel less": Conv(1, 4, 4, 4, 47, 3, 3, **PAD),
    "few channels": Conv(1, 4, 3, 4, 3, 3, 3, **PAD),
    "several panels": Conv(1, 5, 7, 8, 120, 3, 3, **PAD),
    "batch": Conv(3, 4, 3, 8, 16, 3, 3, **PAD),
    "batch, strided": Conv(2, 7, 6, 8, 16, 3, 3, 2, 2, **PAD),
    "strided": Conv(1, 8, 9, 8, 24, 3, 3, 2, 2, **PAD),
    "strides and dilations": Conv(1, 9, 9, 4, 16, 3, 3, 2, 3, 2, 2, **WIDE),
    "one side": Conv(1, 5, 5, 8, 16, 3, 3, pad_bottom=1, pad_right=2),
    "columns only": Conv(1, 3, 4, 8, 16, 1, 5, pad_left=2, pad_right=2),
    "rows only": Conv(1, 4, 3, 8, 16, 4, 1, pad_top=2, pad_bottom=1),
    "a kernel larger than the image": Conv(1, 2, 3, 8, 16, 5, 5, **WIDE),
    "one pixel": Conv(1, 1, 1, 8, 16, 3, 3, **PAD),
    "outputs that see padding only": Conv(1, 2, 2, 4, 16, 1, 1, **WIDE),
    "dilation past the image": Conv(1, 3, 3, 4, 16, 3, 3, dilation_h=3, dilation_w=3,
                                    pad_top=3, pad_left=3, pad_bottom=3, pad_right=3),
    "many steps": Conv(1, 2, 4, 192, 33, 3, 3, **PAD),
    "parallel": Conv(1, 7, 7, 160, 160, 3, 3, **PAD),
    "table": Conv(1, 4, 4, 8, 20, 3, 3, requantize=Requantize(has_table=True), **PAD),
    "signed result": Conv(1, 4, 4, 8, 20, 3, 3, requantize=Requantize(dtype="int8"), **PAD),
    "dyadic": Conv(1, 4, 4, 8, 20, 3, 3, requantize=Requantize(mode="dyadic"), **PAD),
    "zero point 0": Conv(1, 5, 4, 8, 20, 3, 3, has_zero_point=False, **PAD),
    "float result": Conv(1, 4, 4, 8, 20, 3, 3, requantize=Requantize(dtype="float32"), **PAD),
}  # fmt: skip


def here(isa):
    """Whether this machine runs the instructions."""
    words = {"sse4.2": "sse4_2", "avxvnni": "avx_vnni", "avx512vnni": "avx512_vnni",
             "avx512bf16": "avx512_bf16"}  # fmt: skip
    names = {words.get(name, name) for name in isa.features}
    return isinstance(isa, X86Isa) and names <= cpu_flags(CPUINFO)


@pytest.fixture(params=[isa for isa in ISAS.values() if isinstance(isa, X86Isa) or
                        isa == Isa()], ids=lambda isa: isa.name)  # fmt: skip
def isa(request):
    """Every variant that this machine runs."""
    if request.param != Isa() and not here(replace(request.param, tiles=None)):
        pytest.skip("this CPU lacks the instructions")
    return request.param


def make_arrays(op, rng, zero_point=117):
    taps = op.kernel_h * op.kernel_w * op.group_in
    scale = rng.uniform(0.5, 1.5, op.out_c) * 40 / (70 * 75 * np.sqrt(taps))
    significand, shift = dyadic(scale)
    out = (op.batch, op.out_h, op.out_w, op.out_c)
    low, high = (3, 250) if op.requantize.dtype == "uint8" else (-120, 119)
    return {
        "x": rng.integers(0, 256, (op.batch, op.in_h, op.in_w, op.in_c)).astype(np.uint8),
        "weight": rng.integers(
            -127, 128, (op.out_c, op.kernel_h, op.kernel_w, op.in_c)).astype(np.int8),
        "bias": rng.integers(-1000, 1000, op.out_c).astype(np.int32),
        "zero_point": np.array([zero_point if op.has_zero_point else 0], np.int32),
        "multiplier": scale.astype(np.float32),
        "significand": significand,
        "shift": shift,
        "params": np.array([(low + high) // 2, low, high, 99], np.int32),
        "residual": rng.integers(0, 256, out).astype(np.uint8),
        "residual_multiplier": np.array([0.37], np.float32),
        "table": rng.permutation(256).astype(np.uint8),
    }  # fmt: skip


def run(run_kernel, op, isa, arrays, x=None):
    inputs = [arrays["x"] if x is None else x]
    inputs += [arrays["residual"]] if op.requantize.residual else []
    y = np.zeros((op.batch, op.full_h, op.full_w, op.out_c), op.requantize.dtype)
    return run_kernel(KERNEL, op, isa, inputs, arrays, y)


@pytest.mark.parametrize("name", OPS)
def test_every_shape_matches_the_reference(run_kernel, isa, name):
    op = OPS[name]
    arrays = make_arrays(op, np.random.default_rng(1))
    result = run(run_kernel, op, isa, arrays)
    np.testing.assert_array_equal(result, reference(op, arrays))


@pytest.mark.parametrize("zero_point", [0, 255])
def test_padding_counts_as_the_zero_point(run_kernel, isa, zero_point):
    op = OPS["a kernel larger than the image"]
    arrays = make_arrays(op, np.random.default_rng(2), zero_point)
    result = run(run_kernel, op, isa, arrays)
    np.testing.assert_array_equal(result, reference(op, arrays))


def test_outputs_may_interleave(run_kernel, isa):
    op = Conv(1, 4, 3, 8, 16, 3, 3, placement=Placement(8, 8, 2, 2, 1, 1), **PAD)
    arrays = make_arrays(op, np.random.default_rng(3))
    result = run(run_kernel, op, isa, arrays)
    np.testing.assert_array_equal(result[:, 1::2, 1::2][:, :4, :3], reference(op, arrays))


def test_a_slice_of_wider_pixels_is_read(run_kernel, isa):
    op = Conv(1, 4, 3, 8, 16, 3, 3, in_pixel_stride=21, **PAD)
    arrays = make_arrays(op, np.random.default_rng(4))
    wide = np.full((12, 21), 255, np.uint8)
    wide[:, :8] = arrays["x"].reshape(12, 8)
    result = run(run_kernel, op, isa, arrays, wide.reshape(-1)[: op.in_elements])
    np.testing.assert_array_equal(result, reference(replace(op, in_pixel_stride=0), arrays))


def test_taps_inside_are_those_whose_positions_are():
    rng = np.random.default_rng(5)
    for _ in range(500):
        taps, stride, dilation, size = (int(n) for n in rng.integers(1, 7, 4))
        position, pad = int(rng.integers(0, 9)), int(rng.integers(0, 9))
        low, high = taps_inside(position, taps, stride, dilation, pad, size)
        expected = [
            tap for tap in range(taps)
            if 0 <= position * stride + tap * dilation - pad < size]  # fmt: skip
        assert list(range(low, high)) == expected


def test_products_with_padding_are_left_out():
    """100 of 144 taps of a 3x3 convolution of a 4x4 image are inside."""
    taps = LineTaps(OPS["3x3 of 4x4"])
    columns = sum(len(taps.inside(kw)) for kw in range(3))
    assert (taps.rows_of_taps, columns) == (10, 10)


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (Conv(1, 4, 4, 64, 48, 3, 3, **PAD), ""),
        (Conv(1, 4, 4, 48, 48, 3, 3, **PAD), "48 channels are short"),
        (Conv(1, 7, 7, 512, 512, 3, 3, **PAD), ""),
        (Conv(1, 4, 4, 16, 48, 3, 3), "no padding"),
        (Conv(1, 4, 4, 16, 48, 3, 3, pad_top=1, pad_left=-1), "no padding"),
        (Conv(1, 4, 4, 16, 48, 3, 3, groups=4, **PAD), "in 4 groups are not whole steps"),
        (Conv(1, 4, 4, 6, 48, 3, 3, **PAD), "6 channels in 1 groups are not whole steps"),
        (Conv(1, 4, 4, 16, 48, 3, 3, dtype="int8", **PAD), "int8 activations"),
        (Conv(1, 28, 28, 64, 48, 3, 3, **PAD), "small part"),
        (Conv(1, 56, 56, 16, 48, 3, 3, **PAD), "do not fit the registers"),
    ],
)  # fmt: skip
def test_large_images_and_other_operations_are_left_to_others(op, reason):
    found = ConvLines().reject(op, ISAS["avx512_vbmi"])
    assert reason in found
    assert bool(reason) == bool(found)


@pytest.mark.parametrize("field", ["block_rows", "block_registers", "group_steps"])
def test_instructions_for_several_pixels_or_steps_are_left_alone(field):
    isa = replace(ISAS["avx512_vbmi"], **{field: 2})
    assert "one pixel and one step" in KERNEL.reject(OPS["3x3 of 4x4"], isa)


def test_one_bias_is_enough_without_a_zero_point():
    op = Conv(1, 4, 4, 16, 48, 3, 3, **PAD)
    arrays = make_arrays(op, np.random.default_rng(6), zero_point=0)
    sizes = [
        KERNEL.constants(replace(op, has_zero_point=flag), Isa(), arrays)[1].size
        for flag in (True, False)]
    assert sizes == [LineTaps(op).num_classes * 48, 48]
    assert sizes[0] > sizes[1]
