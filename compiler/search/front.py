"""Dominance between points of several objectives, all of them minimised.

Source: Deb, Pratap, Agarwal, Meyarivan, A fast and elitist multiobjective genetic algorithm:
NSGA-II, IEEE Transactions on Evolutionary Computation 6(2), 2002, III and VI.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.search.problem import C, Evaluation

Points = NDArray[np.float64]  # (n, num_objectives)


def dominates(points: Points, excess: NDArray[np.float64] | None = None) -> NDArray[np.bool_]:
    """Whether point i is nowhere worse than point j and somewhere better.

    Args:
        points: (n, num_objectives), less is better.
        excess: (n,), >= 0, what a point has above the limits. Less of it dominates whatever
            the objectives are.

    Returns:
        (n, n), [i, j].
    """
    num_points = len(points)
    no_worse = np.ones((num_points, num_points), np.bool_)
    better = np.zeros((num_points, num_points), np.bool_)
    for values in points.T:
        no_worse &= values[:, None] <= values
        better |= values[:, None] < values
    dominating: NDArray[np.bool_] = no_worse & better
    if excess is not None:
        equal = excess[:, None] == excess
        dominating = (excess[:, None] < excess) | (equal & dominating)
    return dominating


def ranks(points: Points, excess: NDArray[np.float64] | None = None) -> NDArray[np.int64]:
    """The front of each point, (n,): 0 is dominated by none, 1 only by those of 0, ..."""
    dominating = dominates(points, excess)
    left = dominating.sum(axis=0)  # how many of those not ranked yet dominate a point
    result = np.full(len(points), -1, np.int64)
    rank = 0
    while (result < 0).any():
        front = (result < 0) & (left == 0)
        result[front] = rank
        left -= dominating[front].sum(axis=0)
        rank += 1
    return result


def crowding(points: Points) -> NDArray[np.float64]:
    """How far apart the neighbours of each point of one front are, (n,); ends: infinite."""
    distance = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        span = float(values[order[-1]] - values[order[0]])
        distance[order[[0, -1]]] = np.inf
        if span > 0:
            distance[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / span
    return distance


def nondominated(
    evaluations: Iterable[Evaluation[C]], objectives: Sequence[str]
) -> tuple[Evaluation[C], ...]:
    """The front of evaluations that did not fail, by rising first objective.

    Of several that measured the same, the first one stands for all.
    """
    distinct = {
        tuple(e.values(objectives)): e for e in reversed(list(evaluations)) if e.error is None
    }
    if not distinct:
        return ()
    points = np.array(list(distinct), np.float64)
    dominated: NDArray[np.bool_] = np.any(dominates(points), axis=0)
    front = [key for i, key in enumerate(distinct) if not dominated[i]]
    return tuple(distinct[key] for key in sorted(front))


def hypervolume(points: Points, reference: Sequence[float]) -> float:
    """The volume between points and a reference that is worse than they are.

    Args:
        points: (n, num_objectives). What is not better than the reference counts nothing.
        reference: (num_objectives,).

    Returns:
        The volume of what at least one of the points dominates. Exact: slices along the last
        objective, each a volume of one dimension less; for some hundred points of up to four
        objectives.
    """
    worst = np.asarray(reference, np.float64)
    points = np.asarray(points, np.float64).reshape(-1, len(worst))
    points = np.unique(points[(points < worst).all(axis=1)], axis=0)
    if not len(points):
        return 0.0
    if len(worst) == 1:
        return float(worst[0] - points.min())
    points = points[~dominates(points).any(axis=0)]
    points = points[np.argsort(points[:, -1], kind="stable")]
    depths = np.diff(points[:, -1], append=worst[-1])
    return float(
        sum(
            depth * hypervolume(points[: i + 1, :-1], list(worst[:-1]))
            for i, depth in enumerate(depths)
            if depth > 0
        )
    )
