"""Run a model once for all samples, stopping wherever asked, with constants as they are then.

The tensors that the rest of the model needs are kept for each sample between two stops, so
that whoever changes a layer at every stop pays for one run of the network, not for as many as
it has layers.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.reference_run import Arrays, ReferenceRun
from octavo.passes.message_passing.counted_axes import counted_axes, declare_inputs
from octavo.passes.message_passing.counts import counts_of, declare_counts
from octavo.passes.wiring import static_shape

Stop = tuple[ir.Value, ...]


@dataclass(frozen=True, eq=False)
class Segment:
    """What is computed on the way to one stop.

    Attributes:
        inputs: Tensors of earlier segments, or of the model.
        outputs: What it computes that is asked for, here or later.
        kept: Everything that later segments need.
    """

    inputs: tuple[ir.Value, ...]
    outputs: tuple[ir.Value, ...]
    kept: tuple[ir.Value, ...]

    @property
    def num_bytes(self) -> int:
        """Memory of one sample while it runs."""
        return sum(_num_bytes(value) for value in {*self.inputs, *self.outputs, *self.kept})


class Frontier:
    """The tensors of a model at one stop after the other.

    Attributes:
        peak_bytes: Memory that tensors of one sample need at most.
    """

    def __init__(self, model: ir.Model, stops: Sequence[Stop]) -> None:
        """Plan a run.

        Args:
            model: With static shapes. What is behind a stop may change until the next is
                asked for: the values of constants, not nodes.
            stops: Tensors that will be asked for together, in the order of the graph.
        """
        self._model = model
        self._stops = stops
        self._segments = plan_segments(model.graph, stops)
        self._counted = counted_axes(model.graph)
        self._tensors: list[Arrays] = []
        self.peak_bytes = max((s.num_bytes for s in self._segments), default=0)

    def start(self, samples: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        """Begin at the inputs."""
        self._tensors = [dict(sample) for sample in samples]

    def advance(self, index: int) -> Iterator[Arrays]:
        """Compute the tensors of a stop for each sample; to be exhausted.

        Args:
            index: Of the stop: one more than the last time, 0 at first.

        Raises:
            ModelError: The model cannot be run.
        """
        segment = self._segments[index]
        wanted = [value.name or "" for value in self._stops[index]]
        kept = [value.name or "" for value in segment.kept]
        run = self._run_of(segment) if segment.outputs else None
        for number, known in enumerate(self._tensors):
            if run is not None:
                known.update(run.run(known))
            self._tensors[number] = {name: known[name] for name in kept}
            yield {name: known[name] for name in wanted}

    def _run_of(self, segment: Segment) -> ReferenceRun:
        graph = ir.convenience.extract(
            self._model.graph, list(segment.inputs), list(segment.outputs)
        )
        declare_counts(graph, counts_of(self._model.graph))
        declare_inputs(
            graph,
            {v.name or "": self._counted[v] for v in segment.inputs if v in self._counted},
        )
        part = ir.Model(graph, ir_version=self._model.ir_version)
        return ReferenceRun(part, list(graph.outputs))


def plan_segments(graph: ir.Graph, stops: Sequence[Stop]) -> list[Segment]:
    """What to compute and to keep for each stop, so that nothing is computed twice.

    What depends on constants alone is computed wherever it is needed.
    """
    varying = _varying(graph)
    made = {value: -1 for value in graph.inputs if value in varying}
    last: dict[ir.Value, int] = {}
    read: list[dict[ir.Value, None]] = []
    for index, stop in enumerate(stops):
        found: dict[ir.Value, None] = {}
        stack = list(stop)
        for value in stop:
            last[value] = index
        while stack:
            value = stack.pop()
            node = value.producer()
            if node is None or value in made:
                continue
            made.update((output, index) for output in node.outputs if output in varying)
            for source in _reads(node):
                if source in varying:
                    found[source] = None
                    last[source] = index
                    stack.append(source)
        read.append(found)
    segments = []
    for index, stop in enumerate(stops):
        later = tuple(v for v in made if made[v] <= index < last.get(v, -1))
        here = [v for v in (*stop, *later) if v not in varying or made[v] == index]
        before = tuple(v for v in read[index] if made[v] < index)
        segments.append(Segment(before, tuple(dict.fromkeys(here)), later))
    return segments


def _varying(graph: ir.Graph) -> set[ir.Value]:
    """Values that depend on the model's inputs."""
    varying = {value for value in graph.inputs if not value.is_initializer()}
    for node in graph:
        if any(value in varying for value in _reads(node)):
            varying.update(node.outputs)
    return varying


def _reads(node: ir.Node) -> Iterator[ir.Value]:
    """What a node reads, in its subgraphs too."""
    yield from (value for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        graphs: Sequence[ir.Graph] = ()
        if attribute.type == ir.AttributeType.GRAPH:
            graphs = (attribute.as_graph(),)
        elif attribute.type == ir.AttributeType.GRAPHS:
            graphs = attribute.as_graphs()
        for graph in graphs:
            for inner in ir.traversal.RecursiveGraphIterator(graph):
                for value in inner.inputs:
                    if value is not None and value.graph is node.graph:
                        yield value


def _num_bytes(value: ir.Value) -> int:
    size = int(np.prod(static_shape(value) or (1,), dtype=np.int64))
    return math.ceil(size * (value.dtype.itemsize if value.dtype is not None else 4))
