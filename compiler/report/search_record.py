"""What a search for formats found."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from octavo.compiler.report.search_objectives import Objective


@dataclass(frozen=True)
class SearchedLayer:
    """A layer whose format was to be chosen.

    Attributes:
        name: Of its ONNX node.
        op_types: ONNX operators.
        num_weights: How many it has.
        macs: Multiply-accumulates of one run.
    """

    name: str
    op_types: tuple[str, ...]
    num_weights: int
    macs: int


@dataclass(frozen=True)
class Reference:
    """A configuration to compare with, such as "float32" or "w8a8", and what it costs."""

    name: str
    objectives: Mapping[str, float]


@dataclass(frozen=True)
class SearchedPoint:
    """A configuration that was evaluated.

    Attributes:
        id: Its number, unique.
        formats: Of each layer.
        objectives: Measured values by name; empty where it failed.
        error: Why it failed; "" where it did not.
        spread: Of values that were measured several times, as a part of the value.
        artifact: Where it lies, beside the record; "" where it was not kept.
        meets_limits: Every limit is kept.
    """

    id: int
    formats: Mapping[str, str]
    objectives: Mapping[str, float]
    error: str = ""
    spread: Mapping[str, float] = field(default_factory=dict)
    artifact: str = ""
    meets_limits: bool = True

    def counts(self) -> dict[str, int]:
        """Layers by format, the most frequent first."""
        return dict(Counter(self.formats.values()).most_common())


@dataclass(frozen=True)
class LayerScore:
    """What a format does to one layer, as estimated before the search.

    Attributes:
        loss: What the network loses by it, in the unit of the measure that ranked layers.
        latency_ms: Of the layer, milliseconds; None where it is not known.
        num_bytes: Of its weights; None where it is not known.
    """

    loss: float
    latency_ms: float | None
    num_bytes: float | None


@dataclass(frozen=True)
class SearchRecord:
    """A search.

    Attributes:
        model: Its name.
        target: What it was compiled for.
        device: That measured.
        seed: Of the solver.
        solver: Its name.
        budget: Evaluations that were allowed.
        num_judging: Samples that losses were measured on.
        objectives: Two to four; the first is what the network loses.
        limits: Largest value that is allowed, by name of the objective.
        references: To compare with.
        layers: In the order of the graph.
        points: In the order of evaluation.
        front: Measured again side by side, by the second objective.
        best: The chosen one; None where none meets the limits.
        why_not_better: Evidence, where nothing beats the same format everywhere.
        progress: (evaluations, hypervolume) from time to time.
        sensitivities: Estimates by layer and format.
        notes: What the user should know of the samples.
    """

    model: str
    target: str
    device: str
    seed: int
    solver: str
    budget: int
    num_judging: int
    objectives: tuple[Objective, ...]
    limits: Mapping[str, float]
    references: tuple[Reference, ...]
    layers: tuple[SearchedLayer, ...]
    points: tuple[SearchedPoint, ...]
    front: tuple[SearchedPoint, ...]
    best: SearchedPoint | None
    why_not_better: tuple[str, ...]
    progress: tuple[tuple[int, float], ...]
    sensitivities: Mapping[str, Mapping[str, LayerScore]]
    notes: tuple[str, ...] = ()

    @property
    def measured(self) -> tuple[SearchedPoint, ...]:
        """Points that did not fail."""
        return tuple(point for point in self.points if not point.error)

    @property
    def failed(self) -> tuple[SearchedPoint, ...]:
        """The others."""
        return tuple(point for point in self.points if point.error)

    @property
    def formats(self) -> list[str]:
        """Every format that any layer of the front takes, the most frequent first."""
        found = Counter(f for point in self.front for f in point.formats.values())
        return [name for name, _ in found.most_common()]

    def missed_limits(self, point: SearchedPoint) -> list[Objective]:
        """Objectives whose limit a point is above."""
        return [
            objective
            for objective in self.objectives
            if point.objectives[objective.name] > self.limits.get(objective.name, math.inf)
        ]
