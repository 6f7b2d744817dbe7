"""Fetch the weights of the next panel while tiles are computed with those of this one.

Every panel of weights is used for all tiles of a block, so its first tile would wait for
memory at each step: 64 bytes a cycle are wanted there, and memory behind the second-level
cache gives a tenth of that. Spread over the tiles before, the same bytes are hardly noticed.
Panels lie one behind the other, and the weights of the next operation follow those of this
one: what is fetched at the end is useful as well.
"""

from dataclasses import dataclass
from typing import Any

from octavo.targets import vector
from octavo.targets.isa import Expr

LINE_BYTES = 64
MAX_LINES_AT_ONCE = 8  # more at a time wait for each other: then with every step some


@dataclass(frozen=True)
class PanelPrefetch:
    """Which lines of the next panel each tile fetches.

    Attributes:
        elements: Weights of a panel.
        element_bytes: Bytes of a weight.
        tiles: Tiles that use a panel.
        steps: Steps of the reduction of one tile.
    """

    elements: int
    element_bytes: int
    tiles: int
    steps: int

    @property
    def tile_lines(self) -> int:
        """Lines that one tile fetches; 0 where a panel is used only once."""
        if self.tiles == 1:
            return 0
        return -(-self.elements * self.element_bytes // (LINE_BYTES * self.tiles))

    def emit_tile(self, weights: Any, end: Expr, tile: Expr) -> None:
        """Fetch a few lines at the start of a tile.

        Args:
            weights: Packed weights.
            end: Element behind the panel.
            tile: Index of the tile among those of the panel.
        """
        if self.tile_lines <= MAX_LINES_AT_ONCE:
            self._emit(weights, end + tile * self._elements(self.tile_lines), self.tile_lines)

    def emit_step(self, weights: Any, end: Expr, tile: Expr, step: Expr) -> None:
        """Fetch the lines that belong to one step; see ``emit_tile``."""
        if self.tile_lines > MAX_LINES_AT_ONCE:
            lines = -(-self.tile_lines // self.steps)
            first = tile * self._elements(self.tile_lines) + step * self._elements(lines)
            self._emit(weights, end + first, lines)

    def _elements(self, lines: int) -> int:
        return lines * LINE_BYTES // self.element_bytes

    def _emit(self, weights: Any, first: Expr, lines: int) -> None:
        for line in range(lines):
            vector.prefetch(weights, first + self._elements(line))
