"""Scales of weights: from extremes, from the least squared error, for channels and blocks.

Weights are symmetric with narrow range: b bits are the integers -(2**(b-1) - 1) ..
2**(b-1) - 1. Of few bits, rounding costs more than saturation, so their scale is searched.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from octavo.passes.quant_math import (
    INT32_MAX,
    MAX_ACTIVATION_DISTANCE,
    MAX_SCALE,
    MIN_SCALE,
    FloatArray,
    quantize,
    weight_qmax,
)

RANGE_METHODS = ("minmax", "mse")
SEARCHED_BITS = 4  # up to here scales are searched when nothing else was asked for
BLOCK_SIZES = (16, 32, 64, 128)

_RATIOS = np.linspace(0.1, 1.0, 31)  # of the extreme; heavy tails of 2 bits want the lower end
_REFINEMENTS = 4
_CHUNK_ELEMENTS = 2**20  # of temporaries


def range_method(num_bits: int, wished: str | None = None) -> str:
    """How scales of so many bits are chosen: "minmax" or "mse"."""
    return wished or ("mse" if num_bits <= SEARCHED_BITS else "minmax")


def weight_scale(
    weight: FloatArray, axis: int | None, *, num_bits: int = 8, method: str = "minmax"
) -> FloatArray:
    """Symmetric scale of a weight.

    Args:
        weight: Any shape, finite.
        axis: The output-channel dimension, or None for one scale.
        num_bits: 2, 3, 4, 8 or 16.
        method: "minmax": max|w| / qmax; "mse": the least squared error of those tried.

    Returns:
        (C,) along ``axis`` or (), float32. A channel of zeros gets the widest scale of the
        others, so that its bias keeps a common magnitude; a tensor of zeros gets 1.

    Raises:
        ValueError: The weight is not finite, or too large for a scale.
    """
    array = np.asarray(weight, np.float32)
    if axis is None:
        return _row_scales(array.reshape(1, -1), num_bits, method).reshape(())
    rows = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)
    return _row_scales(rows, num_bits, method)


def block_scale(
    weight: FloatArray, axis: int, block_size: int, *, num_bits: int = 4, method: str = "mse"
) -> FloatArray:
    """One scale for each block of ``block_size`` elements along ``axis``.

    Args:
        weight: Any shape, finite.
        axis: The input-channel dimension; its last block may be shorter.
        block_size: Elements that share a scale.
        num_bits: 2, 3, 4 or 8.
        method: As for ``weight_scale``.

    Returns:
        The shape of ``weight`` with ``axis`` divided by ``block_size``, rounded up.

    Source: ONNX DequantizeLinear-21, attribute block_size.
    """
    last = np.moveaxis(np.asarray(weight, np.float32), axis, -1)
    missing = -last.shape[-1] % block_size
    padded = np.pad(last, [(0, 0)] * (last.ndim - 1) + [(0, missing)])
    blocks = (*padded.shape[:-1], padded.shape[-1] // block_size)
    scale = _row_scales(padded.reshape(-1, block_size), num_bits, method)
    return np.ascontiguousarray(np.moveaxis(scale.reshape(blocks), -1, axis))


def spread_blocks(scale: FloatArray, axis: int, block_size: int, size: int) -> FloatArray:
    """Repeat scales of blocks so that they have ``size`` elements along ``axis``."""
    repeated = np.repeat(scale, block_size, axis)
    return repeated[tuple(slice(size if a == axis else None) for a in range(scale.ndim))]


def _row_scales(rows: FloatArray, num_bits: int, method: str) -> FloatArray:
    """(R,) scales of the rows of an (R, K) array."""
    if method not in RANGE_METHODS:
        raise ValueError(f"method {method!r}; allowed: {', '.join(RANGE_METHODS)}")
    if not np.isfinite(rows).all():
        raise ValueError("weight is not finite")
    qmax = weight_qmax(num_bits)
    # Without a temporary of the weight's size.
    extreme = np.maximum(rows.max(axis=1, initial=0.0), -rows.min(axis=1, initial=0.0))
    widest = float(np.max(extreme, initial=0.0))
    fallback = widest if widest >= qmax * MIN_SCALE else float(qmax)
    is_zero = extreme < qmax * MIN_SCALE
    extreme = np.where(is_zero, np.float32(fallback), extreme)
    scale: FloatArray = np.asarray(extreme, np.float32) / np.float32(qmax)
    if (scale > MAX_SCALE).any():
        raise ValueError(f"weight of magnitude {widest} needs a scale above 2**60")
    if method == "mse":
        for part in _chunks(rows):
            searched = _least_error(rows[part], scale[part], qmax)
            scale[part] = np.where(is_zero[part], scale[part], searched)
    return scale


def _chunks(rows: FloatArray) -> Iterator[slice]:
    step = max(1, _CHUNK_ELEMENTS // max(1, rows.shape[1]))
    for start in range(0, rows.shape[0], step):
        yield slice(start, start + step)


def _least_error(rows: FloatArray, widest: FloatArray, qmax: int) -> FloatArray:
    """The scales of least squared error: a grid below ``widest``, then refined.

    For fixed integers q the best scale is <w, q> / <q, q>, and for a fixed scale rounding
    gives the best integers: taking turns never enlarges the error (Lloyd 1982).
    """
    best = widest.astype(np.float64)
    least = _squared_error(rows, best, qmax)

    def keep_better(candidate: NDArray[np.float64]) -> None:
        nonlocal best, least
        candidate = candidate.astype(np.float32).astype(np.float64)  # what is stored
        error = _squared_error(rows, candidate, qmax)
        better = error < least
        best, least = np.where(better, candidate, best), np.where(better, error, least)

    for ratio in _RATIOS[:-1]:
        keep_better(np.maximum(widest * ratio, MIN_SCALE))
    for _ in range(_REFINEMENTS):
        q = _round(rows, best, qmax)
        norms = np.einsum("rk,rk->r", q, q)
        products = np.einsum("rk,rk->r", rows.astype(np.float64), q)
        refined = np.divide(products, norms, out=best.copy(), where=norms > 0)
        keep_better(np.clip(refined, MIN_SCALE, widest))
    return best.astype(np.float32)


def _round(rows: FloatArray, scale: NDArray[np.float64], qmax: int) -> NDArray[np.float64]:
    return np.clip(np.rint(rows / scale[:, None]), -qmax, qmax)


def _squared_error(
    rows: FloatArray, scale: NDArray[np.float64], qmax: int
) -> NDArray[np.float64]:
    difference = _round(rows, scale, qmax) * scale[:, None] - rows
    errors: NDArray[np.float64] = np.einsum("rk,rk->r", difference, difference)
    return errors


def widen_for_accumulator(
    weight: FloatArray,
    scale: FloatArray,
    axis: int | None,
    scale_x: float,
    bias: FloatArray | None,
    reduce_axes: Sequence[int],
    *,
    num_bits: int = 8,
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
        num_bits: Of the weight, at most 8.

    Returns:
        Same shape as ``scale``, each at least what it was.
    """
    q = quantize(weight, scale, axis=axis, narrow_range=True, num_bits=num_bits)
    taps = np.abs(q).sum(axis=tuple(reduce_axes), keepdims=True, dtype=np.int64)
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
