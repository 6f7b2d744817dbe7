"""How far a call is from everything that was measured: is this still interpolation?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.predictor.features import NUMBERS
from octavo.compiler.predictor.latency_model import Table

FloatArray = NDArray[np.float64]

# Sizes that decide what a kernel does; what follows from them would count twice.
AXES = (
    "rows", "columns", "depth", "repeats", "read_bytes", "written_bytes", "weight_bytes",
    "run", "window", "stride", "line", "tile_rows", "tile_columns", "extra_terms",
    "slow_functions",
)  # fmt: skip
_PLACES = tuple(NUMBERS.index(name) for name in AXES)
USUAL_SHARE = 0.95  # of measured calls are no further from those of other networks
LEAST_DEVIATION = 1e-3


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The measured calls, as points.

    Attributes:
        points: Of each form, (calls, axes), in deviations.
        deviations: (axes,) of all calls.
        limit: Distance above which a call is far.
    """

    points: dict[str, FloatArray]
    deviations: FloatArray
    limit: float

    def are_far(self, table: Table) -> NDArray[np.bool_]:
        """Say for each call whether it is further away than calls usually are."""
        mine = table.numbers[:, _PLACES] / self.deviations
        distances = [
            _nearest(point, self.points.get(form))
            for point, form in zip(mine, table.forms, strict=True)]
        return np.asarray(np.array(distances) > self.limit)


def find_neighbours(table: Table, networks: NDArray[np.int64]) -> Neighbours:
    """Learn what distances are usual between networks.

    Args:
        table: The measured calls.
        networks: (calls,) number of the network of each.
    """
    values = table.numbers[:, _PLACES]
    deviations = np.maximum(values.std(axis=0), LEAST_DEVIATION)
    scaled, names = values / deviations, np.array(table.forms)
    usual = distances_between(scaled, table.forms, networks)
    known = usual[np.isfinite(usual)]
    limit = float(np.quantile(known, USUAL_SHARE)) if len(known) else 0.0
    return Neighbours(
        {name: scaled[names == name] for name in sorted(set(table.forms))}, deviations,
        limit)


def distances_between(
    points: FloatArray, forms: Sequence[str], networks: NDArray[np.int64]
) -> FloatArray:
    """Distance of each call to the nearest one of its form in another network."""
    names = np.array(forms)
    found = np.full(len(points), np.inf)
    for name in sorted(set(forms)):
        places = np.flatnonzero(names == name)
        for place in places:
            others = places[networks[places] != networks[place]]
            found[place] = _nearest(points[place], points[others])
    return found


def _nearest(point: FloatArray, others: FloatArray | None) -> float:
    if others is None or not len(others):
        return float("inf")
    return float(np.sqrt(((others - point) ** 2).sum(axis=1).min()))
