"""What moves, adds, pools and reduces 16-bit integers equals its reference."""

import numpy as np
import pytest

from octavo.targets.instructions import ISAS
from octavo.targets.kernels.reduce import ReduceAxis
from octavo.targets.library import select
from octavo.targets.ops import binary, move, pool
from octavo.targets.ops.binary import Binary
from octavo.targets.ops.move import Move
from octavo.targets.ops.pool import MAX_WORDS, MaxPool, Reduce
from octavo.targets.ops.requantize import Requantize

WORD = "int16"
TO_WORDS = Requantize(dtype=WORD)
TO_NHWC = {"src_elements": 2220, "dst_elements": 2220, "shape": (60, 37),
           "src_strides": (1, 60), "dst_strides": (37, 1)}
RUN = {"src_elements": 77, "dst_elements": 77, "shape": (77,), "src_strides": (1,),
       "dst_strides": (1,)}
PAIR = {"shape": (5, 37), "a_shape": (5, 37), "b_shape": (1, 37), "a_dtype": WORD}
WINDOW = {"batch": 1, "in_h": 9, "in_w": 9, "channels": 37, "out_h": 5, "out_w": 5,
          "kernel_h": 3, "kernel_w": 3, "stride_h": 2, "stride_w": 2, "pad_top": 1,
          "pad_left": 1, "pad_bottom": 1, "pad_right": 1}

# Operation, its reference, its input operands, and the shape of its output.
CASES = {
    "quantize": (Move(**RUN, dtype="float32", convert="quantize", out_dtype=WORD),
                 move.reference, ("x",), (77,)),
    "quantize, transposed": (
        Move(**TO_NHWC, dtype="float32", convert="quantize", out_dtype=WORD),
        move.reference, ("x",), (2220,)),
    "dequantize": (Move(**RUN, dtype=WORD, convert="dequantize", out_dtype="float32"),
                   move.reference, ("x",), (77,)),
    "add": (Binary(kind="add", **PAIR, b_dtype=WORD, requantize=TO_WORDS),
            binary.reference, ("a", "b"), (5, 37)),
    "subtract bytes": (Binary(kind="sub", **PAIR, b_dtype="uint8", requantize=TO_WORDS),
                       binary.reference, ("a", "b"), (5, 37)),
    "maximum, to bytes": (Binary(kind="max", **PAIR, b_dtype=WORD, requantize=Requantize()),
                          binary.reference, ("a", "b"), (5, 37)),
    "max pool": (MaxPool(**WINDOW, dtype=WORD), pool.max_reference, ("x",), (1, 5, 5, 37)),
    "mean": (Reduce(kind="mean", outer=2, extent=49, inner=37, dtype=WORD,
                    requantize=TO_WORDS), pool.reduce_reference, ("x",), (2, 37)),
    "sum along": (Reduce(kind="sum", outer=6, extent=37, inner=1, dtype=WORD,
                         requantize=TO_WORDS), pool.reduce_reference, ("x",), (6, 1)),
}  # fmt: skip
SIZES = {"quantize, transposed": 2220, "max pool": 81 * 37, "mean": 2 * 49 * 37,
         "sum along": 6 * 37}


def make_arrays(random_array, name):
    rng = np.random.default_rng(0)
    op = CASES[name][0]
    out_dtype = getattr(op, "out_dtype", getattr(op, "requantize", TO_WORDS).dtype)
    ratio = 0.003 if out_dtype == "uint8" else 0.7
    params = [120, 3, 250, 9] if out_dtype == "uint8" else [-500, -30000, 31000, 9]
    return {
        "x": random_array(rng, getattr(op, "dtype", WORD), SIZES.get(name, 77)),
        "a": random_array(rng, WORD, 185).reshape(5, 37),
        "b": random_array(rng, getattr(op, "b_dtype", WORD), 37).reshape(1, 37),
        "scale": np.array([3e-4], np.float32),
        "zero_point": np.array([-777], np.int32),
        "zero_points": np.array([-777, 130], np.int32),
        "multiplier": np.array([ratio], np.float32),
        "residual_multiplier": np.array([-0.6 * ratio], np.float32),
        "params": np.array(params, np.int32),
        "y": np.zeros(77 if name in ("quantize", "dequantize") else 2220, out_dtype),
    }


@pytest.mark.parametrize("name", CASES)
def test_operations_equal_their_references(run_kernel, random_array, isa, name):
    op, reference, operands, shape = CASES[name]
    arrays = make_arrays(random_array, name)
    expected = reference(op, arrays)
    y = run_kernel(select(op, isa), op, isa, [arrays[n] for n in operands], arrays,
                   np.zeros(shape, expected.dtype))
    np.testing.assert_array_equal(y.reshape(-1), expected.reshape(-1))
    assert len(np.unique(y)) > 1, "a constant output would hide errors"


def test_sums_of_words_are_bounded():
    op = Reduce(kind="sum", outer=1, extent=MAX_WORDS + 1, inner=1, dtype=WORD)
    assert f"at most {MAX_WORDS}" in ReduceAxis().reject(op, ISAS["avx2"])
