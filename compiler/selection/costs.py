"""What layers and conversions cost, as measured within whole programs."""

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from octavo.compiler.lowering.program import Step
from octavo.compiler.selection.candidates import INT8, Candidate
from octavo.compiler.selection.layers import IntegerTensor, LayerGraph

DEQUANTIZE, QUANTIZE = "dequantize", "quantize"
# Part of the cheapest conversion by element that one not measured yet is taken to cost: rather
# too little, so that a choice that may pay is tried, and then measured.
OPTIMISM = 0.5

Assignment = Mapping[str, Candidate]
Signature = tuple[str, ...]


@dataclass
class CostTable:
    """Samples of costs; a program is one sample of everything in it.

    Attributes:
        graph: The layers.
    """

    graph: LayerGraph
    _layers: dict[tuple[str, Signature], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _conversions: dict[tuple[str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _signatures: dict[tuple[str, str], Signature] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._layer_of = self.graph.layer_of

    def add(
        self, assignment: Assignment, steps: Sequence[Step], latencies_us: Sequence[float]
    ) -> None:
        """Take over what one program measured.

        Args:
            assignment: What computed each layer in it.
            steps: Of the program.
            latencies_us: Of each step.
        """
        layer_us, tensor_us = self.shares(steps, latencies_us)
        parts: dict[str, list[str]] = defaultdict(list)
        for step in steps:
            schedule = json.dumps(step.schedule, sort_keys=True)
            for owner in self.owners(step):
                parts[owner].append(f"{step.variant} {schedule}")
        for layer in self.graph.layers:
            candidate = assignment[layer.name]
            known = (layer.name, candidate.name)
            # The first program of a candidate says what it is; conversions and neighbours may
            # change how it is called later.
            signature = self._signatures.setdefault(
                known, (candidate.placement, *parts[layer.name])
            )
            self._layers[layer.name, signature].append(layer_us[layer.name])
        for tensor in self.graph.tensors:
            kind = conversion(tensor, assignment)
            if kind:
                self._conversions[tensor.name, kind].append(tensor_us[tensor.name])

    def shares(
        self, steps: Sequence[Step], latencies_us: Sequence[float]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Times of a program's layers and of its conversions of integer tensors, by name."""
        layer_us: dict[str, float] = defaultdict(float)
        tensor_us: dict[str, float] = defaultdict(float)
        for step, latency_us in zip(steps, latencies_us, strict=True):
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
        return statistics.median(self._layers[layer, self.signature(layer, candidate)])

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

    def is_measured(self, tensor: IntegerTensor, kind: str) -> bool:
        """Whether a conversion was measured."""
        return bool(self._conversions.get((tensor.name, kind)))


def conversion(tensor: IntegerTensor, assignment: Assignment) -> str:
    """What happens to a tensor: ``DEQUANTIZE``, ``QUANTIZE``, or "" where nothing does."""
    readers = [assignment[name].placement == INT8 for name in tensor.readers]
    if tensor.writer is not None and assignment[tensor.writer].placement == INT8:
        return DEQUANTIZE if tensor.has_float_reader or not all(readers) else ""
    return QUANTIZE if any(readers) else ""
