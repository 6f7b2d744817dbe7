"""Arithmetic of 8-bit quantization in numpy, exactly as ONNX defines it.

real = (q - zero_point) * scale. Activations are affine with one pair for a tensor; weights are
symmetric with narrow range, one scale for a channel or for the tensor; biases are int32 at
scale_x * scale_w.

Source: Krishnamoorthi 2018, 2.1 and 2.2; ONNX operators QuantizeLinear and DequantizeLinear.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INT32_MAX = 2**31 - 1
WEIGHT_QMAX = 127  # narrow range: the product of two weights' extremes never needs -128
MAX_ACTIVATION_DISTANCE = 255  # largest |q - zero_point| of an 8-bit activation

# A product of two scales has to stay a normal float32 (2**-126 .. 2**127).
MIN_SCALE = 2.0**-60
MAX_SCALE = 2.0**60

_RANGES = {"uint8": (0, 255), "int8": (-128, 127), "int32": (-(2**31), INT32_MAX)}

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class QuantParams:
    """How one tensor is quantized, one pair for all its elements.

    Attributes:
        scale: Real value of one step; exactly a float32, > 0.
        zero_point: Integer that stands for 0.0, inside the range of ``dtype``.
        dtype: "uint8" or "int8".
    """

    scale: float
    zero_point: int
    dtype: str

    @property
    def low(self) -> float:
        """The smallest real value that is represented."""
        return (integer_range(self.dtype)[0] - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """The largest real value that is represented."""
        return (integer_range(self.dtype)[1] - self.zero_point) * self.scale


def integer_range(dtype: str) -> tuple[int, int]:
    """``(qmin, qmax)`` of "uint8", "int8" or "int32"."""
    if dtype not in _RANGES:
        raise ValueError(
            f"dtype {dtype!r} is not a quantized type; allowed: {', '.join(_RANGES)}"
        )
    return _RANGES[dtype]


def choose_qparams(
    low: float, high: float, *, dtype: str = "uint8", symmetric: bool = False
) -> QuantParams:
    """Choose scale and zero point of an activation so that 0.0 is exactly an integer.

    Args:
        low: Smallest real value to represent; the range is widened to include 0.
        high: Largest real value to represent.
        dtype: "uint8" or "int8".
        symmetric: Force the zero point to the middle (128 or 0) and use both sides equally.

    Returns:
        The parameters; the widened range lies inside ``[low, high]`` of the result to within
        half a step.

    Raises:
        ValueError: The range is not finite, is empty, has no width, or needs a scale that
            float32 products cannot hold.

    Source: Krishnamoorthi 2018, 2.1 ("the range is relaxed to include zero").
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"range [{low}, {high}] is not finite")
    if low > high:
        raise ValueError(f"range [{low}, {high}] is empty: low is above high")
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    qmin, qmax = integer_range(dtype)
    if symmetric:
        extreme = max(-low, high)
        zero_point = (qmin + qmax + 1) // 2
        scale = np.float32(extreme / WEIGHT_QMAX)
    else:
        zero_point = qmin
        scale = np.float32((high - low) / (qmax - qmin))
    if high == low:
        raise ValueError(f"range [{low}, {high}] has no width: every value is zero")
    if not MIN_SCALE <= scale <= MAX_SCALE:
        raise ValueError(f"range [{low}, {high}] needs a scale outside 2**-60 .. 2**60")
    if not symmetric:
        # Rounding in double of an exact float32: the same on every machine.
        zero_point = int(np.clip(np.rint(qmin - low / float(scale)), qmin, qmax))
    return QuantParams(float(scale), zero_point, dtype)


def quantize(
    x: NDArray[np.floating],
    scale: float | FloatArray,
    zero_point: int = 0,
    dtype: str = "int8",
    *,
    axis: int | None = None,
    narrow_range: bool = False,
) -> NDArray[np.integer]:
    """QuantizeLinear: saturate(round_half_even(x / scale) + zero_point).

    Args:
        x: Real values, any shape, finite.
        scale: () for the tensor, or (C,) along ``axis``; > 0.
        zero_point: In the range of ``dtype``.
        dtype: "uint8", "int8" or "int32".
        axis: Dimension of ``x`` that ``scale`` runs along.
        narrow_range: Leave out the smallest integer (-128).

    Returns:
        ``dtype``, same shape as ``x``.
    """
    qmin, qmax = integer_range(dtype)
    steps = np.asarray(x, np.float32) / along_axis(
        np.asarray(scale, np.float32), axis, np.ndim(x)
    )
    if dtype == "int32":  # its limits are no float32 numbers
        steps = steps.astype(np.float64)
    # In place, as weights of hundreds of megabytes come through here. Sums that float32 cannot
    # hold lie far outside of 8 bits.
    steps = np.asarray(steps)
    np.rint(steps, out=steps)
    np.add(steps, steps.dtype.type(zero_point), out=steps)
    np.clip(steps, qmin + narrow_range, qmax, out=steps)
    quantized: NDArray[np.integer] = steps.astype(np.dtype(dtype))
    return quantized


def dequantize(
    q: NDArray[np.integer],
    scale: float | FloatArray,
    zero_point: int = 0,
    *,
    axis: int | None = None,
) -> FloatArray:
    """DequantizeLinear: (q - zero_point) * scale, float32, same shape as ``q``."""
    factor = along_axis(np.asarray(scale, np.float32), axis, np.ndim(q))
    difference = q.astype(np.int64) - zero_point
    result: FloatArray = difference.astype(np.float32) * factor
    return result


def along_axis(
    values: NDArray[np.float32], axis: int | None, ndim: int
) -> NDArray[np.float32]:
    """Shape ``(C,)`` values so that they broadcast along ``axis`` of an ``ndim`` array."""
    if axis is None or values.ndim == 0:
        return values
    shape = [1] * ndim
    shape[axis] = values.size
    return values.reshape(shape)


def weight_scale(weight: FloatArray, axis: int | None) -> FloatArray:
    """Symmetric scale max|w| / 127 of a weight.

    Args:
        weight: Any shape, finite.
        axis: The output-channel dimension, or None for one scale.

    Returns:
        (C,) along ``axis`` or (), float32. A channel of zeros gets the widest scale of the
        others, so that its bias keeps a common magnitude; a tensor of zeros gets 1.
    """
    magnitude = np.abs(np.asarray(weight, np.float32))
    if not np.isfinite(magnitude).all():
        raise ValueError("weight is not finite")
    others: tuple[int, ...] | None = None
    if axis is not None:
        others = tuple(i for i in range(magnitude.ndim) if i != axis % magnitude.ndim)
    extreme = magnitude.max(axis=others, initial=0.0)
    widest = float(np.max(extreme, initial=0.0))
    fallback = widest if widest >= WEIGHT_QMAX * MIN_SCALE else float(WEIGHT_QMAX)
    extreme = np.where(extreme < WEIGHT_QMAX * MIN_SCALE, np.float32(fallback), extreme)
    scale: FloatArray = np.asarray(extreme, np.float32) / np.float32(WEIGHT_QMAX)
    if (scale > MAX_SCALE).any():
        raise ValueError(f"weight of magnitude {widest} needs a scale above 2**60")
    return scale


def widen_for_accumulator(
    weight: FloatArray,
    scale: FloatArray,
    axis: int | None,
    scale_x: float,
    bias: FloatArray | None,
    reduce_axes: Sequence[int],
) -> FloatArray:
    """Enlarge weight scales until an int32 accumulator cannot overflow.

    The bound of channel c is |bias_q[c]| + 255 * sum|w_q[c]| <= 2**31 - 1; both terms shrink
    in proportion to the scale.

    Args:
        weight: Float weight, any shape.
        scale: () or (C,) along ``axis``, from ``weight_scale``.
        axis: Dimension that ``scale`` runs along, or None.
        scale_x: Scale of the activation that the weight multiplies.
        bias: (number of output channels,) or None. Longer than C for a grouped transposed
            convolution, whose groups share a scale.
        reduce_axes: Dimensions of ``weight`` that are summed into one output.

    Returns:
        Same shape as ``scale``, each at least what it was.
    """
    steps = np.abs(quantize(weight, scale, axis=axis, narrow_range=True))  # at most 127
    taps = steps.sum(axis=tuple(reduce_axes), keepdims=True, dtype=np.int64)
    keep = () if axis is None else (axis % weight.ndim,)
    others = tuple(i for i in range(weight.ndim) if i not in keep)
    bound = MAX_ACTIVATION_DISTANCE * taps.max(axis=others).astype(np.float64)
    if bias is not None:
        per_scale = np.abs(bias.astype(np.float64)).reshape(-1, scale.size).max(axis=0)
        if axis is None:
            per_scale = np.abs(bias.astype(np.float64)).max(initial=0.0)
        bound = bound + per_scale / (np.float64(scale_x) * scale)
    # Rounding each weight up can add half a step per tap, hence the small reserve.
    growth = np.maximum(1.0, bound / (INT32_MAX * 0.99))
    widened: FloatArray = np.asarray(scale * growth, np.float32)
    return widened


def quantize_bias(bias: FloatArray, scale_x: float, scale_w: FloatArray) -> NDArray[np.int32]:
    """Quantize a bias to int32 at the accumulator's scale.

    Args:
        bias: (C,), finite.
        scale_x: Scale of the activation, a float32 value.
        scale_w: () or (C,), float32.

    Returns:
        int32 (C,).

    Raises:
        ValueError: A value does not fit; ``widen_for_accumulator`` prevents this.
    """
    scale = bias_scale(scale_x, scale_w)
    steps = np.rint(np.asarray(bias, np.float64) / scale)
    if np.abs(steps).max(initial=0.0) > INT32_MAX:
        raise ValueError("bias does not fit int32 at scale_x * scale_w")
    quantized: NDArray[np.int32] = steps.astype(np.int32)
    return quantized


def bias_scale(scale_x: float, scale_w: FloatArray) -> FloatArray:
    """scale_x * scale_w as a float32 product, the shape of ``scale_w``."""
    product: FloatArray = np.float32(scale_x) * np.asarray(scale_w, np.float32)
    return np.asarray(product, np.float32)
