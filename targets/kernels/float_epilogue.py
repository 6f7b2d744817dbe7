"""Emit the end of a float multiply-accumulate kernel: residual, limits, store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from octavo.targets import vector
from octavo.targets.isa import Expr, clamp
from octavo.targets.kernels.epilogue import emit_each

LIMITS = ("limits", 2, "float32")  # lowest and highest output; infinite where there is none


@dataclass(frozen=True)
class FloatEpilogue:
    """Emits the epilogue for vectors of float32 lanes.

    Attributes:
        has_residual: A float tensor is added before the limits.
        operands: Buffers: "limits", "y" and, if there is one, "residual".
    """

    has_residual: bool
    operands: Mapping[str, Any]

    def emit_vectors(
        self, accs: Sequence[Expr], channel: Expr, offset: Expr, channels: int
    ) -> None:
        """Finish whole vectors of one pixel and store the channels that exist."""
        emit_each(self.emit, accs, channel, offset, channels, vector.num_lanes(accs[0]))

    def emit(self, acc: Expr, channel: Expr, offset: Expr, lanes: int) -> None:
        """Finish and store ``lanes`` consecutive channels of one pixel.

        Args:
            acc: float32, ``lanes`` lanes, bias included.
            channel: Not needed: nothing here is per channel.
            offset: Element offset in the output, and in the residual.
            lanes: Number of lanes.
        """
        del channel
        if self.has_residual:
            acc = acc + vector.load(self.operands["residual"], offset, lanes)
        limits = [vector.splat(vector.load(self.operands["limits"], i), lanes) for i in (0, 1)]
        vector.store(self.operands["y"], offset, clamp(acc, *limits), lanes)
