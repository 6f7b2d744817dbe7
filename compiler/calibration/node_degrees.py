"""How many edges end at each node of the graphs that samples hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.message_passing.adjacency import constant_edges
from octavo.passes.message_passing.counts import counts_of
from octavo.passes.message_passing.find import recognize
from octavo.passes.message_passing.node_index import NodeIndex
from octavo.passes.wiring import static_shape

Degrees = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NodeDegrees:
    """Where degrees come from, for each number of nodes that a network has.

    Attributes:
        given: The node of each edge, as samples give it.
        stored: Degrees (nodes,) of graphs that are part of the model.
        counts: The input that says how many edges of a given index are in use, by what holds
            the index; where their number is fixed there is none.
    """

    given: Mapping[int, NodeIndex]
    stored: Mapping[int, Degrees]
    counts: Mapping[ir.Value, ir.Value]

    @classmethod
    def of(cls, graph: ir.Graph) -> "NodeDegrees":
        """Find the edges of the message passing of a graph; the first of each size count."""
        given: dict[int, NodeIndex] = {}
        stored: dict[int, Degrees] = {}
        for passing in recognize(graph).passings:
            adjacency = passing.adjacency
            size = adjacency.num_targets
            if size in given or size in stored:
                continue
            ends = constant_edges(adjacency)
            if ends is not None:
                stored[size] = np.bincount(ends[1], minlength=size)
            elif adjacency.targets is not None:
                given[size] = adjacency.targets
        return cls(given, stored, _counts(graph, given.values()))

    @property
    def origins(self) -> tuple[ir.Value, ...]:
        """What has to be known of a sample."""
        return tuple(dict.fromkeys(index.origin for index in self.given.values()))

    def count(self, arrays: Mapping[str, NDArray[Any]]) -> dict[int, Degrees]:
        """Degrees (nodes,) by the number of nodes.

        Args:
            arrays: The ``origins`` of one sample, by name; and what counts the edges in use,
                where there are more.
        """
        found = dict(self.stored)
        for size, index in self.given.items():
            array = np.moveaxis(arrays[index.origin.name or ""], index.axis, 0)
            numbers = array.reshape(len(array), -1)[:, index.row or 0].astype(np.int64)
            count = self.counts.get(index.origin)
            counted = None if count is None else arrays.get(count.name or "")
            if counted is not None:  # what lies behind the edges in use is no edge
                numbers = numbers[: int(counted.reshape(-1)[0])]
            inside = numbers[(numbers >= -size) & (numbers < size)]
            found[size] = np.bincount(inside % size, minlength=size)
        return found

    def size_of(self, value: ir.Value) -> int | None:
        """The number of nodes along the first axis of a tensor of features, else None."""
        shape = static_shape(value)
        if shape is None or len(shape) < 2:
            return None
        return shape[0] if shape[0] in self.given or shape[0] in self.stored else None


def _counts(graph: ir.Graph, indices: Iterable[NodeIndex]) -> dict[ir.Value, ir.Value]:
    inputs = {value.name: value for value in graph.inputs}
    found = {}
    for index in indices:
        for count in counts_of(graph):
            is_counted = count.inputs.get(index.origin.name or "") == index.axis
            if is_counted and count.input in inputs and index.origin in graph.inputs:
                found[index.origin] = inputs[count.input]
    return found
