"""How much of the front of all configurations a solver finds."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from octavo.compiler.search.ask_tell import Solver, run
from octavo.compiler.search.front import hypervolume
from octavo.compiler.search.predicted_front import search_front
from octavo.compiler.search.problem import C, Configuration, Evaluation, Problem
from octavo.compiler.search.random_search import search_randomly

SEEDS = range(5)
SOLVERS: Mapping[str, Callable[..., Solver[C]]] = {
    "predicted front": search_front,
    "random": search_randomly,
}


class Volume:
    """Hypervolume of evaluations, as a share of that of all configurations.

    Objectives are counted from the worst value that any configuration has of each.
    """

    def __init__(self, every: Sequence[Evaluation[C]], names: Sequence[str]) -> None:
        points = np.array([e.values(names) for e in every])
        self._names = names
        self._low, self._high = points.min(axis=0), points.max(axis=0)
        self._whole = self._of(every)

    def share(self, evaluations: Sequence[Evaluation[C]]) -> float:
        """0 to 1."""
        return self._of(evaluations) / self._whole

    def _of(self, evaluations: Sequence[Evaluation[C]]) -> float:
        points = np.array([e.values(self._names) for e in evaluations])
        spread = (points - self._low) / (self._high - self._low)
        return hypervolume(spread, [1.0] * len(self._names))


def shares(
    problem: Problem[C],
    every: Sequence[Evaluation[C]],
    evaluate: Callable[[Configuration[C]], Evaluation[C]],
    budget: int,
    seeds: Sequence[int] = SEEDS,
) -> dict[str, list[float]]:
    """What each solver finds, for each seed."""
    volume = Volume(every, problem.objectives)
    return {
        name: [
            volume.share(run(solver(problem, budget=budget, seed=seed), evaluate).result or ())
            for seed in seeds
        ]
        for name, solver in SOLVERS.items()
    }
