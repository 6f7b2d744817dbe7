"""The end of the rounding contracts, for multipliers that are not per channel."""

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.requantize import (
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
    round_once,
    round_twice,
)


def round_real(real: NDArray[np.float32], params: NDArray[np.int32]) -> NDArray[np.int32]:
    """Round and saturate as ``requantize_float32``, from the real value in output steps."""
    zero_point = int(params[PARAM_ZERO_POINT])
    limits = (PARAM_QMIN, PARAM_QMAX)
    low, high = (np.float32(int(params[slot]) - zero_point) for slot in limits)
    return np.rint(np.clip(real, low, high)).astype(np.int32) + np.int32(zero_point)


def round_dyadic(
    total: NDArray[np.int64],
    shift: np.int64 | NDArray[np.int64],
    params: NDArray[np.int32],
    mode: str = "dyadic",
) -> NDArray[np.int32]:
    """Round and saturate from the product with the significand.

    Args:
        total: Any shape.
        shift: Of the significand.
        params: Zero point and limits.
        mode: "dyadic", or "tflite", which rounds as ``requantize_tflite``.
    """
    rounded = (round_twice if mode == "tflite" else round_once)(total, shift)
    moved: NDArray[np.int64] = rounded + int(params[PARAM_ZERO_POINT])
    limited = np.clip(moved, int(params[PARAM_QMIN]), int(params[PARAM_QMAX]))
    return limited.astype(np.int32)
