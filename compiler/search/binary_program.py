"""Choices with additive costs as an integer program that HiGHS solves exactly.

With x[l, c] = 1 where layer l takes choice c:

    min  sum cost[l, c] x[l, c]
    s.t. sum_c x[l, c] = 1                       for every layer
         sum other[l, c] x[l, c] <= limit        for every limit: bytes, ms, operations, ...
         x[a, c] = x[b, c]                       for tied layers
         sum x[l, chosen_l] <= num_layers - 1    for every configuration that is excluded
         x in {0, 1}
"""

from collections.abc import Mapping
from typing import Generic

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from octavo.compiler.search.problem import C, Configuration, Problem

# HiGHS stops at an absolute gap of 1e-6 and calls a row met at 1e-6 beyond it. The largest
# loss is made 1e6, so that what it overlooks is 1e-12 of that; one step away from the
# preferred choice is 1e-5, more than the gap and less than any loss that counts.
LOSS_SCALE = 1e6
STEP_COST = 1e-5
# A limit that is exceeded by less has been met: sums of floats depend on their order.
LIMIT_TOLERANCE = 1e-9
ROW_TOLERANCE = 1e-6
NUM_CUTS = 50  # configurations just above a limit that are excluded one by one


class BinaryProgram(Generic[C]):
    """The program of a problem's tables, for any of them as the objective.

    Args:
        problem: Its own limits are not looked at.
        limits: Largest total by name of a table.
    """

    def __init__(self, problem: Problem[C], limits: Mapping[str, float]) -> None:
        self._problem = problem
        self._limits = limits
        self._margin = 0.0
        self._index = {
            (layer, choice): position
            for position, (layer, choice) in enumerate(problem.pairs())
        }
        self._excluded: list[NDArray[np.float64]] = []
        self._steps = np.concatenate([np.arange(n) for n in problem.num_choices]).astype(float)

    def exclude(self, configuration: Configuration[C]) -> None:
        """At least one layer takes another choice."""
        row = np.zeros(len(self._index))
        row[[self._index[item] for item in configuration.items()]] = 1.0
        self._excluded.append(row)

    def minimum(self, name: str) -> dict[str, C] | None:
        """The configuration of least total by a table; None where there is none."""
        num_cuts = 0
        while True:
            chosen = self._solve(name)
            if chosen is None or all(self._meets(chosen, limit) for limit in self._limits):
                return chosen
            # HiGHS took a total just above a limit for equal to it.
            self.exclude(chosen)
            num_cuts += 1
            if num_cuts == NUM_CUTS:
                self._margin = 2 * ROW_TOLERANCE

    def _meets(self, configuration: Configuration[C], name: str) -> bool:
        limit = self._limits[name]
        total = self._problem.total(name, configuration)
        return total <= limit + LIMIT_TOLERANCE * abs(limit)

    def _column(self, name: str) -> NDArray[np.float64]:
        """A table's costs in the order of the variables."""
        table = self._problem.tables[name]
        return np.array([table[layer][choice] for layer, choice in self._index], np.float64)

    def _solve(self, name: str) -> dict[str, C] | None:
        rows, lows, highs = self._equalities()
        for limited, limit in self._limits.items():
            costs = self._column(limited)
            scale = float(np.abs(costs).max()) or 1.0
            rows.append(costs / scale)
            lows.append(-np.inf)
            highs.append(limit / scale - self._margin)
        for row in self._excluded:
            rows.append(row)
            lows.append(-np.inf)
            highs.append(len(self._problem.choices) - 1.0)
        costs = self._column(name)
        scale = LOSS_SCALE / (float(np.abs(costs).max()) or 1.0)
        result = milp(
            costs * scale + STEP_COST * self._steps,
            integrality=np.ones(len(costs)),
            bounds=Bounds(0.0, 1.0),
            constraints=LinearConstraint(csr_array(np.array(rows)), lows, highs),
            options={"mip_rel_gap": 0.0},
        )
        if result.status == 2:  # infeasible
            return None
        if result.x is None or result.status != 0:
            raise RuntimeError(f"HiGHS: {result.message}")
        taken = [item for item, x in zip(self._index, result.x, strict=True) if x > 0.5]
        return dict(taken)

    def _equalities(self) -> tuple[list[NDArray[np.float64]], list[float], list[float]]:
        rows: list[NDArray[np.float64]] = []
        for layer, offered in self._problem.choices.items():
            row = np.zeros(len(self._index))
            row[[self._index[layer, choice] for choice in offered]] = 1.0
            rows.append(row)
        num_layers = len(rows)
        for group in self._problem.tied:
            for follower in group[1:]:
                for choice in self._problem.choices[follower]:
                    row = np.zeros(len(self._index))
                    row[self._index[group[0], choice]] = 1.0
                    row[self._index[follower, choice]] = -1.0
                    rows.append(row)
        right = [1.0] * num_layers + [0.0] * (len(rows) - num_layers)
        return rows, right, [*right]
