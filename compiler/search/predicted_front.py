"""The front of several objectives, by NSGA-II on predictors that measurements retrain.

Source: Cummings et al., SimQ-NAS, arXiv:2312.13301, and its loop LINAS.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.search.ask_tell import Solver
from octavo.compiler.search.front import Points, nondominated
from octavo.compiler.search.nsga2 import evolve, survivors
from octavo.compiler.search.problem import C, Configuration, Evaluation, Genomes, Problem
from octavo.compiler.search.random_search import draw_distinct
from octavo.compiler.search.surrogate import Surrogate

FIRST_SHARE = 0.3  # of the budget, before there are predictors
MIN_FITTED = 4  # evaluations that predictors can be fitted to


def search_front(problem: Problem[C], *, budget: int, seed: int, batch: int = 8) -> Solver[C]:
    """Evaluate what predictors expect on the front, learn from it, and again.

    The first question is the configurations whose layers are all alike, and random ones.

    Args:
        problem: Limits on objectives come before the objectives.
        budget: Evaluations, at most as many as there are configurations.
        seed: Of all chance.
        batch: Configurations of each question after the first.

    Returns:
        A solver; its result is the front of what was measured, within the limits if anything
        is. Nothing that is only predicted is returned.
    """
    rng = np.random.default_rng(seed)
    budget = min(budget, problem.size)
    question = _first(problem, rng, min(budget, max(batch, round(FIRST_SHARE * budget))))
    evaluations: list[Evaluation[C]] = []
    while question:
        evaluations += yield question
        count = min(batch, budget - len(evaluations))
        question = _next(problem, evaluations, rng, count, seed)
    allowed = [e for e in evaluations if problem.excess(e) == 0]
    return nondominated(allowed or evaluations, problem.objectives)


def _first(problem: Problem[C], rng: np.random.Generator, count: int) -> list[dict[str, C]]:
    alike = problem.uniform()[:count]
    return alike + draw_distinct(problem, rng, count - len(alike), alike)


def _next(
    problem: Problem[C],
    evaluations: Sequence[Evaluation[C]],
    rng: np.random.Generator,
    count: int,
    seed: int,
) -> list[dict[str, C]]:
    taken: list[Configuration[C]] = [e.configuration for e in evaluations]
    measured = [e for e in evaluations if e.error is None]
    if len(measured) < MIN_FITTED:
        return draw_distinct(problem, rng, count, taken)
    surrogate = Surrogate(problem, measured, problem.objectives, seed)

    def predict(genomes: Genomes) -> tuple[Points, NDArray[np.float64]]:
        points = surrogate.predict(genomes)
        return points, _excess(problem, points, genomes)

    best = nondominated(measured, problem.objectives)
    first = np.array([problem.genome(e.configuration) for e in best], np.int64)
    visited = evolve(problem, predict, rng, first=first)
    seen = {problem.genome(configuration) for configuration in taken}
    fresh = visited[[tuple(genome) not in seen for genome in visited.tolist()]]
    if len(fresh):
        # Beside what was measured: what that dominates comes last, what fills its gaps first.
        known = np.array([e.values(problem.objectives) for e in measured], np.float64)
        old = np.array([problem.genome(e.configuration) for e in measured], np.int64)
        points = np.concatenate([known, surrogate.predict(fresh)])
        excess = _excess(problem, points, np.concatenate([old, fresh]))
        order = survivors(points, excess, len(points)) - len(known)
        fresh = fresh[order[order >= 0][:count]]
    chosen = [problem.configuration(genome) for genome in fresh]
    return chosen + draw_distinct(problem, rng, count - len(chosen), [*taken, *chosen])


def _excess(problem: Problem[C], points: Points, genomes: Genomes) -> NDArray[np.float64]:
    """What predicted objectives and tables have above limits, as ``Problem.excess`` has it."""
    over = np.zeros(len(points))
    for name, limit in problem.limits.items():
        if name in problem.objectives:
            costs = points[:, problem.objectives.index(name)]
        else:
            costs = problem.totals(name, genomes)
        over += np.maximum(0.0, costs - limit) / (abs(limit) or 1.0)
    return over
