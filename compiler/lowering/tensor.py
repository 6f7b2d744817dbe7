"""A tensor in memory, addressed by strides: what kernels read and write.

Transpose, Slice, Split, Squeeze, Expand and most Reshapes only change how the same bytes are
addressed, so they cost nothing; a copy is made when a kernel needs another order of axes.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.lowering.program import Buffer

Shape = tuple[int, ...]
Order = tuple[int, ...]  # axes from outermost to innermost


@dataclass(frozen=True, eq=False)
class Tensor:
    """A strided view of a buffer.

    Attributes:
        buffer: Where the bytes are.
        dtype: numpy dtype name of the stored elements.
        shape: Logical (ONNX) shape.
        strides: Elements between neighbours along each axis; 0 repeats, negative reverses.
        offset: Element of the buffer at index (0, ..., 0).
        scale: Quantization step, or None for a tensor that is what it is.
        zero_point: Stored integer that stands for 0.0, as stored.
        address: Element of the buffer that a kernel is given the address of: the first of the
            buffer, or ``offset`` for kernels that know nothing of what lies before.
    """

    buffer: Buffer
    dtype: str
    shape: Shape
    strides: Shape
    offset: int = 0
    scale: float | None = None
    zero_point: int = 0
    address: int = 0

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return int(np.dtype(self.dtype).itemsize)

    @property
    def num_elements(self) -> int:
        """Elements of the view."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def buffer_elements(self) -> int:
        """Elements of the whole buffer."""
        return self.buffer.num_bytes // self.itemsize

    @property
    def is_quantized(self) -> bool:
        """Whether the elements stand for real numbers by scale and zero point."""
        return self.scale is not None

    @cached_property
    def order(self) -> Order:
        """Axes from outermost to innermost; axes of one element keep their logical place."""
        moving = [a for a in range(self.rank) if self.shape[a] > 1]
        ranked = iter(sorted(moving, key=lambda a: (-abs(self.strides[a]), a)))
        return tuple(next(ranked) if self.shape[a] > 1 else a for a in range(self.rank))

    def is_dense(self, order: Order) -> bool:
        """Whether the elements lie without gaps, from the buffer's start, in this order."""
        return self.offset == 0 and self.strides == _match(
            dense_strides(self.shape, order), self.strides, self.shape
        )

    @property
    def is_dense_in_any_order(self) -> bool:
        """Whether the elements lie without gaps in their own order."""
        return self.is_dense(self.order)

    @cached_property
    def pixel_stride(self) -> int | None:
        """Elements between neighbouring pixels of (N, C, spatial...).

        None unless the channels lie without gaps and all pixels at equal distances.
        """
        if self.rank < 2 or (self.shape[1] > 1 and self.strides[1] != 1):
            return None
        moving = [a for a in (0, *range(2, self.rank)) if self.shape[a] > 1]
        if not moving:
            return self.shape[1]
        for outer, inner in pairwise(moving):
            if self.strides[outer] != self.strides[inner] * self.shape[inner]:
                return None
        stride = self.strides[moving[-1]]
        return stride if stride >= self.shape[1] else None

    def is_at(self, other: "Tensor") -> bool:
        """Whether the elements of both views are the same bytes of memory."""
        if self.buffer is not other.buffer or self.offset != other.offset:
            return False
        strides = _match(self.strides, other.strides, self.shape)
        return (self.dtype, self.shape, strides) == (other.dtype, other.shape, other.strides)

    def addressed_directly(self) -> "Tensor":
        """View whose kernels are given the address of element (0, ..., 0)."""
        return replace(self, address=self.offset)

    def transposed(self, perm: tuple[int, ...]) -> "Tensor":
        """View with axes permuted, as ONNX Transpose."""
        return replace(
            self,
            shape=tuple(self.shape[p] for p in perm),
            strides=tuple(self.strides[p] for p in perm),
        )

    def sliced(self, axis: int, start: int, count: int, step: int = 1) -> "Tensor":
        """View of ``count`` elements of one axis."""
        shape, strides = list(self.shape), list(self.strides)
        shape[axis], strides[axis] = count, strides[axis] * step
        return replace(
            self,
            shape=tuple(shape),
            strides=tuple(strides),
            offset=self.offset + start * self.strides[axis],
        )

    def expanded(self, shape: Shape) -> "Tensor":
        """View repeated along broadcast axes."""
        lead = len(shape) - self.rank
        strides = (0,) * lead + tuple(
            0 if size == 1 and wanted > 1 else stride
            for size, stride, wanted in zip(
                self.shape, self.strides, shape[lead:], strict=True
            )
        )
        return replace(self, shape=shape, strides=strides)

    def reshaped(self, shape: Shape) -> "Tensor | None":
        """View of another shape, or None when the elements would have to move."""
        if 0 in shape:  # no element, so no stride is ever used
            return replace(
                self, shape=shape, strides=dense_strides(shape, identity(len(shape)))
            )
        groups = reshape_groups(self.shape, shape)
        strides: list[int] = [0] * len(shape)
        for ins, outs in groups:
            kept = [a for a in ins if self.shape[a] > 1]
            for outer, inner in pairwise(kept):
                if self.strides[outer] != self.strides[inner] * self.shape[inner]:
                    return None
            step = self.strides[kept[-1]] if kept else 1
            for a in reversed(outs):
                strides[a] = step
                step *= shape[a]
        return replace(self, shape=shape, strides=tuple(strides))

    def reshape_order(self, shape: Shape) -> Order:
        """Order to copy to so that ``reshaped(shape)`` works and little moves."""
        groups = [ins for ins, _ in reshape_groups(self.shape, shape)]

        def size(axes: tuple[int, ...]) -> int:
            return max((abs(self.strides[a]) for a in axes if self.shape[a] > 1), default=0)

        ranked = sorted(range(len(groups)), key=lambda g: (-size(groups[g]), g))
        return tuple(a for g in ranked for a in groups[g])


def dense_strides(shape: Shape, order: Order) -> Shape:
    """Strides of a gap-free tensor whose axes lie in ``order``."""
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def channels_last(rank: int) -> Order:
    """(N, spatial..., C) for a logical (N, C, spatial...)."""
    return (0, *range(2, rank), 1)


def identity(rank: int) -> Order:
    """Row-major."""
    return tuple(range(rank))


def reshape_groups(old: Shape, new: Shape) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Split two shapes of the same size into smallest runs of axes with equal products.

    Returns:
        Pairs of axes (of old, of new). Axes of one element join a neighbouring run.
    """
    groups: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        ins: list[int] = []
        outs: list[int] = []
        left = right = 1
        if i < len(old):
            ins, left, i = [i], old[i], i + 1
        if j < len(new):
            outs, right, j = [j], new[j], j + 1
        while left != right:
            if left < right:
                ins.append(i)
                left, i = left * old[i], i + 1
            else:
                outs.append(j)
                right, j = right * new[j], j + 1
        groups.append((tuple(ins), tuple(outs)))
    return groups


def _match(wanted: Shape, actual: Shape, shape: Shape) -> Shape:
    """Ignore the strides of axes of one element: they are never used."""
    return tuple(a if n == 1 else w for w, a, n in zip(wanted, actual, shape, strict=True))


def real_value(array: NDArray[Any], scale: float, zero_point: int) -> NDArray[np.float32]:
    """Dequantize as ONNX does."""
    centred = array.astype(np.int32) - np.int32(zero_point)
    return centred.astype(np.float32) * np.float32(scale)
