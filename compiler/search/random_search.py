"""Random configurations: what every other solver has to beat."""

from collections.abc import Sequence

import numpy as np

from octavo.compiler.search.ask_tell import Solver
from octavo.compiler.search.front import nondominated
from octavo.compiler.search.problem import C, Configuration, Evaluation, Problem


def search_randomly(
    problem: Problem[C], *, budget: int, seed: int, batch: int = 16
) -> Solver[C]:
    """Evaluate distinct configurations, each as likely as the others.

    Args:
        problem: What is chosen.
        budget: Evaluations, at most as many as there are configurations.
        seed: Of the choice.
        batch: Configurations of a question.

    Returns:
        A solver; its result is the front of what was measured.
    """
    chosen = draw_distinct(problem, np.random.default_rng(seed), budget, [])
    evaluations: list[Evaluation[C]] = []
    for start in range(0, len(chosen), batch):
        evaluations += yield chosen[start : start + batch]
    return nondominated(evaluations, problem.objectives)


def draw_distinct(
    problem: Problem[C],
    rng: np.random.Generator,
    count: int,
    taken: Sequence[Configuration[C]],
) -> list[dict[str, C]]:
    """Random configurations without repetition.

    Args:
        problem: What is chosen.
        rng: Source of chance.
        count: How many; less where the problem has no more.
        taken: Not these.

    Returns:
        In the order of drawing.
    """
    seen = {problem.genome(c) for c in taken}
    count = min(count, problem.size - len(seen))
    fresh: dict[tuple[int, ...], None] = {}
    while len(fresh) < count:
        for genome in problem.sample(rng, count):
            key = tuple(int(g) for g in genome)
            if key not in seen and len(fresh) < count:
                fresh[key] = None
    return [problem.configuration(genome) for genome in fresh]
