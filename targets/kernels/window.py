"""One spatial axis of a sliding window: which taps are inside the input."""

from dataclasses import dataclass
from functools import cached_property

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.isa import Expr


@dataclass(frozen=True)
class Window:
    """A window that slides along one axis.

    Attributes:
        size: Input positions.
        out: Output positions.
        kernel: Taps.
        stride, dilation: Distances of neighbouring windows and of neighbouring taps.
        pad: Positions in front of the input.
    """

    size: int
    out: int
    kernel: int
    stride: int
    dilation: int
    pad: int

    def valid(self, position: int) -> tuple[int, int]:
        """First tap inside the input, and the tap behind the last one."""
        start = position * self.stride - self.pad
        first = max(0, -(start // self.dilation))
        end = min(self.kernel, max(0, -((start - self.size) // self.dilation)))
        return first, end

    def first(self, position: Expr) -> Expr:
        """As ``valid``, while the program runs."""
        if self.pad <= 0:
            return T.int32(0)
        ahead = T.int32(self.pad + self.dilation - 1) - position * self.stride
        return T.max(ahead, T.int32(0)) // self.dilation

    def end(self, position: Expr) -> Expr:
        """As ``valid``, while the program runs."""
        if (self.out - 1) * self.stride - self.pad + (
            self.kernel - 1) * self.dilation < self.size:
            return T.int32(self.kernel)
        left = T.int32(self.size + self.pad + self.dilation - 1) - position * self.stride
        return T.min(T.max(left, T.int32(0)) // self.dilation, T.int32(self.kernel))

    def start(self, position: Expr) -> Expr:
        """Input position of the first tap; negative in the padding."""
        return position * self.stride - self.pad

    @cached_property
    def is_inside(self) -> bool:
        """Whether every tap of every position is inside."""
        return self.num_before == 0 and self.num_behind == 0

    @cached_property
    def is_never_empty(self) -> bool:
        """Whether every position has a tap inside."""
        return all(first < end for first, end in map(self.valid, range(self.out)))

    @cached_property
    def num_before(self) -> int:
        """Positions, from the first one on, with taps outside."""
        whole = (0, self.kernel)
        inside = (o for o in range(self.out) if self.valid(o) == whole)
        return next(inside, self.out)

    @cached_property
    def num_behind(self) -> int:
        """Positions, from the last one back, with taps outside; 0 if no position is inside."""
        whole = (0, self.kernel)
        if self.num_before == self.out:
            return 0
        inside = (k for k in range(self.out) if self.valid(self.out - 1 - k) == whole)
        return next(inside)
