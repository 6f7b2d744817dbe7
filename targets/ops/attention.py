"""Attention, quantized in and quantized out: softmax(q k scale + mask) v in one operation.

The scores stay int32. A weight is 255 exp(score - largest score of its row), rounded to 8
bits; the sum of a row's rounded weights divides what they add up to. So the weights of a row
keep 8 bits below the largest one, where softmax outputs in steps of 1/256 would round most of
them to 0.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from octavo.targets.ops.requantize import (
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
    dyadic,
)

Arrays = Mapping[str, NDArray[Any]]

MAX_DEPTH = 1 << 12  # scores stay below 2**28
MAX_COLUMNS = 1 << 15  # sums of weights times values stay below 2**31
MAX_MASK_FACTOR = 1 << 20  # a masked score stays below 2**28 beside the scores
MIN_MASK_FACTOR = 1 << 7  # rounding the factor moves a mask by up to half of its steps
LARGEST_WEIGHT = 255
OCTAVE_BITS = 12  # distances of scores are counted in 1/4096 octaves
REACH_OCTAVES = 10  # 255 * 2**-10 rounds to 0
MAX_STEP_SHIFT = 24
RATIO_BITS = 23  # of the dyadic mode: a sum of weights times values has 8 bits more than them
MAX_INVERSE_SHIFT = 62 - RATIO_BITS

# 65280 * 2**-x = C0 - x (C1 - x (C2 - x C3)) for x in [0, 1), within 1.2e-4 of the value: a
# minimax fit with C0 held at 255 * 256, rounded to the integers around it that fit best.
POWER_COEFFICIENTS = (65280, 45141, 15070, 2572)


@dataclass(frozen=True)
class Attention:
    """Static part of the operation; strides count elements, as in ``MatMul``.

    Attributes:
        batch: Batch dimensions, heads among them.
        rows: Queries.
        columns: Keys and values.
        depth: Features of queries and keys.
        width: Features of values.
        q_strides: One for each batch dimension, then of a row; features are contiguous.
        k_strides: One for each batch dimension, then of a feature, then of a column; one of
            the last two is 1.
        v_strides: One for each batch dimension, then of a token, then of a feature; one of the
            last two is 1.
        y_strides: One for each batch dimension, then of a row; features are contiguous.
        q_elements, k_elements, v_elements, y_elements: Elements of the whole tensors.
        q_dtype, k_dtype, v_dtype, dtype: "uint8" or "int8"; ``dtype`` is the output's.
        q_offset, k_offset, v_offset: First elements: parts of one fused projection.
        mask_strides: One for each batch dimension, of a row and of a column; the last is 1.
            None where nothing is added to the scores.
        mask_elements, mask_offset, mask_dtype: As of the other operands.
        mode: "float32" or "dyadic".
    """

    batch: tuple[int, ...]
    rows: int
    columns: int
    depth: int
    width: int
    q_strides: tuple[int, ...]
    k_strides: tuple[int, ...]
    v_strides: tuple[int, ...]
    y_strides: tuple[int, ...]
    q_elements: int
    k_elements: int
    v_elements: int
    y_elements: int
    q_dtype: str = "uint8"
    k_dtype: str = "uint8"
    v_dtype: str = "uint8"
    dtype: str = "uint8"
    q_offset: int = 0
    k_offset: int = 0
    v_offset: int = 0
    mask_strides: tuple[int, ...] | None = None
    mask_elements: int = 0
    mask_offset: int = 0
    mask_dtype: str = "uint8"
    mode: str = "float32"

    def __post_init__(self) -> None:
        ranks = [len(self.q_strides) - 1, len(self.y_strides) - 1]
        ranks += [len(self.k_strides) - 2, len(self.v_strides) - 2]
        if self.mask_strides is not None:
            ranks.append(len(self.mask_strides) - 2)
            if self.mask_strides[-1] != 1:
                raise ValueError(f"mask strides {self.mask_strides}: the last must be 1")
        if set(ranks) != {len(self.batch)}:
            raise ValueError(f"{ranks} batch strides; batch is {self.batch}")
        for strides in (self.k_strides, self.v_strides):
            if 1 not in strides[-2:]:
                raise ValueError(f"strides {strides}: one of the last two must be 1")

    @property
    def batch_size(self) -> int:
        """Number of heads, over the whole batch."""
        return math.prod(self.batch)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of both products."""
        return self.batch_size * self.rows * self.columns * (self.depth + self.width)


def attention_arrays(
    op: Attention,
    *,
    zero_points: tuple[int, int, int],
    score_scale: float,
    value_ratio: float,
    params: NDArray[np.int32],
    mask_scale: float | None = None,
    zero_point_mask: int = 0,
) -> dict[str, NDArray[Any]]:
    """Compute the constants of an attention.

    Args:
        op: The operation.
        zero_points: Of query, key and value.
        score_scale: Real value of one unit of a score, > 0.
        value_ratio: Scale of the value over scale of the output, > 0.
        params: (4,) int32, see ``octavo.targets.ops.requantize``.
        mask_scale: Real value of one step of the mask.
        zero_point_mask: Its zero point.

    Returns:
        "zero_points" (4,) int32, of q, k, v and mask; "step" (4,) int32: farthest distance,
        significand and shift that turn it into 1/4096 octaves, and the mask's factor;
        "multiplier" (1,) float32, the same as "significand" and "shift" (1,) int64; "params".

    Raises:
        ValueError: Sums may overflow, the mask's factor is out of range, or the ratio is.
    """
    if op.depth > MAX_DEPTH or op.columns > MAX_COLUMNS:
        raise ValueError(f"attention of depth {op.depth} over {op.columns} tokens")
    factor = 0 if mask_scale is None else round(mask_scale / score_scale)
    if mask_scale is not None and not MIN_MASK_FACTOR <= factor <= MAX_MASK_FACTOR:
        raise ValueError(f"one step of the mask is {factor} units of a score")
    farthest = 2 * op.depth * 255 * 255 + 255 * factor
    step = _octave_step(score_scale, farthest)
    significand, shift = dyadic(np.array([value_ratio]))
    if shift[0] > MAX_INVERSE_SHIFT:
        raise ValueError(f"ratio of value and output scale {value_ratio}")
    return {
        "zero_points": np.array([*zero_points, zero_point_mask], np.int32),
        "step": np.array([*step, factor], np.int32),
        "multiplier": np.array([value_ratio], np.float32),
        "significand": significand,
        "shift": shift,
        "params": params,
    }


def _octave_step(score_scale: float, farthest: int) -> tuple[int, int, int]:
    """Farthest distance that counts, and its factor to 1/4096 octaves as integer and shift."""
    octaves = min(score_scale * math.log2(math.e), float(REACH_OCTAVES))
    limit = min(math.ceil(REACH_OCTAVES / octaves), farthest)
    for shift in range(MAX_STEP_SHIFT, -1, -1):
        significand = round(octaves * 2.0 ** (OCTAVE_BITS + shift))
        if limit * significand < 1 << 31:
            return limit, significand, shift
    raise ValueError(f"score scale {score_scale}")


def weights(distance: NDArray[np.integer], step: NDArray[np.int32]) -> NDArray[np.int32]:
    """Weights of scores by their distance from the largest one.

    With t = (min(distance, limit) * significand) >> shift, in 1/4096 octaves, n its whole part
    and x its fraction: w = ((65280 * 2**-x) >> n, rounded to a multiple of 256) / 256.

    Args:
        distance: Any shape, >= 0, below 2**31.
        step: See ``attention_arrays``.

    Returns:
        0 to 255, the same shape.
    """
    limit, significand, shift = (int(n) for n in step[:3])
    octaves = np.minimum(distance.astype(np.int64), limit) * significand >> shift
    x = octaves % (1 << OCTAVE_BITS) << (16 - OCTAVE_BITS)  # in 1/65536
    c0, c1, c2, c3 = POWER_COEFFICIENTS
    power = c0 - (x * (c1 - (x * (c2 - (x * c3 >> 16)) >> 16)) >> 16)
    rounded: NDArray[np.int32] = ((power >> (octaves >> OCTAVE_BITS)) + 128 >> 8).astype(
        np.int32)
    return rounded


def reference(op: Attention, arrays: Arrays) -> NDArray[Any]:
    """Compute the attention; exact for integers.

    With w the ``weights`` of a row, total their sum and acc = sum w (v - zero_point_v):

    - float32: y = rint(clamp(float32(acc) * (multiplier / float32(total)),
      qmin - zero_point, qmax - zero_point)) + zero_point, half to even.
    - dyadic: r = (significand * 2**23) // total; y = clamp(((acc * r + 2**(shift + 22))
      >> (shift + 23)) + zero_point, qmin, qmax), in int64.

    Args:
        op: The operation.
        arrays: "q", "k", "v", "mask" if there is one, and those of ``attention_arrays``.

    Returns:
        (y_elements,) of the output type; elements of no row are 0.
    """
    zero_q, zero_k, zero_v, zero_mask = (int(z) for z in arrays["zero_points"])
    q = _operand(arrays["q"], op.q_offset, (*op.batch, op.rows, op.depth), (*op.q_strides, 1))
    k = _operand(arrays["k"], op.k_offset, (*op.batch, op.depth, op.columns), op.k_strides)
    v = _operand(arrays["v"], op.v_offset, (*op.batch, op.columns, op.width), op.v_strides)
    # Products of centred 8-bit values are below 2**17: float64 sums them exactly.
    scores = ((q - zero_q) @ (k - zero_k)).astype(np.int64)
    if op.mask_strides is not None:
        shape = (*op.batch, op.rows, op.columns)
        mask = _operand(arrays["mask"], op.mask_offset, shape, op.mask_strides)
        scores += (mask.astype(np.int64) - zero_mask) * int(arrays["step"][3])
    weight = weights(scores.max(axis=-1, keepdims=True) - scores, arrays["step"])
    total = weight.sum(axis=-1, keepdims=True)
    acc = (weight.astype(np.float64) @ (v - zero_v)).astype(np.int32)
    y = np.zeros(op.y_elements, op.dtype)
    target = as_strided(y, acc.shape, [s * y.itemsize for s in (*op.y_strides, 1)])
    target[...] = _divide(op, acc, total.astype(np.int32), arrays)
    return y


def _divide(
    op: Attention, acc: NDArray[np.int32], total: NDArray[np.int32], arrays: Arrays
) -> NDArray[np.int32]:
    zero_point, low, high = (
        int(arrays["params"][slot]) for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
    if op.mode == "float32":
        real = acc.astype(np.float32) * (arrays["multiplier"][0] / total.astype(np.float32))
        limited = np.clip(real, np.float32(low - zero_point), np.float32(high - zero_point))
        y: NDArray[np.int32] = np.rint(limited).astype(np.int32) + np.int32(zero_point)
        return y
    shift = int(arrays["shift"][0]) + RATIO_BITS
    ratio = (int(arrays["significand"][0]) << RATIO_BITS) // total.astype(np.int64)
    rounded = (acc.astype(np.int64) * ratio + (1 << (shift - 1))) >> shift
    return np.asarray(np.clip(rounded + zero_point, low, high), np.int32)


def _operand(
    array: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> NDArray[np.float64]:
    """View a flat operand, and convert it."""
    flat = array.reshape(-1)[offset:]
    last = sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if last >= flat.size or min(strides) < 0:
        raise ValueError(f"shape {shape} with strides {strides} leaves {flat.size} elements")
    view = as_strided(flat, shape, [stride * flat.itemsize for stride in strides])
    return view.astype(np.float64)
