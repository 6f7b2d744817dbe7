"""Which steps of one build do the work of which steps of another one.

Builds of a model fuse differently, in INT8 and in float above all: a step of one may do the
work of several of the other. What both keep are the names of the ONNX nodes. Steps that share
a node, directly or through other steps, are one group: the least that can be compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from octavo.compiler.report.records import StepRecord


@dataclass(frozen=True)
class LayerGroup:
    """Steps of two builds that do the same work.

    Attributes:
        before: Indices of the steps in the first build, rising.
        after: In the second one; one of the two may be empty, for what only one build does.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]


def layer_groups(
    before: Sequence[StepRecord], after: Sequence[StepRecord]
) -> list[LayerGroup]:
    """Match the steps of two builds of a model.

    Args:
        before: Steps of the first build in run order, indices from 0.
        after: Of the second.

    Returns:
        Groups that hold every step once, in the order of the second build; what only the first
        one has stands where it ran there.
    """
    sides = [[_keys(step) for step in steps] for steps in (before, after)]
    names = [{name for keys in side for name in keys} for side in sides]
    by_name: dict[str, list[tuple[int, int]]] = {}
    for side, steps in enumerate(sides):
        own, other = names[side], names[1 - side]
        for index, keys in enumerate(steps):
            for name in keys:
                origin = _origin(name, own, other)
                by_name.setdefault(origin, []).append((side, index))
    found = [
        LayerGroup(*(_of_side(group, side) for side in (0, 1)))
        for group in _connected(by_name.values())
    ]
    # What is gone follows the last step before it that is still there.
    place_of = {index: g.after[0] for g in found if g.after for index in g.before}
    return sorted(found, key=lambda group: _place(group, place_of))


def _keys(step: StepRecord) -> tuple[str, ...]:
    """Its nodes; a conversion that has none goes by its own name."""
    return step.nodes or (step.name,)


def _origin(name: str, own: set[str], other: set[str]) -> str:
    """The node that a rewrite made this one of, where only the other build still has it.

    A rewrite names its nodes after the one that they replace: "softmax_Exp" is a part of
    "softmax".
    """
    if name in other:
        return name
    origin = name
    while "_" in origin:
        origin = origin.rpartition("_")[0]
        if origin in own:
            return name
        if origin in other:
            return origin
    return name


def _connected(pairs: Iterable[Sequence[tuple[int, int]]]) -> list[set[tuple[int, int]]]:
    """Components of steps, given those that each node connects."""
    group_of: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for steps in pairs:
        merged = set(steps).union(*(group_of.get(step, set()) for step in steps))
        for step in merged:
            group_of[step] = merged
    found = {id(group): group for group in group_of.values()}
    return list(found.values())


def _of_side(group: set[tuple[int, int]], side: int) -> tuple[int, ...]:
    return tuple(sorted(index for at, index in group if at == side))


def _place(group: LayerGroup, place_of: Mapping[int, int]) -> tuple[int, bool, int]:
    if group.after:
        return group.after[0], False, 0
    first = group.before[0]
    earlier = (place_of[i] for i in range(first, -1, -1) if i in place_of)
    return next(earlier, -1), True, first
