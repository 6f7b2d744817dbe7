"""What was measured, as ranges of sizes: a call outside of them is extrapolated.

A score that compares split residuals (SPC-UQ) and the distance to the nearest measured call
were tried as well. Ranges tell larger errors apart better than distances, need no second
model, and say which size is new.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.predictor.features import NUMBERS
from octavo.compiler.predictor.latency_model import Table

FloatArray = NDArray[np.float64]

# Sizes that decide what a kernel does; others follow from them.
AXES = (
    "rows", "columns", "depth", "repeats", "read_bytes", "written_bytes", "weight_bytes",
    "run", "window", "stride", "line", "tile_rows", "tile_columns", "extra_terms",
    "slow_functions",
)  # fmt: skip
_PLACES = tuple(NUMBERS.index(name) for name in AXES)
ROUNDING = 1e-9  # of a logarithm


@dataclass(frozen=True, eq=False)
class Ranges:
    """Least and greatest sizes of each form.

    Attributes:
        lows: By form, (axes,).
        highs: By form, (axes,).
    """

    lows: dict[str, FloatArray]
    highs: dict[str, FloatArray]

    def are_outside(self, table: Table) -> NDArray[np.bool_]:
        """Say for each call whether a size is new, or its whole form."""
        sizes = table.numbers[:, _PLACES]
        return np.array([
            form not in self.lows
            or bool((size < self.lows[form] - ROUNDING).any())
            or bool((size > self.highs[form] + ROUNDING).any())
            for size, form in zip(sizes, table.forms, strict=True)])


def find_ranges(table: Table) -> Ranges:
    """Ranges of the measured calls."""
    sizes, forms = table.numbers[:, _PLACES], np.array(table.forms)
    names = sorted(set(table.forms))
    return Ranges(
        {name: sizes[forms == name].min(axis=0) for name in names},
        {name: sizes[forms == name].max(axis=0) for name in names})
