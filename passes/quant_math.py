"""Arithmetic of quantization in numpy, exactly as ONNX defines it.

real = (q - zero_point) * scale. Activations are affine with one pair for a tensor; weights are
symmetric with narrow range, one scale for a channel or for the tensor; biases are int32 at
scale_x * scale_w. Integers of fewer bits than their type use its lowest values ("uint8") or
those around 0 ("int8").

Source: Krishnamoorthi 2018, 2.1 and 2.2; ONNX operators QuantizeLinear and DequantizeLinear.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INT32_MAX = 2**31 - 1
MAX_BYTE_BITS = 8
MAX_ACTIVATION_DISTANCE = 255  # largest |q - zero_point| of an 8-bit activation

# A product of two scales has to stay a normal float32 (2**-126 .. 2**127).
MIN_SCALE = 2.0**-60
MAX_SCALE = 2.0**60

_RANGES = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "uint16": (0, 2**16 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), INT32_MAX),
}

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class QuantParams:
    """How one tensor is quantized, one pair for all its elements.

    Attributes:
        scale: Real value of one step; exactly a float32, > 0.
        zero_point: Integer that stands for 0.0, inside the range of ``dtype``.
        dtype: "uint8" or "int8"; "uint16" or "int16" for 16 bits.
        num_bits: 2 to 8, or 16; fewer than ``dtype`` has where there is no type so narrow.
    """

    scale: float
    zero_point: int
    dtype: str
    num_bits: int = 8

    @property
    def low(self) -> float:
        """The smallest real value that is represented."""
        return (integer_range(self.dtype, self.num_bits)[0] - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """The largest real value that is represented."""
        return (integer_range(self.dtype, self.num_bits)[1] - self.zero_point) * self.scale

    @property
    def is_narrow(self) -> bool:
        """Whether ``dtype`` holds more integers than are used."""
        return integer_range(self.dtype, self.num_bits) != integer_range(self.dtype)


def integer_range(dtype: str, num_bits: int | None = None) -> tuple[int, int]:
    """``(qmin, qmax)`` of an integer type, or of the part of it that fewer bits use."""
    if dtype not in _RANGES:
        raise ValueError(
            f"dtype {dtype!r} is not a quantized type; allowed: {', '.join(_RANGES)}"
        )
    qmin, qmax = _RANGES[dtype]
    if num_bits is None or 2**num_bits > qmax - qmin:
        return qmin, qmax
    lowest = 0 if qmin == 0 else -(2 ** (num_bits - 1))
    return lowest, lowest + 2**num_bits - 1


def weight_qmax(num_bits: int) -> int:
    """Largest integer of a weight; the range is narrow, so -qmax is the smallest.

    Without -128 the product of two extremes is one of the positive side as well.
    """
    return int(2 ** (num_bits - 1) - 1)


def choose_qparams(
    low: float,
    high: float,
    *,
    dtype: str = "uint8",
    symmetric: bool = False,
    num_bits: int = 8,
) -> QuantParams:
    """Choose scale and zero point of an activation so that 0.0 is exactly an integer.

    Args:
        low: Smallest real value to represent; the range is widened to include 0.
        high: Largest real value to represent.
        dtype: "uint8" or "int8".
        symmetric: Force the zero point to the middle (128 or 0) and use both sides equally.
        num_bits: 2 to 8, or 16, which makes the type one of 16 bits.

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
    dtype = dtype.replace("8", "16") if num_bits > MAX_BYTE_BITS else dtype
    qmin, qmax = integer_range(dtype, num_bits)
    if symmetric:
        extreme = max(-low, high)
        zero_point = (qmin + qmax + 1) // 2
        scale = np.float32(extreme / weight_qmax(num_bits))
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
    return QuantParams(float(scale), zero_point, dtype, num_bits)


def quantize(
    x: NDArray[np.floating],
    scale: float | FloatArray,
    zero_point: int = 0,
    dtype: str = "int8",
    *,
    axis: int | None = None,
    narrow_range: bool = False,
    num_bits: int | None = None,
) -> NDArray[np.integer]:
    """QuantizeLinear: saturate(round_half_even(x / scale) + zero_point).

    Args:
        x: Real values, any shape, finite.
        scale: () for the tensor, (C,) along ``axis``, or as it broadcasts; > 0.
        zero_point: In the range of ``dtype``.
        dtype: "uint8", "int8", "uint16", "int16" or "int32".
        axis: Dimension of ``x`` that ``scale`` runs along.
        narrow_range: Leave out the smallest integer (-128).
        num_bits: Use a part of ``dtype``; None: all of it.

    Returns:
        ``dtype``, same shape as ``x``.
    """
    qmin, qmax = integer_range(dtype, num_bits)
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
    if axis is None or values.ndim != 1:
        return values
    shape = [1] * ndim
    shape[axis] = values.size
    return values.reshape(shape)


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
