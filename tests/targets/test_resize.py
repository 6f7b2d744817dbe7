"""Resizing equals its reference bit for bit."""

import numpy as np
import pytest

from octavo.targets.kernels.resize import ResizeImage
from octavo.targets.ops import resize
from octavo.targets.ops.requantize import Requantize, dyadic
from octavo.targets.ops.resize import WEIGHT_BITS, Resize

KERNEL = ResizeImage()


def axis_table(size, out, is_integer):
    """Half-pixel linear interpolation: indices and weights of one axis."""
    position = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
    first = np.floor(position).astype(np.int32)
    part = position - first
    index = np.stack([first, np.minimum(first + 1, size - 1)], 1)
    if not is_integer:
        return index, np.stack([1 - part, part], 1).astype(np.float32)
    part = np.rint(part * 2**WEIGHT_BITS).astype(np.int32)
    return index, np.stack([2**WEIGHT_BITS - part, part], 1)


def check(run_kernel, random_array, isa, op, multiplier=0.83, zero_point=77, x=None):
    rng = np.random.default_rng(0)
    shape = (op.batch, op.in_h, op.in_w, op.channels)
    if x is None:
        x = np.nan_to_num(random_array(rng, op.dtype, int(np.prod(shape))), posinf=1, neginf=1)
    real = np.array([multiplier * 2.0 ** (-2 * WEIGHT_BITS if op.has_integer_weights else 0)])
    significand, shift = dyadic(real)
    signed = op.out_dtype == "int8"
    arrays = {
        "x": x.reshape(shape).astype(op.dtype),
        "zero_point": np.array([zero_point], np.int32),
        "params": np.array([-10, -128, 127, 0] if signed else [100, 0, 255, 0], np.int32),
        "multiplier": real.astype(np.float32), "significand": significand, "shift": shift,
        "table": random_array(rng, op.out_dtype, 256),
    }
    for name, size, out in (("row", op.in_h, op.out_h), ("col", op.in_w, op.out_w)):
        arrays[f"{name}_index"], arrays[f"{name}_weight"] = axis_table(
            size, out, op.has_integer_weights)
    y = np.zeros((op.batch, op.out_h, op.out_w, op.channels), op.out_dtype)
    y = run_kernel(KERNEL, op, isa, [arrays["x"]], arrays, y)
    np.testing.assert_array_equal(y, resize.reference(op, arrays))
    return y


def image(h, w, c, out_h, out_w, **fields):
    return Resize(batch=fields.pop("batch", 1), in_h=h, in_w=w, channels=c, out_h=out_h,
                  out_w=out_w, **fields)


SIZES = [*[(5, 4, c, 10, 8) for c in (1, 3, 15, 16, 17, 64, 65)], (14, 14, 20, 31, 9),
         (9, 9, 8, 4, 5), (1, 1, 5, 6, 7), (20, 20, 40, 40, 40)]


@pytest.mark.parametrize("index", range(len(SIZES)))
def test_linear_equals_the_reference(run_kernel, random_array, isa, index):
    for mode in ("float32", "dyadic"):
        op = image(*SIZES[index], kind="linear", batch=1 + index % 2,
                   dtype=("uint8", "int8")[index % 2],
                   requantize=Requantize(mode=mode, dtype=("uint8", "int8")[index // 2 % 2],
                                         has_table=index % 4 == 0))
        check(run_kernel, random_array, isa, op)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32", "int64", "bool"])
def test_nearest_copies_any_type(run_kernel, random_array, isa, dtype):
    for size in ((5, 4, 20, 10, 8), (9, 9, 3, 4, 5), (20, 20, 70, 40, 30)):
        check(run_kernel, random_array, isa, image(*size, dtype=dtype))


def test_floats_are_exact(run_kernel, random_array, isa):
    op = image(5, 4, 20, 10, 8, kind="linear", dtype="float32")
    check(run_kernel, random_array, isa, op, x=np.random.default_rng(1).normal(size=400))


def test_an_integer_can_become_real(run_kernel, random_array, isa):
    op = image(5, 4, 20, 10, 8, kind="linear",
               requantize=Requantize(mode="dyadic", dtype="float32"))
    check(run_kernel, random_array, isa, op)


@pytest.mark.parametrize("mode", ["float32", "dyadic"])
@pytest.mark.parametrize(("multiplier", "zero_point"), [(2.0**-18, 0), (90.0, 255)])
def test_extremes_saturate(run_kernel, random_array, isa, mode, multiplier, zero_point):
    op = image(5, 4, 20, 10, 8, kind="linear", requantize=Requantize(mode=mode))
    for x in (np.zeros(400), np.full(400, 255), np.arange(400) % 2 * 255):
        check(run_kernel, random_array, isa, op, multiplier, zero_point, x)


def test_a_constant_image_stays_constant(run_kernel, random_array, isas):
    """Weights of a pixel sum to one, so equal pixels give the same real value."""
    op = image(5, 4, 16, 11, 9, kind="linear", requantize=Requantize(mode="dyadic"))
    y = check(run_kernel, random_array, isas[-1], op, 1.0, 100, np.full(320, 180))
    assert (y == 180).all()


def test_what_no_kernel_computes_is_refused(isas):
    assert "cubic" in KERNEL.reject(image(2, 2, 1, 4, 4, kind="cubic"), isas[0])
    assert "scale" in KERNEL.reject(image(2, 2, 1, 4, 4, requantize=Requantize()), isas[0])
    assert "linear" in KERNEL.reject(image(2, 2, 1, 4, 4, kind="linear"), isas[0])


def test_an_index_outside_of_the_image_is_refused(isas):
    arrays = {"row_index": np.array([[0, 0], [2, 2]]), "col_index": np.array([[0, 0]] * 2)}
    with pytest.raises(ValueError, match=r"row_index: 0\.\.2 of 2"):
        KERNEL.constants(image(2, 2, 1, 2, 2), isas[0], arrays)
