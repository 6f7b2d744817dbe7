"""What layers and conversions cost, as measured within whole programs.

Programs are measured in turns, and the n-th round of one is compared with the n-th round of
the reference, in which all layers take the first candidate: what changes on the machine meets
both, and cancels in their difference.
"""

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.devices.median import MIN_VALUES, median_interval
from octavo.compiler.lowering.program import Step
from octavo.compiler.selection.candidates import INT8, Candidate
from octavo.compiler.selection.layers import IntegerTensor, LayerGraph

DEQUANTIZE, QUANTIZE = "dequantize", "quantize"
# Part of the cheapest conversion by element that one not measured yet is taken to cost: rather
# too little, so that a choice that may pay is tried, and then measured.
OPTIMISM = 0.5

MIN_AGREEING = 3  # rounds that must agree where there are too few for an interval

Assignment = Mapping[str, Candidate]
Signature = tuple[str, ...]
Rounds = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MeasuredProgram:
    """A program of a comparison.

    Attributes:
        assignment: What computed each layer.
        steps: Of the program.
        rounds_us: Median of each step in each round, microseconds, (steps, rounds).
    """

    assignment: Assignment
    steps: Sequence[Step]
    rounds_us: Rounds


@dataclass
class CostTable:
    """Costs, from one comparison after the other.

    Attributes:
        graph: The layers.
    """

    graph: LayerGraph
    _reference_us: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _added_us: dict[tuple[str, Signature], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _conversions: dict[tuple[str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _signatures: dict[tuple[str, str], Signature] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._layer_of = self.graph.layer_of

    def add(self, reference: MeasuredProgram, *others: MeasuredProgram) -> None:
        """Take over a comparison.

        Args:
            reference: All its layers take the first candidate.
            others: Measured in turns with it.
        """
        self._identify(reference)
        reference_us, _ = self.shares(reference.steps, reference.rounds_us)
        for name, rounds_us in reference_us.items():
            self._reference_us[name] += rounds_us.tolist()
        self._convert(reference)
        for program in others:
            self._identify(program)
            layer_us, _ = self.shares(program.steps, program.rounds_us)
            for layer in self.graph.layers:
                own_us = layer_us.get(layer.name, np.zeros(program.rounds_us.shape[1]))
                base_us = reference_us.get(layer.name, np.zeros(reference.rounds_us.shape[1]))
                count = min(own_us.size, base_us.size)
                signature = self.signature(layer.name, program.assignment[layer.name])
                added_us = own_us[:count] - base_us[:count]
                self._added_us[layer.name, signature] += added_us.tolist()
            self._convert(program)

    def _identify(self, program: MeasuredProgram) -> None:
        parts: dict[str, list[str]] = defaultdict(list)
        for step in program.steps:
            schedule = json.dumps(step.schedule, sort_keys=True)
            for owner in self.owners(step):
                parts[owner].append(f"{step.variant} {schedule}")
        for layer in self.graph.layers:
            candidate = program.assignment[layer.name]
            # The first program of a candidate says what it is; conversions and neighbours may
            # change how it is called later.
            self._signatures.setdefault(
                (layer.name, candidate.name), (candidate.placement, *parts[layer.name])
            )

    def _convert(self, program: MeasuredProgram) -> None:
        _, tensor_us = self.shares(program.steps, program.rounds_us)
        for tensor in self.graph.tensors:
            kind = conversion(tensor, program.assignment)
            if kind:
                rounds_us = tensor_us.get(tensor.name, np.zeros(1))
                self._conversions[tensor.name, kind].append(float(np.median(rounds_us)))

    def shares(
        self, steps: Sequence[Step], times_us: Sequence[Any] | Rounds
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Times of a program's layers and of its conversions of integer tensors, by name.

        Args:
            steps: Of the program.
            times_us: Of each step: a number, or one for each round.
        """
        layer_us: dict[str, Any] = defaultdict(float)
        tensor_us: dict[str, Any] = defaultdict(float)
        for step, latency_us in zip(steps, times_us, strict=True):
            owners = self.owners(step)
            for owner in owners:
                layer_us[owner] += latency_us / len(owners)
            converted = "" if owners else self.converts(step)
            if converted:
                tensor_us[converted] += latency_us
        return layer_us, tensor_us

    def owners(self, step: Step) -> list[str]:
        """Names of the layers that a step computes."""
        return list(
            dict.fromkeys(self._layer_of[n] for n in step.nodes if n in self._layer_of)
        )

    def converts(self, step: Step) -> str:
        """Name of the integer tensor that a step converts, or ""."""
        found = (self.graph.tensor_of[n] for n in step.nodes if n in self.graph.tensor_of)
        return next(found, "")

    def is_known(self, candidate: Candidate) -> bool:
        """Whether a program of it was measured."""
        return any(name == candidate.name for _, name in self._signatures)

    def layer_us(self, layer: str, candidate: Candidate) -> float:
        """Cost of a layer with a candidate that was measured."""
        reference_us = self._reference_us.get(layer)
        base_us = statistics.median(reference_us) if reference_us else 0.0
        added_us = self._added_us.get((layer, self.signature(layer, candidate)))
        return max(0.0, base_us + (statistics.median(added_us) if added_us else 0.0))

    def is_faster(self, layer: str, candidate: Candidate) -> bool:
        """Whether a candidate is faster for a layer than the first one, and not by chance."""
        return is_below_zero(self._added_us.get((layer, self.signature(layer, candidate)), ()))

    def signature(self, layer: str, candidate: Candidate) -> Signature:
        """What a candidate is for a layer: equal for equal code, empty where not measured."""
        return self._signatures.get((layer, candidate.name), ())

    def variant(self, layer: str, candidate: Candidate) -> str:
        """What a candidate is for a layer, for people: the kernels' variants."""
        parts = self.signature(layer, candidate)[1:]
        return " + ".join(dict.fromkeys(part.split(" ", 1)[0] for part in parts))

    def conversion_us(self, tensor: IntegerTensor, kind: str) -> float:
        """Cost of dequantizing or quantizing a tensor, estimated low where not measured."""
        samples = self._conversions.get((tensor.name, kind))
        if samples:
            return statistics.median(samples)
        sizes = {t.name: t.num_elements for t in self.graph.tensors}
        rates = [
            statistics.median(times) / max(1, sizes[name])
            for (name, known_kind), times in self._conversions.items()
            if known_kind == kind and sizes[name] >= tensor.num_elements
        ]
        return OPTIMISM * min(rates, default=0.0) * tensor.num_elements


def is_below_zero(differences: Sequence[float]) -> bool:
    """Whether the median of differences between rounds is negative, with 95% confidence.

    Where there are too few of them to say so, all of them have to be.
    """
    interval = median_interval(differences)
    if interval is not None:
        return interval[1] < 0
    is_enough = MIN_AGREEING <= len(differences) < MIN_VALUES
    return is_enough and max(differences) < 0


def conversion(tensor: IntegerTensor, assignment: Assignment) -> str:
    """What happens to a tensor: ``DEQUANTIZE``, ``QUANTIZE``, or "" where nothing does."""
    readers = [assignment[name].placement == INT8 for name in tensor.readers]
    if tensor.writer is not None and assignment[tensor.writer].placement == INT8:
        return DEQUANTIZE if tensor.has_float_reader or not all(readers) else ""
    return QUANTIZE if any(readers) else ""
