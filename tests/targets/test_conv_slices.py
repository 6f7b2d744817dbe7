"""Convolutions read and write slices of the channels of wider tensors, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from octavo.targets.host import CPUINFO, cpu_flags
from octavo.targets.instructions import ISAS
from octavo.targets.kernels.conv_gemm import ConvGemm
from octavo.targets.kernels.conv_lines import ConvLines
from octavo.targets.kernels.depthwise import Depthwise
from octavo.targets.library import select
from octavo.targets.ops.conv import Conv, Placement, reference
from octavo.targets.ops.requantize import Requantize, dyadic

NEEDED_FLAGS = {
    "generic": {"sse4_2"},
    "avx2": {"avx2", "fma"},
    "avx512_vbmi": {"avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512vbmi"},
}
PAD = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}
GAP = 13  # channels of the wide tensors behind the slice

CASES = {
    "1x1": Conv(1, 5, 4, 24, 40),
    "1x1 strided": Conv(1, 6, 6, 17, 33, 1, 1, 2, 2),
    "3x3": Conv(1, 5, 4, 12, 20, 3, 3),
    "3x3 padded": Conv(1, 5, 4, 12, 20, 3, 3, **PAD),
    "3x3 padded, many channels": Conv(1, 5, 4, 64, 20, 3, 3, **PAD),
    "3x3 padded, long lines": Conv(1, 3, 40, 12, 20, 3, 3, **PAD),
    "groups": Conv(2, 5, 4, 8, 20, 3, 3, groups=2, **PAD),
    "interleaved": Conv(1, 5, 4, 8, 16, 2, 2, placement=Placement(8, 8, 2, 2, 1, 1)),
    "scale of each channel": Conv(1, 5, 4, 40, 40, groups=40),
    "depthwise": Conv(1, 5, 6, 40, 40, 3, 3, groups=40, **PAD),
    "depthwise strided": Conv(2, 7, 6, 19, 19, 3, 3, 2, 2, groups=19, **PAD),
}


@pytest.fixture(params=NEEDED_FLAGS)
def isa_here(request):
    missing = NEEDED_FLAGS[request.param] - cpu_flags(CPUINFO)
    if missing:
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}")
    return ISAS[request.param]


def make_arrays(op):
    rng = np.random.default_rng(0)
    multiplier = rng.uniform(0.2, 1.2, op.out_c) / (
        75 * np.sqrt(op.kernel_h * op.kernel_w * op.group_in))
    significand, shift = dyadic(multiplier)
    weights = (op.out_c, op.kernel_h, op.kernel_w, op.group_in)
    return {
        "x": rng.integers(0, 256, (op.batch, op.in_h, op.in_w, op.in_c)).astype(np.uint8),
        "weight": rng.integers(-127, 128, weights).astype(np.int8),
        "bias": rng.integers(-5000, 5000, op.out_c).astype(np.int32),
        "zero_point": np.array([117], np.int32),
        "multiplier": multiplier.astype(np.float32),
        "significand": significand,
        "shift": shift,
        "params": np.array([120, 3, 250, 99], np.int32),
    }


def widened(x, pixel, fill):
    """(N, H, W, C) as the first channels of wider pixels, without what follows the last."""
    wide = np.full((*x.shape[:3], pixel), fill, x.dtype)
    wide[..., : x.shape[3]] = x
    return wide.reshape(-1)[: (wide.size // pixel - 1) * pixel + x.shape[3]]


@pytest.mark.parametrize("mode", ["float32", "dyadic"])
@pytest.mark.parametrize("name", CASES)
def test_slices_match_the_reference(run_kernel, isa_here, name, mode):
    dense = replace(CASES[name], requantize=Requantize(mode=mode))
    place = dense.placement
    op = replace(
        dense, in_pixel_stride=dense.in_c + GAP,
        placement=replace(place, pixel_stride=dense.out_c + GAP))
    arrays = make_arrays(op)
    whole = np.full((op.batch, op.full_h, op.full_w, op.out_c), 77, np.uint8)
    expected = whole.copy()
    lines = slice(place.offset_h, place.offset_h + op.out_h * place.step_h, place.step_h)
    columns = slice(place.offset_w, place.offset_w + op.out_w * place.step_w, place.step_w)
    expected[:, lines, columns] = reference(dense, arrays)
    result = run_kernel(
        select(op, isa_here), op, isa_here, [widened(arrays["x"], op.in_pixel, 201)], arrays,
        widened(whole, op.out_pixel, 55))
    np.testing.assert_array_equal(result, widened(expected, op.out_pixel, 55))


def test_all_kernels_are_tested():
    chosen = {type(select(op, ISAS["avx2"])) for op in CASES.values()}
    assert chosen == {ConvGemm, ConvLines, Depthwise}


def test_no_stride_means_dense():
    op = Conv(2, 3, 4, 5, 6)
    assert (op.in_pixel, op.out_pixel) == (5, 6)
    assert (op.in_elements, op.out_elements) == (2 * 3 * 4 * 5, 2 * 3 * 4 * 6)
