"""How far from 0 the results of a convolution can be, whatever its input is."""

from collections.abc import Mapping
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.conv import Conv
from octavo.targets.ops.requantize import PARAM_RESIDUAL_ZERO_POINT

ROUNDINGS = 1 + 2.0**-20  # of a product and a sum in float32, with room


def largest_result(op: Conv, arrays: Mapping[str, NDArray[Any]]) -> float:
    """Bound the real numbers that are rounded, in steps of the output.

    Args:
        op: An integer convolution with a quantized output, in the float32 mode.
        arrays: Its constants, see ``octavo.targets.ops.conv.reference``.

    Returns:
        No result is further from 0, before the zero point is added; infinity where the
        operation is another one.
    """
    epilogue = op.requantize
    if op.dtype == "float32" or epilogue.mode != "float32" or epilogue.dtype == "float32":
        return inf
    zero_point = int(arrays["zero_point"].reshape(-1)[0])
    limits = np.iinfo(op.dtype)
    weight = arrays["weight"].astype(np.int64).reshape(op.out_c, -1)
    ends = [weight * (int(limit) - zero_point) for limit in (limits.min, limits.max)]
    bias = arrays["bias"].astype(np.int64).reshape(-1)
    multiplier = np.abs(arrays["multiplier"].astype(np.float64)).reshape(-1)
    lowest = np.minimum(*ends).sum(axis=1) + bias
    highest = np.maximum(*ends).sum(axis=1) + bias
    largest = float((np.maximum(np.abs(lowest), np.abs(highest)) * multiplier).max())
    if epilogue.residual is not None:
        limits = np.iinfo(epilogue.residual)
        residual_zero = int(arrays["params"].reshape(-1)[PARAM_RESIDUAL_ZERO_POINT])
        distance = max(int(limits.max) - residual_zero, residual_zero - int(limits.min))
        largest += distance * abs(float(arrays["residual_multiplier"].reshape(-1)[0]))
    return largest * ROUNDINGS
