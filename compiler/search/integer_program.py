"""The least loss under limits, by tables of additive costs, as an exact integer program.

Source: Yao et al., HAWQ-V3, arXiv:2011.10680, 3.3 (limits on size, bit operations and measured
latency); Hubara et al., CalibTIP, arXiv:2006.10518, 3.4 (several solutions, evaluated).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from octavo.compiler.search.ask_tell import Solver
from octavo.compiler.search.binary_program import BinaryProgram
from octavo.compiler.search.problem import C, Configuration, Evaluation, Problem
from octavo.errors import GateError


@dataclass(frozen=True)
class Solution(Generic[C]):
    """A configuration that meets the limits.

    Attributes:
        configuration: The choice of each layer.
        costs: Its total by each table.
    """

    configuration: Configuration[C]
    costs: Mapping[str, float]


def integer_program(
    problem: Problem[C], *, minimize: str | None = None, num_solutions: int = 1
) -> Solver[C]:
    """Evaluate the best solutions of the tables: sums are estimates, losses are not additive.

    Args:
        problem: With a table for the objective and for every limit.
        minimize: Table; None: that of the problem's first objective.
        num_solutions: How many are evaluated.

    Returns:
        A solver with one question; its result is the evaluations, those within the limits
        first, then by the objective.

    Raises:
        GateError: The limits cannot be met.
    """
    name = minimize or problem.objectives[0]
    solutions = solve_program(problem, minimize=name, num_solutions=num_solutions)
    evaluations: Sequence[Evaluation[C]] = yield [s.configuration for s in solutions]
    return tuple(sorted(evaluations, key=lambda e: (problem.excess(e), e.values([name]))))


def solve_program(
    problem: Problem[C], *, minimize: str | None = None, num_solutions: int = 1
) -> list[Solution[C]]:
    """Find the configurations of least cost that meet all limits.

    Args:
        problem: With a table for the objective and for every limit.
        minimize: Table; None: that of the problem's first objective.
        num_solutions: How many; fewer where no more meet the limits.

    Returns:
        By rising cost, each the optimum without those before it. Among configurations of
        equal cost (to 1e-9 of the largest cost of a layer), the one nearest to the preferred
        choices.

    Raises:
        GateError: No configuration meets the limits; the message has the nearest values.
        ValueError: A table is missing.
    """
    name = minimize or problem.objectives[0]
    if missing := {name, *problem.limits} - problem.tables.keys():
        raise ValueError(f"no table of {sorted(missing)}")
    program = BinaryProgram(problem, problem.limits)
    solutions: list[Solution[C]] = []
    while len(solutions) < num_solutions:
        chosen = program.minimum(name)
        if chosen is None:
            break
        costs = {table: problem.total(table, chosen) for table in problem.tables}
        solutions.append(Solution(chosen, costs))
        program.exclude(chosen)
    if not solutions:
        raise GateError(_infeasible(problem))
    return solutions


def nearest_limits(problem: Problem[C]) -> dict[str, float]:
    """The least that each limit has to be, with the other limits as they are.

    Returns:
        Name to that value; where the others alone cannot be met, the least value without them.
    """
    nearest = {}
    for name in problem.limits:
        others = {key: limit for key, limit in problem.limits.items() if key != name}
        least = _least(problem, name, others)
        nearest[name] = _least(problem, name, {}) if math.isinf(least) else least
    return nearest


def _infeasible(problem: Problem[C]) -> str:
    limits = problem.limits
    alone = {name: _least(problem, name, {}) for name in limits}
    # With 12 digits, a limit that is copied from here can be met.
    if beyond := [name for name, limit in limits.items() if alone[name] > limit]:
        said = ", ".join(f"{n} <= {limits[n]:.12g} (least: {alone[n]:.12g})" for n in beyond)
        return f"no configuration meets {said}"
    said = ", ".join(f"{name} <= {limit:.12g}" for name, limit in limits.items())
    ways = [f"{name} {value:.12g}" for name, value in nearest_limits(problem).items()]
    return f"no configuration meets {said} together; least with the others kept: " + (
        " or ".join(ways)
    )


def _least(problem: Problem[C], name: str, limits: Mapping[str, float]) -> float:
    """The least total by a table; infinite if the limits exclude everything."""
    chosen = BinaryProgram(problem, limits).minimum(name)
    return math.inf if chosen is None else problem.total(name, chosen)
