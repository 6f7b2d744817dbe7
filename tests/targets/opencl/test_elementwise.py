"""GPU moves, elementwise operations, pools and reductions equal their references."""

import numpy as np
import pytest

from octavo.targets.opencl.binary import GpuBinary
from octavo.targets.opencl.move import GpuMove
from octavo.targets.opencl.pool import GpuAveragePool, GpuMaxPool
from octavo.targets.opencl.reduce import GpuReduce
from octavo.targets.ops import binary, move, pool
from octavo.targets.ops.binary import Binary
from octavo.targets.ops.move import Move
from octavo.targets.ops.pool import AveragePool, MaxPool, Reduce
from octavo.targets.ops.requantize import Requantize, dyadic

EPILOGUES = {
    "uint8": Requantize(),
    "int8, table": Requantize(dtype="int8", has_table=True),
    "dyadic": Requantize(mode="dyadic"),
    "real": Requantize(dtype="float32"),
}


def scales(rng, epilogue, multiplier, residual=None):
    """Constants of an epilogue."""
    significand, shift = dyadic(np.asarray(multiplier, np.float64))
    low, high = (3, 250) if epilogue.dtype != "int8" else (-120, 119)
    dtype = epilogue.dtype if epilogue.dtype != "float32" else "uint8"
    arrays = {
        "multiplier": np.asarray(multiplier, np.float32),
        "significand": significand,
        "shift": shift,
        "params": np.array([(low + high) // 2, low, high, 0], np.int32),
        "table": rng.permutation(256).astype(np.uint8).view(dtype),
    }
    if residual is not None:
        arrays["residual_multiplier"] = np.array([residual], np.float32)
        arrays["residual_significand"] = np.rint(np.ldexp(residual, shift)).astype(np.int64)
    return arrays


MOVES = {
    "transpose": Move(shape=(3, 4, 5), src_strides=(1, 15, 3), dst_strides=(20, 5, 1),
                      src_elements=60, dst_elements=60, dtype="uint8", out_dtype="uint8"),
    "int64 slice": Move(shape=(2, 3), src_strides=(6, 2), dst_strides=(3, 1), src_offset=1,
                        src_elements=12, dst_elements=6, dtype="int64", out_dtype="int64"),
    "reversed": Move(shape=(7,), src_strides=(-1,), dst_strides=(2,), src_offset=6,
                     src_elements=7, dst_elements=14, dst_offset=1, dtype="float32",
                     out_dtype="float32"),
    "one element": Move(shape=(), src_strides=(), dst_strides=(), src_elements=1,
                        dst_elements=1, dtype="float32", out_dtype="float32"),
    "table": Move(shape=(40,), src_strides=(1,), dst_strides=(1,), src_elements=40,
                  dst_elements=40, dtype="int8", out_dtype="uint8", convert="table"),
    "quantize": Move(shape=(900,), src_strides=(1,), dst_strides=(1,), src_elements=900,
                     dst_elements=900, dtype="float32", out_dtype="uint8", convert="quantize"),
    "quantize signed": Move(shape=(30, 30), src_strides=(1, 30), dst_strides=(30, 1),
                            src_elements=900, dst_elements=900, dtype="float32",
                            out_dtype="int8", convert="quantize"),
    "dequantize": Move(shape=(41,), src_strides=(1,), dst_strides=(1,), src_elements=41,
                       dst_elements=41, dtype="uint8", out_dtype="float32",
                       convert="dequantize"),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_moves_match_the_reference(run_gpu, name):
    op, rng = MOVES[name], np.random.default_rng(5)
    if op.dtype == "float32":
        x = rng.normal(0, 40, op.src_elements).astype(np.float32)
        if op.convert == "quantize":
            scale = np.float32(0.37)
            ties = (np.arange(-120, 120) + 0.5).astype(np.float32) * scale
            x[:240] = ties
            x[240:246] = [np.nan, np.inf, -np.inf, 3e38, 1e-42, -0.0]
    else:
        info = np.iinfo(op.dtype)
        x = rng.integers(info.min, info.max, op.src_elements, op.dtype, endpoint=True)
    arrays = {
        "x": x,
        "y": np.zeros(op.dst_elements, op.out_dtype),
        "scale": np.array([0.37], np.float32),
        "zero_point": np.array([-3 if op.out_dtype == "int8" else 7], np.int32),
        "table": rng.permutation(256).astype(np.uint8),
    }
    dtype = {8: np.int64, 4: np.int32}.get(x.itemsize, np.uint8)
    is_copy = op.convert == "copy"
    (y,) = run_gpu(
        GpuMove(), op, [x.view(dtype) if is_copy else x], arrays,
        [arrays["y"].view(dtype) if is_copy else arrays["y"]])  # fmt: skip
    expected = move.reference(op, arrays)
    np.testing.assert_array_equal(y.view(expected.dtype), expected)


FILLS = {
    "padded image": {"shape": (4, 5, 3), "src_strides": (15, 3, 1),
                     "dst_strides": (24, 3, 1), "dst_offset": 27, "src_elements": 60,
                     "dst_elements": 150},
    "every other": {"shape": (6,), "src_strides": (1,), "dst_strides": (2,), "dst_offset": 3,
                    "src_elements": 6, "dst_elements": 20},
    "transposed": {"shape": (4, 3), "src_strides": (1, 4), "dst_strides": (5, 1),
                   "src_elements": 12, "dst_elements": 22},
    "reversed": {"shape": (7,), "src_strides": (-1,), "dst_strides": (1,), "src_offset": 6,
                 "src_elements": 7, "dst_elements": 9},
    "one element": {"shape": (1, 1), "src_strides": (1, 1), "dst_strides": (1, 1),
                    "dst_offset": 4, "src_elements": 1, "dst_elements": 6},
}  # fmt: skip


@pytest.mark.parametrize("convert", ["copy", "table", "quantize", "dequantize"])
@pytest.mark.parametrize("name", FILLS)
def test_fills_match_the_reference(run_gpu, name, convert):
    dtype = "float32" if convert == "quantize" else "int8"
    out_dtype = {"dequantize": "float32", "table": "uint8"}.get(convert, "int8")
    op = Move(**FILLS[name], dtype=dtype, out_dtype=out_dtype, convert=convert, fills=True)
    rng = np.random.default_rng(6)
    x = rng.integers(-128, 128, op.src_elements).astype(dtype)
    arrays = {
        "x": x, "y": np.zeros(op.dst_elements, out_dtype),
        "fill": np.array([9 if out_dtype != "float32" else -1.5], out_dtype),
        "scale": np.array([0.37], np.float32), "zero_point": np.array([-3], np.int32),
        "table": rng.permutation(256).astype(np.uint8),
    }  # fmt: skip
    is_copy = convert == "copy"
    (y,) = run_gpu(
        GpuMove(), op, [x.view(np.uint8) if is_copy else x], arrays,
        [arrays["y"].view(np.uint8) if is_copy else arrays["y"]])  # fmt: skip
    np.testing.assert_array_equal(y.view(out_dtype), move.reference(op, arrays))


def test_fills_of_wide_numbers(run_gpu):
    op = Move(**FILLS["padded image"], dtype="float32", out_dtype="float32", fills=True)
    x = np.random.default_rng(7).normal(size=60).astype(np.float32)
    arrays = {"x": x, "y": np.zeros(150, np.float32), "fill": np.array([-np.inf], np.float32)}
    (y,) = run_gpu(GpuMove(), op, [x.view(np.int32)], arrays, [arrays["y"].view(np.int32)])
    np.testing.assert_array_equal(y.view(np.float32), move.reference(op, arrays))


def test_fills_between_elements_in_no_order_are_refused():
    op = Move(shape=(3, 2), src_strides=(2, 1), dst_strides=(3, 4), src_elements=6,
              dst_elements=11, dtype="uint8", out_dtype="uint8", fills=True)  # fmt: skip
    assert "order" in GpuMove().reject(op, None)


@pytest.mark.parametrize("epilogue", EPILOGUES)
@pytest.mark.parametrize("kind", ["add", "sub", "mul", "max", "min"])
def test_elementwise_integers_match_the_reference(run_gpu, kind, epilogue):
    record, rng = EPILOGUES[epilogue], np.random.default_rng(6)
    op = Binary(kind=kind, shape=(3, 7), a_shape=(3, 7), b_shape=(3, 7), b_dtype="int8",
                requantize=record)  # fmt: skip
    arrays = scales(rng, record, [0.004 if kind == "mul" else 0.61], 0.43)
    if kind == "sub":
        arrays["residual_multiplier"] *= -1
        arrays["residual_significand"] *= -1
    if kind == "mul":
        del arrays["residual_multiplier"], arrays["residual_significand"]
    arrays |= {
        "a": rng.integers(0, 256, (3, 7)).astype(np.uint8),
        "b": rng.integers(-128, 128, (3, 7)).astype(np.int8),
        "zero_points": np.array([121, -4], np.int32),
    }
    inputs = [arrays["a"], arrays["b"]]
    (y,) = run_gpu(GpuBinary(), op, inputs, arrays, [np.zeros(op.shape, record.dtype)])
    np.testing.assert_array_equal(y.reshape(op.shape), binary.reference(op, arrays))


@pytest.mark.parametrize(
    ("shape", "a", "b"),
    [
        ((2, 3, 8), (2, 3, 8), (1, 1, 8)),
        ((2, 3, 5), (2, 1, 5), (1, 3, 1)),
        ((4, 6), (4, 1), (1, 6)),
        ((5, 1), (5, 1), (1, 1)),
        ((), (), ()),
    ],
)
def test_operands_are_broadcast(run_gpu, shape, a, b):
    rng = np.random.default_rng(7)
    op = Binary(kind="add", shape=shape, a_shape=a, b_shape=b)
    arrays = scales(rng, op.requantize, [0.61], 0.43) | {
        "a": rng.integers(0, 256, a).astype(np.uint8),
        "b": rng.integers(0, 256, b).astype(np.uint8),
        "zero_points": np.array([121, 99], np.int32),
    }
    (y,) = run_gpu(
        GpuBinary(), op, [arrays["a"], arrays["b"]], arrays, [np.zeros(shape, np.uint8)])
    np.testing.assert_array_equal(y.reshape(shape), binary.reference(op, arrays))


@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
def test_floats_are_rounded_once(run_gpu, kind):
    rng = np.random.default_rng(8)
    op = Binary(kind=kind, shape=(33,), a_shape=(33,), b_shape=(33,), a_dtype="float32",
                b_dtype="float32")  # fmt: skip
    a, b = rng.normal(0, 9, (2, 33)).astype(np.float32)
    (y,) = run_gpu(GpuBinary(), op, [a, b], {}, [np.zeros(33, np.float32)])
    np.testing.assert_array_equal(y, binary.reference(op, {"a": a, "b": b}))


PADDED = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}


@pytest.mark.parametrize("channels", [8, 5])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("padding", [{}, PADDED])
def test_maxima_match_the_reference(run_gpu, padding, dtype, channels):
    size = 5 if padding else 4
    op = MaxPool(batch=2, in_h=9, in_w=9, channels=channels, out_h=size, out_w=size,
                 kernel_h=3, kernel_w=3, stride_h=2, stride_w=2, dtype=dtype, **padding)
    rng = np.random.default_rng(9)
    x = rng.integers(0, 256, (2, 9, 9, channels)).astype(np.uint8).view(dtype)
    y = np.zeros((2, size, size, channels), dtype)
    (result,) = run_gpu(GpuMaxPool(), op, [x], {}, [y])
    np.testing.assert_array_equal(result.reshape(y.shape), pool.max_reference(op, {"x": x}))


@pytest.mark.parametrize("epilogue", EPILOGUES)
def test_averages_match_the_reference(run_gpu, epilogue):
    record, rng = EPILOGUES[epilogue], np.random.default_rng(10)
    op = AveragePool(batch=1, in_h=6, in_w=7, channels=6, out_h=6, out_w=7, kernel_h=3,
                     kernel_w=3, requantize=record, **PADDED)
    arrays = scales(rng, record, rng.uniform(0.1, 0.3, 42)) | {
        "x": rng.integers(0, 256, (1, 6, 7, 6)).astype(np.uint8),
        "zero_point": np.array([117], np.int32),
    }
    y = np.zeros((1, 6, 7, 6), record.dtype)
    (result,) = run_gpu(GpuAveragePool(), op, [arrays["x"]], arrays, [y])
    np.testing.assert_array_equal(
        result.reshape(y.shape), pool.average_reference(op, arrays))


@pytest.mark.parametrize("epilogue", EPILOGUES)
@pytest.mark.parametrize("inner", [1, 6, 8])
@pytest.mark.parametrize("kind", ["mean", "max", "min"])
def test_reductions_match_the_reference(run_gpu, kind, inner, epilogue):
    record, rng = EPILOGUES[epilogue], np.random.default_rng(11)
    op = Reduce(kind=kind, outer=3, extent=11, inner=inner, dtype="int8", requantize=record)
    arrays = scales(rng, record, [0.13]) | {
        "x": rng.integers(-128, 128, (3, 11, inner)).astype(np.int8),
        "zero_point": np.array([-9], np.int32),
    }
    y = np.zeros((3, inner), record.dtype)
    (result,) = run_gpu(GpuReduce(), op, [arrays["x"]], arrays, [y])
    np.testing.assert_array_equal(result.reshape(y.shape), pool.reduce_reference(op, arrays))
