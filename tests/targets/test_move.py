"""Moves equal their reference bit for bit, whatever the strides."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octavo.targets.kernels.move import MoveElements
from octavo.targets.ops import move
from octavo.targets.ops.move import Move, dense_strides

KERNEL = MoveElements()


def check(run_kernel, random_array, op, isa, seed=0, scale=0.037, zero_point=None):
    rng = np.random.default_rng(seed)
    if zero_point is None:
        zero_point = int(rng.integers(0, 100))
    arrays = {
        "x": random_array(rng, op.dtype, op.src_elements),
        "scale": np.array([scale], np.float32),
        "zero_point": np.array([zero_point], np.int32),
        "table": random_array(rng, op.out_dtype, 256),
        "fill": random_array(rng, op.out_dtype, 1),
        "y": random_array(rng, op.out_dtype, op.dst_elements),
    }
    y = run_kernel(KERNEL, op, isa, [arrays["x"]], arrays, arrays["y"])
    expected = move.reference(op, arrays)
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y.view(np.uint8), expected.view(np.uint8))


def permutation(shape, axes, dtype, out_dtype=None, convert="copy"):
    strides = dense_strides(shape)
    out = tuple(shape[a] for a in axes)
    n = int(np.prod(shape))
    return Move(
        shape=out, src_strides=tuple(strides[a] for a in axes), dst_strides=dense_strides(out),
        src_elements=n, dst_elements=n, dtype=dtype, convert=convert,
        out_dtype=out_dtype or dtype)


TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
PERMUTATIONS = [
    ((1, 3, 9, 31), TO_NHWC, "float32", "uint8", "quantize"),
    ((2, 3, 5, 7), TO_NHWC, "float32", "int8", "quantize"),
    ((1, 17, 9, 7), TO_NHWC, "float32", "int8", "quantize"),
    ((1, 37, 9, 7), TO_NHWC, "float32", "float32", "copy"),
    ((1, 9, 7, 3), TO_NCHW, "uint8", "float32", "dequantize"),
    ((2, 5, 7, 19), TO_NCHW, "int8", "float32", "dequantize"),
    ((1, 5, 7, 2), TO_NCHW, "float32", "uint8", "quantize"),
    ((1, 5, 7, 33), TO_NCHW, "float32", "uint8", "quantize"),
    ((1, 2, 4, 6), TO_NHWC, "uint8", "uint8", "table"),
    ((1, 20, 6, 6), TO_NHWC, "int8", "int8", "table"),
    ((1, 24, 6, 6), TO_NHWC, "int8", "uint8", "table"),
    ((37, 21), (1, 0), "int64", "int64", "copy"),
    ((13, 33), (1, 0), "uint16", "uint16", "copy"),
    ((40, 50), (1, 0), "bool", "bool", "copy"),
    ((2, 5, 3, 8), (0, 2, 1, 3), "uint8", "uint8", "copy"),
    ((300, 200), (1, 0), "uint8", "uint8", "copy"),
    ((1, 3, 210, 210), TO_NHWC, "float32", "uint8", "quantize"),
    ((1, 210, 210, 3), TO_NCHW, "uint8", "float32", "dequantize"),
    ((8, 3, 10), (0, 2, 1), "uint8", "float32", "dequantize"),
    ((70000,), (0,), "int8", "float32", "dequantize"),
    ((70001,), (0,), "int32", "float32", "dequantize"),
    ((70001,), (0,), "float32", "uint8", "quantize"),
    ((65535,), (0,), "uint8", "uint8", "table"),
]


@pytest.mark.parametrize("case", PERMUTATIONS, ids=lambda c: "-".join(map(str, c[0])) + c[4])
def test_a_layout_change_equals_the_reference(run_kernel, random_array, isa, case):
    shape, axes, dtype, out_dtype, convert = case
    check(run_kernel, random_array, permutation(shape, axes, dtype, out_dtype, convert), isa)


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 31, 63, 64, 65, 127, 320])
@pytest.mark.parametrize("convert", ["copy", "table", "quantize", "dequantize"])
def test_dense_runs_of_every_length(run_kernel, random_array, isas, n, convert):
    dtype = "float32" if convert == "quantize" else "uint8"
    out_dtype = "float32" if convert == "dequantize" else "uint8"
    op = Move(shape=(n,), src_strides=(1,), dst_strides=(1,), src_elements=n, dst_elements=n,
              dtype=dtype, out_dtype=out_dtype, convert=convert)
    check(run_kernel, random_array, op, isas[-1], seed=n)


@pytest.mark.parametrize("zero_point", [0, 128, 255])
@pytest.mark.parametrize("scale", [1e-30, 3.1, 1e30])
def test_extreme_scales_saturate(run_kernel, random_array, isa, zero_point, scale):
    op = Move(shape=(77,), src_strides=(1,), dst_strides=(1,), src_elements=77,
              dst_elements=77, dtype="float32", out_dtype="uint8", convert="quantize")
    check(run_kernel, random_array, op, isa, scale=scale, zero_point=zero_point)


def test_quantize_rounds_half_to_even_and_takes_nan_for_zero():
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, np.nan, np.inf, -np.inf], np.float32)
    assert move.quantize(x, np.float32(1), 10, "uint8").tolist() == [
        10, 12, 12, 10, 8, 10, 255, 0]


STRIDED = [
    # a slice with steps, reversed slices, broadcasts, a padded and an interleaved destination
    Move(shape=(5, 9), src_strides=(40, 2), dst_strides=(9, 1), src_elements=200,
         dst_elements=45, src_offset=3, dtype="uint8", out_dtype="uint8"),
    Move(shape=(3, 70), src_strides=(70, -1), dst_strides=(70, 1), src_elements=210,
         dst_elements=210, src_offset=69, dtype="int8", out_dtype="int8"),
    Move(shape=(3, 20), src_strides=(-20, -1), dst_strides=(20, 1), src_elements=60,
         dst_elements=60, src_offset=59, dtype="float32", out_dtype="float32"),
    Move(shape=(7, 33), src_strides=(1, 0), dst_strides=(33, 1), src_elements=7,
         dst_elements=231, dtype="int64", out_dtype="int64"),
    Move(shape=(4, 6, 24), src_strides=(144, 24, 1), dst_strides=(9 * 24, 24, 1),
         src_elements=576, dst_elements=9 * 6 * 24, dst_offset=25 * 2, dtype="uint8",
         out_dtype="uint8", fills=True),
    Move(shape=(50, 17), src_strides=(17, 1), dst_strides=(40, 1), src_elements=850,
         dst_elements=2000, dst_offset=7, dtype="uint8", out_dtype="uint8", convert="table"),
    Move(shape=(6, 7), src_strides=(7, 1), dst_strides=(28, 3), src_elements=42,
         dst_elements=6 * 28, dtype="float32", out_dtype="float32"),
    Move(shape=(300, 200), src_strides=(200, 1), dst_strides=(210, 1), src_elements=60000,
         dst_elements=63000, dst_offset=5, dtype="float32", out_dtype="float32", fills=True),
    Move(shape=(), src_strides=(), dst_strides=(), src_elements=3, dst_elements=2,
         src_offset=2, dst_offset=1, dtype="float32", out_dtype="uint8", convert="quantize"),
    Move(shape=(1, 4, 1), src_strides=(9, 0, 5), dst_strides=(7, 1, 7), src_elements=4,
         dst_elements=4, src_offset=1, dtype="int8", out_dtype="float32",
         convert="dequantize"),
]


@pytest.mark.parametrize("index", range(len(STRIDED)))
def test_strides_offsets_and_fills(run_kernel, random_array, isa, index):
    check(run_kernel, random_array, STRIDED[index], isa, seed=index)


@settings(max_examples=25, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_permuted_slice_into_any_window(run_kernel, random_array, isas, data):
    rank = data.draw(st.integers(1, 4))
    shape = data.draw(st.tuples(*[st.sampled_from([1, 2, 3, 5, 8, 17, 20])] * rank))
    axes = data.draw(st.permutations(range(rank)))
    steps = data.draw(st.tuples(*[st.sampled_from([1, 1, 1, 2, -1])] * rank))
    extents = tuple(-(-n // abs(s)) for n, s in zip(shape, steps, strict=True))
    strides = dense_strides(shape)
    start = sum((n - 1) * d for n, d, s in zip(shape, strides, steps, strict=True) if s < 0)
    out = tuple(extents[a] for a in axes)
    window = tuple(n + data.draw(st.integers(0, 2)) for n in out)
    convert, dtype, out_dtype = data.draw(st.sampled_from([
        ("copy", "uint8", "uint8"), ("copy", "float32", "float32"), ("copy", "int64", "int64"),
        ("table", "int8", "int8"), ("quantize", "float32", "int8"),
        ("dequantize", "uint8", "float32")]))
    op = Move(
        shape=out, src_strides=tuple(strides[a] * steps[a] for a in axes),
        dst_strides=dense_strides(window), src_elements=int(np.prod(shape)),
        dst_elements=int(np.prod(window)), src_offset=start, dtype=dtype, convert=convert,
        out_dtype=out_dtype, fills=data.draw(st.booleans()))
    check(run_kernel, random_array, op, data.draw(st.sampled_from(isas)))
