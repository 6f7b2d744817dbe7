"""Where TensorFlow Lite's reference kernel looks when it resizes 8-bit images bilinearly.

Source: tensorflow/lite/kernels/internal/reference/resize_bilinear.h, ResizeBilinearInteger.
"""

import numpy as np
from numpy.typing import NDArray

PLACE_BITS = 10  # behind the point of a coordinate
MODES = ("half_pixel", "align_corners", "asymmetric")


def resize_lines(
    mode: str, size: int, out: int, weight_bits: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Neighbours of each output pixel along one axis, and their weights.

    Args:
        mode: One of ``MODES``.
        size: Input pixels.
        out: Output pixels.
        weight_bits: At least ``PLACE_BITS``; the weights of a pixel sum to 2**weight_bits.

    Returns:
        (out, 2) indices and (out, 2) weights.
    """
    one = 1 << PLACE_BITS
    is_aligned = mode == "align_corners" and out > 1
    extent, steps = (size - 1, out - 1) if is_aligned else (size, out)
    pitch = (one * extent + steps // 2) // steps
    at = np.arange(out, dtype=np.int64) * pitch
    if mode == "half_pixel":
        at = at + pitch // 2 - one // 2
    first = np.clip(at >> PLACE_BITS, 0, size - 1)
    second = np.clip((at + one - 1) >> PLACE_BITS, 0, size - 1)
    # beyond the first and the last pixel both neighbours are the same one
    part = np.where(first == second, 0, at - first * one) << (weight_bits - PLACE_BITS)
    weight = np.stack([(1 << weight_bits) - part, part], 1)
    return np.stack([first, second], 1).astype(np.int32), weight.astype(np.int32)
