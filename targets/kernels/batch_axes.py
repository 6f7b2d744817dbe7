"""Address the items of a batch: one flat number for all batch dimensions."""

from dataclasses import dataclass
from math import prod

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.isa import Expr


@dataclass(frozen=True)
class BatchAxes:
    """Batch dimensions of an operand, by the flat number of an item.

    Attributes:
        extents: Batch dimensions, possibly none.
        strides: Elements between neighbours of each; 0 repeats the operand.
    """

    extents: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def num_distinct(self) -> int:
        """Items that are not repetitions of others."""
        return prod(n for n, stride in zip(self.extents, self.strides, strict=True) if stride)

    def offset(self, item: Expr) -> Expr:
        """Element offset of an item."""
        return self._weighed(item, self.extents, self.strides)

    def distinct(self, item: Expr) -> Expr:
        """Number of an item among the distinct ones."""
        weights, following = [], 1
        for n, stride in reversed(list(zip(self.extents, self.strides, strict=True))):
            weights.append(following if stride else 0)
            following *= n if stride else 1
        return self._weighed(item, self.extents, tuple(reversed(weights)))

    def distinct_offset(self, index: Expr) -> Expr:
        """Element offset of the distinct item of that number."""
        kept = [(n, s) for n, s in zip(self.extents, self.strides, strict=True) if s]
        return self._weighed(index, tuple(n for n, _ in kept), tuple(s for _, s in kept))

    @staticmethod
    def _weighed(item: Expr, extents: tuple[int, ...], weights: tuple[int, ...]) -> Expr:
        """Sum of the indices of an item, each times its weight."""
        offset: Expr = T.int32(0)
        inner = prod(extents)
        for place, (extent, weight) in enumerate(zip(extents, weights, strict=True)):
            inner //= extent
            index = item // inner if inner > 1 else item
            if place:
                index = index % extent
            offset = offset + index * weight
        return offset
