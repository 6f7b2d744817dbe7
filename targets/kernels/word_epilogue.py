"""Emit the end of kernels with 16-bit activations: the epilogue of bytes, and of words."""

from collections.abc import Sequence
from dataclasses import dataclass

from octavo.targets.isa import Expr
from octavo.targets.kernels.epilogue import Epilogue
from octavo.targets.ops.word_conv import WORD


@dataclass(frozen=True)
class WordEpilogue(Epilogue):
    """As ``Epilogue``; sums may also be float32 already, and are not in blocks of rows."""

    @property
    def takes_blocks(self) -> bool:
        """Sums are a vector for each row."""
        return False

    def emit_adjacent(
        self, pixels: Sequence[Sequence[Expr]], channel: Expr, offset: Expr
    ) -> None:
        """Finish pixels that follow each other; words are not joined."""
        if self.op.dtype != WORD:
            super().emit_adjacent(pixels, channel, offset)
            return
        channels = len(pixels[0]) * self.isa.lanes
        for p, accs in enumerate(pixels):
            self.emit_vectors(accs, channel, offset + p * channels, channels)

    def _emit_joined(
        self, accs: Sequence[Expr], channel: Expr, offset: Expr, channels: int
    ) -> bool:
        return self.op.dtype != WORD and super()._emit_joined(accs, channel, offset, channels)
