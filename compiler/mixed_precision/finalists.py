"""The end of a search: which points are measured again, and which of them is the best."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from octavo.compiler.devices.measurement import TOLERANCE
from octavo.compiler.mixed_precision.measuring import Mixed
from octavo.compiler.mixed_precision.options import BUFFER, BYTES, LATENCY
from octavo.compiler.search.front import crowding, nondominated
from octavo.compiler.search.problem import Problem
from octavo.passes.layer_format import LayerFormat

MAX_FINALISTS = 12


@dataclass(frozen=True)
class Finalist:
    """A point of the front, measured again.

    Attributes:
        evaluation: With the values of the last measurement.
        spread: Half of the 95% interval of a value over the value, where it was timed.
    """

    evaluation: Mixed
    spread: Mapping[str, float]


def pick_finalists(
    problem: Problem[LayerFormat], evaluations: Sequence[Mixed]
) -> tuple[Mixed, ...]:
    """The front of what is within the limits, else of everything; at most some.

    Of more, those that are farthest from their neighbours, the ends among them.
    """
    within = [e for e in evaluations if problem.excess(e) == 0]
    front = nondominated(within or evaluations, problem.objectives)
    if len(front) <= MAX_FINALISTS:
        return front
    points = np.array([e.values(problem.objectives) for e in front], np.float64)
    widest = np.argsort(-crowding(points), kind="stable")[:MAX_FINALISTS]
    return tuple(front[i] for i in sorted(widest))


def choose_best(
    problem: Problem[LayerFormat], finalists: Sequence[Finalist]
) -> Finalist | None:
    """The best of what meets all limits: the least of what no limit is on.

    The loss comes first where it is not limited, then latency, then bytes, then the buffer.
    Latencies within what measurements tell apart are equal.

    Returns:
        None where nothing meets the limits.
    """
    left = [f for f in finalists if problem.excess(f.evaluation) == 0]
    for name in _priorities(problem):
        values = [f.evaluation.objectives[name] for f in left]
        if values:
            tolerance = TOLERANCE * min(values) if name == LATENCY else 0.0
            least = min(values) + tolerance
            left = [f for f, v in zip(left, values, strict=True) if v <= least]
    return left[0] if left else None


def _priorities(problem: Problem[LayerFormat]) -> Iterator[str]:
    free = [name for name in problem.objectives if name not in problem.limits]
    order = [problem.objectives[0], LATENCY, BYTES, BUFFER]
    yield from (name for name in order if name in free)
    yield from (name for name in order[::-1] if name in problem.objectives)

