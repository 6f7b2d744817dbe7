"""How TensorFlow Lite's reference kernels round, where that is more than an epilogue.

The mode "tflite" rounds what those kernels multiply by a fixed-point number as they do. What
they compute otherwise (softmax) rounds as in the mode "float32", which is nearer to them than
"dyadic" is. Functions of one number are in ``tflite_tables``.

Source: tensorflow/lite/kernels: internal/common.cc, reduce.cc,
    internal/reference/integer_ops/pooling.h.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.lowering.qdq_graph import QuantParams
from octavo.compiler.lowering.tensor import Tensor
from octavo.targets.ops.binary import TERM_BITS
from octavo.targets.ops.requantize import DIVIDED_SHIFTS, dyadic

TFLITE = "tflite"


def mode_beside(mode: str) -> str:
    """The contract of operations that "tflite" says nothing about."""
    return "float32" if mode == TFLITE else mode


def mode_of_products(mode: str) -> str:
    """The contract of matrix products: FULLY_CONNECTED rounds once, half up."""
    return "dyadic" if mode == TFLITE else mode


def divide_significand(arrays: dict[str, NDArray[Any]], count: int) -> None:
    """Divide the multiplier of a sum by the number of its elements, as MEAN does.

    Args:
        arrays: "significand" and "shift" of the sum; changed.
        count: At least 1.
    """
    bits = min(count.bit_length() - 1, 32)
    divided = (arrays["significand"].astype(np.int64) << bits) // count
    arrays["significand"] = divided.astype(np.int32)
    arrays["shift"] = arrays["shift"] + np.int32(bits)


def sum_constants(
    scales: tuple[np.float64, np.float64], output: np.float64
) -> dict[str, NDArray[Any]]:
    """Constants of ADD and SUB: what scales the operands, and what scales their sum.

    Source: tensorflow/lite/kernels/add.cc, the branch of 8-bit integers.

    Args:
        scales: Of the operands.
        output: Scale of the result.
    """
    unit = 2 * max(scales)
    significands, shifts = dyadic(np.array([scale / unit for scale in scales]))
    significand, shift = dyadic(np.array([unit / (2.0**TERM_BITS * output)]))
    wide = significands << TERM_BITS
    return {
        "terms": np.array([wide[0], shifts[0], wide[1], shifts[1]], np.int64),
        "significand": significand.astype(np.int32),
        "shift": shift.astype(np.int32),
    }


def plain_zero(source: Tensor, dtype: str, params: QuantParams) -> int | None:
    """What stands for the file's integer 0, where results are averages of stored integers.

    Args:
        source: What is averaged.
        dtype: As which the averages are stored.
        params: Their quantization in the file.

    Returns:
        None where input and output have different quantizations.
    """
    stored = params.stored_as(dtype)
    is_same = (np.float32(source.scale), source.zero_point, source.dtype) == (
        np.float32(stored.scale),
        stored.zero_point,
        dtype,
    )
    return stored.zero_point - params.zero_point if is_same else None


def average_plainly(arrays: dict[str, NDArray[Any]], zero_point: int) -> None:
    """Average stored integers and round half away from zero, as AVERAGE_POOL_2D does.

    The epilogue's mode must be "dyadic", and input and output have one scale. The significand
    of 1 / n becomes a little larger than that, so that ties are none: too little to matter
    elsewhere, as sums of fewer than 2**20 bytes are an n-th part or more from the next tie;
    so are bytes with weights that sum to 2**20, as RESIZE_BILINEAR has them.

    Args:
        arrays: Constants of the operation; changed.
        zero_point: What the file stores as 0.
    """
    arrays["significand"] = arrays["significand"] + np.int32(1)
    arrays["zero_point"] = np.array([zero_point], np.int32)
    arrays["params"] = arrays["params"].copy()
    arrays["params"][0] = zero_point


def is_divided(shifts: NDArray[Any]) -> bool:
    """Whether all shifts of multipliers allow for ``Requantize.is_divided``."""
    return all(int(shift) in DIVIDED_SHIFTS for shift in np.unique(shifts))
