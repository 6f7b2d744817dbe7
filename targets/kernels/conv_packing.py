"""Where the taps and channels of a convolution's weights lie for the inner loop."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.isa import Isa
from octavo.targets.ops.conv import Conv
from octavo.targets.padding import INPUT_CHANNELS, OUTPUT_CHANNELS, Padding


@dataclass(frozen=True)
class Packing:
    """How the taps and channels of a convolution are laid out for the inner loop.

    Attributes:
        op: The convolution.
        isa: Instructions, of the operation's arithmetic.
    """

    op: Conv
    isa: Isa

    @property
    def merges_columns(self) -> bool:
        """Whether the taps of one kernel row are contiguous in the input."""
        op = self.op
        is_dense = op.is_padded or op.in_pixel == op.in_c or op.kernel_w == 1
        return op.groups == 1 and op.dilation_w == 1 and is_dense

    @property
    def taps(self) -> tuple[int, int]:
        """Rows and columns of taps that are looped over."""
        return self.op.kernel_h, 1 if self.merges_columns else self.op.kernel_w

    @property
    def run(self) -> int:
        """Contiguous input elements of one tap."""
        return self.op.group_in * (self.op.kernel_w if self.merges_columns else 1)

    @property
    def steps(self) -> int:
        """``dot`` operations of one tap; the last may be padded with zero weights."""
        return -(-self.run // self.isa.dot_k)

    @property
    def vectors(self) -> int:
        """Vectors of output channels of one group; the last may be partial."""
        return -(-self.op.group_out // self.isa.lanes)

    @property
    def channel_elements(self) -> int:
        """Weights of one output channel."""
        taps_h, taps_w = self.taps
        return taps_h * taps_w * self.steps * self.isa.dot_k

    @property
    def stored_out(self) -> int:
        """Output channels of one group as they are packed."""
        if self.isa.orders_columns:
            return self.vectors * self.isa.lanes
        return self.op.group_out

    @property
    def padding(self) -> tuple[Padding, Padding]:
        """Output channels of a group in vectors; what one tap multiplies in steps."""
        group_out, lanes = self.op.group_out, self.isa.lanes
        return (
            Padding(OUTPUT_CHANNELS, group_out, self.vectors * lanes),
            Padding(INPUT_CHANNELS, self.run, self.steps * self.isa.dot_k))

    def pack_weight(self, weight: NDArray[Any], panel: int) -> NDArray[Any]:
        """Reorder OHWI weights to [group][panel][tap][step][channel][k].

        A partial last vector of a group reads on; its other lanes are dropped.
        """
        op, isa = self.op, self.isa
        taps = self.taps[0] * self.taps[1]
        rows = weight.reshape(op.groups, op.group_out, taps, self.run)
        out = self.stored_out
        full = np.zeros((op.groups, out, taps, self.steps * isa.dot_k), weight.dtype)
        full[:, : op.group_out, :, : self.run] = rows
        split = full.reshape(op.groups, out, taps, self.steps, isa.dot_k)
        size = panel * isa.lanes
        return isa.order_columns(np.concatenate([
            group[first : first + size].transpose(1, 2, 0, 3).reshape(-1)
            for group in split for first in range(0, out, size)]))
