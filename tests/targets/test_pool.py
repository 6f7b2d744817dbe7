"""Pools and reductions equal their references bit for bit."""

from dataclasses import replace

import numpy as np
import pytest

from octavo.targets.kernels.pool import AveragePoolWindows, MaxPoolWindows
from octavo.targets.kernels.reduce import ReduceAxis
from octavo.targets.ops.pool import (
    REDUCTIONS,
    AveragePool,
    MaxPool,
    Reduce,
    average_reference,
    max_reference,
    reduce_reference,
)
from octavo.targets.ops.requantize import Requantize, dyadic


def window(kind, h, w, c, kernel, stride=(1, 1), dilation=(1, 1), pad=(0, 0), extra=0,
           **fields):
    def out(n, axis):
        span = dilation[axis] * (kernel[axis] - 1) + 1
        return (n + 2 * pad[axis] + extra - span) // stride[axis] + 1

    return kind(
        batch=fields.pop("batch", 1), in_h=h, in_w=w, channels=c, out_h=out(h, 0),
        out_w=out(w, 1), kernel_h=kernel[0], kernel_w=kernel[1], stride_h=stride[0],
        stride_w=stride[1], dilation_h=dilation[0], dilation_w=dilation[1], pad_top=pad[0],
        pad_left=pad[1], pad_bottom=pad[0], pad_right=pad[1], **fields)


def constants(random_array, rng, op, count, scale, zero_point=77):
    multiplier = rng.uniform(0.5, 1.1, count) * scale
    significand, shift = dyadic(multiplier)
    signed = op.requantize.dtype == "int8"
    return {
        "zero_point": np.array([zero_point], np.int32),
        "multiplier": multiplier.astype(np.float32),
        "significand": significand,
        "shift": shift,
        "params": np.array([-10, -128, 120, 0] if signed else [100, 2, 250, 0], np.int32),
        "table": random_array(rng, op.requantize.dtype, 256),
    }


GEOMETRIES = [
    *[(6, 7, c, (3, 3), (2, 2), (1, 1), (1, 1), 0)
      for c in (1, 3, 4, 15, 16, 17, 63, 64, 65, 130)],
    (9, 9, 20, (2, 2), (2, 2), (1, 1), (0, 0), 1),  # ceil_mode: the last windows are shorter
    (13, 11, 20, (5, 3), (1, 1), (1, 1), (2, 1), 0),
    (13, 13, 20, (13, 13), (1, 1), (1, 1), (6, 6), 0),
    (9, 12, 33, (3, 3), (1, 2), (2, 3), (2, 3), 0),
    (1, 30, 8, (1, 4), (1, 3), (1, 1), (0, 2), 0),
    (5, 5, 16, (7, 7), (1, 1), (1, 1), (3, 3), 0),
    (40, 40, 24, (3, 3), (1, 1), (1, 1), (1, 1), 0),
]


@pytest.mark.parametrize("index", range(len(GEOMETRIES)))
def test_max_pool_equals_the_reference(run_kernel, random_array, isa, index):
    for dtype in ("uint8", "int8", "float32")[index % 3 :: 2]:
        op = window(MaxPool, *GEOMETRIES[index], dtype=dtype, batch=1 + index % 2)
        shape = (op.batch, op.in_h, op.in_w, op.channels)
        x = np.nan_to_num(random_array(np.random.default_rng(index), dtype, np.prod(shape)))
        x = x.reshape(shape).astype(dtype)
        y = np.zeros((op.batch, op.out_h, op.out_w, op.channels), dtype)
        y = run_kernel(MaxPoolWindows(), op, isa, [x], {}, y)
        np.testing.assert_array_equal(y, max_reference(op, {"x": x}))


def widened(x, pixel):
    """(N, H, W, C) as the first channels of wider pixels, without what follows the last."""
    wide = np.full((*x.shape[:3], pixel), 99, x.dtype)
    wide[..., : x.shape[3]] = x
    return wide.reshape(-1)[: (wide.size // pixel - 1) * pixel + x.shape[3]]


@pytest.mark.parametrize("channels", [1, 20, 64, 70])
@pytest.mark.parametrize("kind", [MaxPool, AveragePool])
def test_pools_of_slices_equal_the_reference(run_kernel, random_array, isa, kind, channels):
    dense = window(kind, 6, 7, channels, (3, 3), (2, 2), (1, 1), (1, 1), batch=2)
    op = replace(dense, in_pixel_stride=channels + 5, out_pixel_stride=channels + 9)
    rng = np.random.default_rng(0)
    x = random_array(rng, "uint8", 2 * 6 * 7 * channels).reshape(2, 6, 7, channels)
    y = np.zeros((2, op.out_h, op.out_w, channels), "uint8")
    arrays = {"x": x}
    kernel, reference = MaxPoolWindows(), max_reference
    if kind is AveragePool:
        kernel, reference = AveragePoolWindows(), average_reference
        arrays |= constants(random_array, rng, op, op.out_h * op.out_w, 1 / 9)
    result = run_kernel(kernel, op, isa, [widened(x, op.in_pixel)], arrays,
                        widened(y, op.out_pixel))
    expected = widened(reference(dense, arrays), op.out_pixel)
    np.testing.assert_array_equal(result, expected)


def check_average(run_kernel, random_array, isa, op, seed, scale=1.0, zero_point=77):
    rng = np.random.default_rng(seed)
    shape = (op.batch, op.in_h, op.in_w, op.channels)
    arrays = constants(random_array, rng, op, op.out_h * op.out_w,
                       scale / (op.kernel_h * op.kernel_w), zero_point)
    x = rng.normal(size=shape).astype(np.float32) if op.dtype == "float32" else (
        random_array(rng, op.dtype, int(np.prod(shape))).reshape(shape))
    arrays["x"] = x
    y = np.zeros((op.batch, op.out_h, op.out_w, op.channels), op.requantize.dtype)
    y = run_kernel(AveragePoolWindows(), op, isa, [x], arrays, y)
    np.testing.assert_array_equal(y, average_reference(op, arrays))


@pytest.mark.parametrize("index", range(len(GEOMETRIES)))
def test_average_pool_equals_the_reference(run_kernel, random_array, isa, index):
    epilogue = Requantize(mode=("float32", "dyadic", "tflite")[index % 3],
                          dtype=("uint8", "int8")[index // 2 % 2], has_table=index % 5 == 0)
    op = window(AveragePool, *GEOMETRIES[index], dtype=("int8", "uint8")[index // 4 % 2],
                batch=1 + index % 2, requantize=epilogue)
    check_average(run_kernel, random_array, isa, op, index)


@pytest.mark.parametrize("mode", ["float32", "dyadic", "tflite"])
@pytest.mark.parametrize(("scale", "zero_point"), [(2.0**-38, 0), (40.0, 255)])
def test_average_pool_saturates(run_kernel, random_array, isa, mode, scale, zero_point):
    op = window(AveragePool, 6, 7, 20, (3, 3), pad=(1, 1), requantize=Requantize(mode=mode))
    check_average(run_kernel, random_array, isa, op, 0, scale, zero_point)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_an_average_can_stay_real(run_kernel, random_array, isa, dtype):
    op = window(AveragePool, 6, 7, 20, (3, 3), pad=(1, 1), dtype=dtype,
                requantize=Requantize(dtype="float32"))
    check_average(run_kernel, random_array, isa, op, 0)


def check_reduce(run_kernel, random_array, isa, op, seed=0, scale=1.0, zero_point=77):
    rng = np.random.default_rng(seed)
    if op.kind in ("mean", "sum"):
        scale /= op.extent
    arrays = constants(random_array, rng, op, 1, scale, zero_point)
    shape = (op.outer, op.extent, op.inner)
    arrays["x"] = random_array(rng, op.dtype, int(np.prod(shape))).reshape(shape)
    y = np.zeros((op.outer, op.inner), op.requantize.dtype)
    y = run_kernel(ReduceAxis(), op, isa, [arrays["x"]], arrays, y)
    np.testing.assert_array_equal(y, reduce_reference(op, arrays))


SIZES = [(1, 49, 1), (1, 49, 16), (1, 49, 65), (2, 49, 64), (3, 5, 130), (2, 1, 7), (1, 1, 1),
         (64, 16, 1), (65, 17, 1), (197, 192, 1), (5, 31, 1), (70, 3, 1), (1, 3000, 1),
         (3, 700, 40)]


@pytest.mark.parametrize("index", range(len(SIZES)))
def test_reductions_equal_the_reference(run_kernel, random_array, isa, index):
    outer, extent, inner = SIZES[index]
    mode = ("float32", "dyadic", "tflite")[index % 3]
    epilogue = Requantize(mode=mode, has_table=index % 2 == 0)
    for kind in (REDUCTIONS[index % 4], REDUCTIONS[(index + 2) % 4]):
        op = Reduce(kind=kind, outer=outer, extent=extent, inner=inner,
                    dtype=("uint8", "int8")[index // 2 % 2], requantize=epilogue)
        check_reduce(run_kernel, random_array, isa, op, index)


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("mode", ["float32", "dyadic", "tflite"])
def test_every_reduction_in_both_modes_saturates(run_kernel, random_array, isa, kind, mode):
    op = Reduce(kind=kind, outer=2, extent=9, inner=20, requantize=Requantize(mode=mode))
    for scale, zero_point in ((1.0, 128), (30.0, 255)):
        check_reduce(run_kernel, random_array, isa, op, 0, scale, zero_point)


def test_a_reduction_can_stay_real(run_kernel, random_array, isa):
    op = Reduce(kind="mean", outer=2, extent=9, inner=3,
                requantize=Requantize(dtype="float32"))
    check_reduce(run_kernel, random_array, isa, op)


@pytest.mark.parametrize(("kind", "outer", "extent", "inner"), [
    ("mean", 2, 49, 70), ("sum", 1, 9, 5), ("max", 3, 7, 17), ("min", 2, 5, 1),
    ("sum", 5, 77, 1), ("max", 2, 33, 1), ("mean", 1, 3, 1)])
def test_floats_are_reduced(run_kernel, isa, kind, outer, extent, inner):
    op = Reduce(kind=kind, outer=outer, extent=extent, inner=inner, dtype="float32",
                requantize=Requantize(dtype="float32"))
    x = np.random.default_rng(0).normal(size=(outer, extent, inner)).astype(np.float32)
    x[0, 0, 0] = -np.inf if kind == "max" else np.inf
    arrays = {"multiplier": np.array([1 / extent if kind == "mean" else 1.0], np.float32)}
    y = run_kernel(ReduceAxis(), op, isa, [x], arrays, np.zeros((outer, inner), np.float32))
    np.testing.assert_array_equal(y, reduce_reference(op, {"x": x} | arrays))
    if kind in ("mean", "sum"):
        # Every order of addition is within extent - 1 roundings of sums below 5 * extent.
        real = x.sum(axis=1, dtype=np.float64) * arrays["multiplier"]
        np.testing.assert_allclose(y, real, rtol=2.0**-23, atol=extent * 5 * extent * 2.0**-24)


def test_what_no_kernel_computes_is_refused(isas):
    empty = MaxPool(batch=1, in_h=3, in_w=3, channels=1, out_h=5, out_w=1, kernel_h=1,
                    kernel_w=1)
    assert "no element" in MaxPoolWindows().reject(empty, isas[0])
    huge = Reduce(kind="sum", outer=1, extent=2**23, inner=1)
    assert "overflow" in ReduceAxis().reject(huge, isas[0])
    real = window(AveragePool, 4, 4, 1, (2, 2), dtype="float32")
    assert "float" in AveragePoolWindows().reject(real, isas[0])
