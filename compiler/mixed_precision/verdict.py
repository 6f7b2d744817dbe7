"""What is said where limits cannot be met, or mixing formats wins nothing."""

from collections.abc import Iterator, Mapping, Sequence

from octavo.compiler.devices.measurement import TOLERANCE
from octavo.compiler.mixed_precision.measuring import Mixed
from octavo.compiler.mixed_precision.options import BYTES, LATENCY
from octavo.compiler.report.search_objectives import objective_of
from octavo.compiler.report.search_text import value_text
from octavo.compiler.search.problem import Problem
from octavo.passes.layer_format import LayerFormat

Values = Mapping[str, float]


def why_not_better(
    problem: Problem[LayerFormat],
    evaluations: Sequence[Mixed],
    references: Mapping[str, Values],
    latency_unit: str,
) -> Iterator[str]:
    """The evidence where nothing is smaller than the first format and nowhere worse.

    Args:
        problem: What was chosen.
        evaluations: Everything that was measured.
        references: By name, the first format's among them.
        latency_unit: "ms", or what an emulator counts.

    Yields:
        Lines; none where something is smaller, loses no more, and is not slower by more than
        what measurements tell apart.
    """
    first = str(next(iter(problem.choices.values()))[0])
    base, loss = references[first], problem.objectives[0]
    measured = [e for e in evaluations if e.error is None]
    smaller = [e for e in measured if e.objectives[BYTES] < base[BYTES]]
    if any(_is_no_worse(e.objectives, base, problem.objectives) for e in smaller):
        return

    names = problem.objectives
    yield (
        f"{len(measured)} configurations were measured, {len(smaller)} of them smaller than"
        f" {first} throughout; each of those is worse in something: {first} has"
        f" {_said(base, names, latency_unit)}"
    )
    if smaller:
        nearest = min(smaller, key=lambda e: e.objectives[loss])
        lost = _said(nearest.objectives, names, latency_unit)
        yield f"the smaller one that loses least has {lost}"


def nearest_to_limits(
    problem: Problem[LayerFormat], evaluations: Sequence[Mixed], latency_unit: str
) -> str:
    """What was measured nearest to limits that nothing meets, in a line.

    Args:
        problem: With the limits.
        evaluations: Everything that was measured.
        latency_unit: "ms", or what an emulator counts.
    """
    measured = [e for e in evaluations if e.error is None]
    names = list(problem.limits)
    nearest = min(measured, key=problem.excess)
    line = (
        f"none of {len(measured)} measured configurations is within"
        f" {_said(problem.limits, names, latency_unit)}; the nearest has"
        f" {_said(nearest.objectives, names, latency_unit)}"
    )
    if len(names) > 1:
        least = {name: min(e.objectives[name] for e in measured) for name in names}
        line += f"; the least of each alone: {_said(least, names, latency_unit)}"
    return line


def _said(values: Values, names: Sequence[str], latency_unit: str) -> str:
    objectives = [objective_of(name, latency_unit) for name in names]
    return ", ".join(f"{o.title} {value_text(o, values[o.name])}" for o in objectives)


def _is_no_worse(values: Values, base: Values, objectives: Sequence[str]) -> bool:
    return all(
        values[name] <= base[name] + (TOLERANCE * base[name] if name == LATENCY else 0.0)
        for name in objectives
    )
