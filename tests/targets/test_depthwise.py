"""Depthwise convolutions equal the convolution's reference bit for bit."""

import numpy as np
import pytest

from octavo.targets.kernels.conv_gemm import ConvGemm
from octavo.targets.kernels.depthwise import Depthwise
from octavo.targets.kernels.window import Window
from octavo.targets.library import select
from octavo.targets.ops.conv import Conv, Placement, accumulate, reference
from octavo.targets.ops.requantize import Requantize, dyadic

KERNEL = Depthwise()


def depthwise(h, w, c, kernel=(3, 3), stride=(1, 1), dilation=(1, 1), pad=None, **fields):
    if pad is None:
        pad = [d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True)] * 2
    batch = fields.pop("batch", 1)
    return Conv(batch, h, w, c, c, *kernel, *stride, *dilation, *pad, groups=c, **fields)


def make_arrays(op, seed=0, zero_point=117, multiplier=None):
    rng = np.random.default_rng(seed)
    taps = op.kernel_h * op.kernel_w
    if multiplier is None:
        multiplier = rng.uniform(0.2, 1.2, op.out_c) / (75 * np.sqrt(taps))
    multiplier = np.broadcast_to(np.asarray(multiplier, np.float32), (op.out_c,))
    significand, shift = dyadic(multiplier.astype(np.float64))
    out = (op.batch, op.full_h, op.full_w, op.out_c)
    weights = (op.out_c, op.kernel_h, op.kernel_w, 1)
    return {
        "x": rng.integers(0, 256, (op.batch, op.in_h, op.in_w, op.in_c)).astype(np.uint8),
        "weight": rng.integers(-127, 128, weights).astype(np.int8),
        "bias": rng.integers(-5000, 5000, op.out_c).astype(np.int32),
        "zero_point": np.array([zero_point], np.int32),
        "multiplier": multiplier,
        "significand": significand,
        "shift": shift,
        "params": np.array([120, 3, 250, 99], np.int32)
        if op.requantize.dtype == "uint8" else np.array([-5, -128, 127, 99], np.int32),
        "residual": rng.integers(0, 256, out).astype(np.uint8),
        "residual_multiplier": np.array([0.37], np.float32),
        "residual_significand": np.rint(np.ldexp(0.37, shift)).astype(np.int64),
        "table": rng.integers(0, 256, 256).astype(np.uint8).view(op.requantize.dtype)
        if op.requantize.dtype != "float32" else None,
    }


def run(run_kernel, op, isa, arrays):
    inputs = [arrays["x"]] + ([arrays["residual"]] if op.requantize.residual else [])
    y = np.zeros((op.batch, op.full_h, op.full_w, op.out_c), op.requantize.dtype)
    return run_kernel(KERNEL, op, isa, inputs, arrays, y)


CASES = [
    # channels around every vector width
    *[depthwise(5, 6, c)
      for c in (1, 3, 4, 5, 7, 8, 15, 16, 17, 24, 31, 40, 64, 65, 116, 144)],
    # whole registers of channels, which stay in blocks where the instructions have them
    depthwise(9, 17, 100, (5, 5), stride=(2, 3)), depthwise(10, 11, 80, dilation=(2, 3)),
    depthwise(14, 5, 70, (13, 3)), depthwise(7, 14, 130, (5, 3), pad=[0, 0, 2, 1]),
    # kernels, strides, dilations, borders that are wider than the image
    depthwise(9, 7, 20, (5, 5)), depthwise(7, 7, 20, (7, 7)), depthwise(4, 3, 20, (9, 9)),
    depthwise(6, 9, 20, (1, 3)), depthwise(6, 9, 20, (3, 1)), depthwise(6, 9, 20, (1, 1)),
    depthwise(11, 13, 20, stride=(2, 2)),
    depthwise(12, 12, 20, stride=(2, 2), pad=[0, 0, 1, 1]),
    depthwise(9, 17, 20, (5, 5), stride=(2, 3)), depthwise(9, 9, 20, pad=[0, 0, 0, 0]),
    depthwise(12, 12, 20, dilation=(2, 2)), depthwise(10, 25, 20, dilation=(6, 4)),
    depthwise(9, 40, 20, (4, 2), pad=[3, 0, 0, 1]), depthwise(3, 50, 20, stride=(1, 2)),
    depthwise(5, 5, 20, batch=3), depthwise(1, 33, 20, (1, 5)), depthwise(33, 1, 20, (4, 1)),
    depthwise(1, 40, 9, (1, 7), stride=(1, 2), dilation=(1, 2), batch=2),
    depthwise(1, 1, 20), depthwise(2, 2, 20, (3, 3), stride=(2, 2)),
]


@pytest.mark.parametrize("index", range(len(CASES)))
def test_every_geometry_equals_the_reference(run_kernel, isa, index):
    arrays = make_arrays(CASES[index], index, zero_point=(0, 117, 255)[index % 3])
    np.testing.assert_array_equal(
        run(run_kernel, CASES[index], isa, arrays), reference(CASES[index], arrays))


@pytest.mark.parametrize("mode", ["float32", "dyadic", "tflite"])
@pytest.mark.parametrize("fields", [
    {}, {"residual": "uint8"}, {"has_table": True}, {"dtype": "int8", "has_table": True}],
    ids=["plain", "residual", "table", "signed_table"])
@pytest.mark.parametrize("channels", [20, 72])
def test_every_epilogue_equals_the_reference(run_kernel, isa, mode, fields, channels):
    op = depthwise(6, 9, channels, requantize=Requantize(mode=mode, **fields))
    arrays = make_arrays(op)
    np.testing.assert_array_equal(run(run_kernel, op, isa, arrays), reference(op, arrays))


def test_an_output_can_stay_real(run_kernel, isa):
    op = depthwise(6, 9, 20, requantize=Requantize(dtype="float32"))
    arrays = make_arrays(op)
    np.testing.assert_array_equal(run(run_kernel, op, isa, arrays), reference(op, arrays))


@pytest.mark.parametrize("mode", ["float32", "dyadic", "tflite"])
@pytest.mark.parametrize("multiplier", [2.0**-40, 1.7, 900.0])
def test_extreme_multipliers_saturate(run_kernel, isa, mode, multiplier):
    op = depthwise(5, 6, 20, requantize=Requantize(mode=mode))
    arrays = make_arrays(op, multiplier=multiplier)
    np.testing.assert_array_equal(run(run_kernel, op, isa, arrays), reference(op, arrays))


def test_outputs_interleave_where_they_are_placed(run_kernel, isa):
    place = Placement(height=13, width=19, step_h=2, step_w=2, offset_h=1)
    op = depthwise(6, 9, 20, placement=place)
    arrays = make_arrays(op)
    y = run(run_kernel, op, isa, arrays)
    plain = reference(depthwise(6, 9, 20), arrays)
    np.testing.assert_array_equal(y[:, 1:13:2, 0:18:2], plain)
    assert not y[:, 0::2].any()
    assert not y[:, :, 1::2].any()


@pytest.mark.parametrize("op", [
    depthwise(9, 9, 70, dtype="float32"), depthwise(9, 9, 70, dtype="float32", residual=True),
    depthwise(7, 9, 5, (5, 5), stride=(2, 2), dtype="float32"),
    depthwise(1, 50, 20, (1, 5), dtype="float32")])
def test_float_is_close_and_an_infinity_stays_in_its_window(run_kernel, isa, op):
    rng = np.random.default_rng(0)
    out = (op.batch, op.out_h, op.out_w, op.out_c)
    arrays = {
        "x": rng.normal(size=(op.batch, op.in_h, op.in_w, op.in_c)).astype(np.float32),
        "weight": rng.normal(size=(op.out_c, op.kernel_h, op.kernel_w, 1)).astype(np.float32),
        "bias": rng.normal(size=op.out_c).astype(np.float32),
        "limits": np.array([-2, np.inf], np.float32),
        "residual": rng.normal(size=out).astype(np.float32),
    }
    arrays["x"][0, 0, 0, 0] = np.inf
    inputs = [arrays["x"]] + ([arrays["residual"]] if op.residual else [])
    y = np.zeros(out, np.float32)
    y = run_kernel(KERNEL, op, isa, inputs, arrays, y)
    with np.errstate(invalid="ignore"):
        expected = accumulate(op, arrays["x"], arrays["weight"], 0) + arrays["bias"]
    expected = np.maximum(expected + (arrays["residual"] if op.residual else 0), -2)
    finite = np.isfinite(expected)
    # At most kernel_h * kernel_w + 2 roundings of sums below taps * 5 * 5.
    taps = op.kernel_h * op.kernel_w
    assert np.abs(y[finite] - expected[finite]).max() <= (taps + 2) * 2.0**-24 * taps * 25


def test_the_library_prefers_it_and_falls_back(isas):
    assert isinstance(select(depthwise(9, 9, 16), isas[-1]), Depthwise)
    assert isinstance(select(Conv(1, 9, 9, 16, 32, groups=16), isas[-1]), ConvGemm)
    # Every tile of these is at a border, and would be code of its own for a minute of LLVM.
    assert isinstance(select(depthwise(40, 40, 384, (31, 31)), isas[-1]), ConvGemm)


@pytest.mark.parametrize("window", [
    Window(9, 9, 3, 1, 1, 1), Window(9, 5, 3, 2, 1, 1), Window(4, 4, 9, 1, 1, 4),
    Window(10, 10, 3, 1, 4, 4), Window(5, 3, 3, 1, 1, 0), Window(3, 9, 2, 1, 1, 4)])
def test_a_window_knows_its_taps(window):
    for position in range(window.out):
        start = position * window.stride - window.pad
        inside = [0 <= start + k * window.dilation < window.size for k in range(window.kernel)]
        first, end = window.valid(position)
        assert inside == [first <= k < end for k in range(window.kernel)]
        is_inner = window.num_before <= position < window.out - window.num_behind
        assert all(inside) or not is_inner
