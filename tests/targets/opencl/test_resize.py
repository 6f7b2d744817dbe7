"""GPU resizing equals its reference bit for bit."""

import numpy as np
import pytest
from tests.targets.test_resize import axis_table, image

from octavo.targets.opencl.resize import GpuResize
from octavo.targets.ops import resize
from octavo.targets.ops.requantize import Requantize, dyadic
from octavo.targets.ops.resize import WEIGHT_BITS

KERNEL = GpuResize()
SIZES = [(5, 4, 3, 10, 8), (9, 9, 8, 4, 5), (1, 1, 5, 6, 7), (6, 7, 16, 13, 9)]


def check(run_gpu, op):
    rng = np.random.default_rng(1)
    shape = (op.batch, op.in_h, op.in_w, op.channels)
    x = rng.normal(0, 30, shape).clip(-99, 99)
    x = x if op.dtype == "float32" else x + (120 if op.dtype == "uint8" else 0)
    real = np.array([0.83 * 2.0 ** (-2 * WEIGHT_BITS if op.has_integer_weights else 0)])
    significand, shift = dyadic(real)
    signed = op.out_dtype == "int8"
    arrays = {
        "x": np.clip(x, 0 if op.dtype in ("uint8", "bool") else -128, None).astype(op.dtype),
        "zero_point": np.array([17], np.int32),
        "params": np.array([-10, -128, 127, 0] if signed else [100, 0, 255, 0], np.int32),
        "multiplier": real.astype(np.float32), "significand": significand, "shift": shift,
        "table": rng.permutation(256).astype(np.uint8).view(
            op.out_dtype if op.out_dtype in ("int8", "uint8") else np.uint8),
    }  # fmt: skip
    for name, size, out in (("row", op.in_h, op.out_h), ("col", op.in_w, op.out_w)):
        arrays[f"{name}_index"], arrays[f"{name}_weight"] = axis_table(
            size, out, op.has_integer_weights)
    expected = resize.reference(op, arrays)
    y, given = np.zeros(expected.size, op.out_dtype), arrays["x"]
    if op.kind == "nearest":
        word = {1: np.uint8, 4: np.int32, 8: np.int64}[y.itemsize]
        y, given = y.view(word), given.view(word)
    (result,) = run_gpu(KERNEL, op, [given], arrays, [y])
    np.testing.assert_array_equal(result.view(op.out_dtype).reshape(expected.shape), expected)
    assert len(np.unique(expected)) > 1


@pytest.mark.parametrize("mode", ["float32", "dyadic"])
@pytest.mark.parametrize("index", range(len(SIZES)))
def test_linear(run_gpu, index, mode):
    types = ("uint8", "int8")
    epilogue = Requantize(mode=mode, dtype=types[index // 2], has_table=index == 3)
    check(run_gpu, image(*SIZES[index], kind="linear", batch=1 + index % 2,
                         dtype=types[index % 2], requantize=epilogue))


def test_linear_floats_and_results(run_gpu):
    check(run_gpu, image(5, 4, 6, 9, 8, kind="linear", dtype="float32"))
    check(run_gpu, image(5, 4, 6, 9, 8, kind="linear", requantize=Requantize(dtype="float32")))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64", "bool"])
def test_nearest_copies_any_type(run_gpu, dtype):
    check(run_gpu, image(5, 4, 3, 10, 8, dtype=dtype, batch=2))


def test_indices_outside_of_the_image_are_refused():
    op = image(5, 4, 3, 10, 8)
    tables = {"row_index": np.full((10, 2), 5), "col_index": np.zeros((8, 2))}
    with pytest.raises(ValueError, match="row_index"):
        KERNEL.constants(op, None, tables)
