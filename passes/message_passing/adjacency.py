"""Which node sends to which: given at run time, or constant with its facts and its rows."""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.message_passing.node_index import NodeIndex
from octavo.passes.message_passing.stored_matrix import stored_numbers


@dataclass(frozen=True)
class AdjacencyFacts:
    """What is known of a constant graph.

    Attributes:
        max_in_degree: Most edges that end at one node, duplicates counted.
        max_out_degree: Most edges that start at one node.
        num_isolated: Nodes at which no edge ends.
        num_duplicate_edges: Edges beyond the first between the same ends.
        num_self_loops: Edges from a node to itself.
    """

    max_in_degree: int
    max_out_degree: int
    num_isolated: int
    num_duplicate_edges: int
    num_self_loops: int


@dataclass(frozen=True, eq=False)
class CompressedRows:
    """Edges sorted by the node where they end, in their order otherwise.

    Attributes:
        starts: (targets + 1,) int64: the edges of node t are starts[t] to starts[t + 1].
        sources: (edges,) int64.
        edges: (edges,) int64: which edge it was; places in the matrix row by row for a matrix.
        weights: (edges,) float32, or None for a list of edges.
    """

    starts: NDArray[np.int64]
    sources: NDArray[np.int64]
    edges: NDArray[np.int64]
    weights: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Adjacency:
    """Edges from source nodes to target nodes.

    Attributes:
        sources: Where each edge starts; None for a matrix, and where no node sends: messages
            are made of attributes of edges.
        targets: Where each edge ends; None for a matrix.
        matrix: Constant weights (targets, sources), most of them 0; or None. Stored as floats,
            or as integers behind a DequantizeLinear.
        transposed: Whether the matrix is stored as (sources, targets).
        num_sources: Nodes that can send; 0 if none does.
        num_targets: Nodes that can receive.
        num_edges: Entries of the index, or numbers that are not 0 in the matrix.
        facts: Of a constant graph, else None.
    """

    sources: NodeIndex | None
    targets: NodeIndex | None
    matrix: ir.Value | None
    transposed: bool
    num_sources: int
    num_targets: int
    num_edges: int
    facts: AdjacencyFacts | None

    @property
    def is_constant(self) -> bool:
        """Whether the graph is part of the model, rather than given at run time."""
        return self.facts is not None

    @property
    def degree_bound(self) -> int:
        """At how many edges a node can end at most: all of them where nothing is known."""
        return self.num_edges if self.facts is None else self.facts.max_in_degree


def indexed_adjacency(
    sources: NodeIndex | None, targets: NodeIndex, num_sources: int, num_targets: int
) -> Adjacency | str:
    """The adjacency of two lists of node numbers, or which number is out of range."""
    for index, size in ((sources, num_sources), (targets, num_targets)):
        numbers = index.numbers() if index is not None else None
        if numbers is not None and ((numbers < -size) | (numbers >= size)).any():
            wrong = numbers[(numbers < -size) | (numbers >= size)][0]
            return f"node number {wrong} is out of range: there are {size} nodes"
    found = Adjacency(
        sources, targets, None, False, num_sources, num_targets, targets.length, None
    )
    ends = constant_edges(found)
    if ends is None:
        return found
    facts = _facts(*ends, num_sources, num_targets, is_list=sources is not None)
    return Adjacency(
        sources, targets, None, False, num_sources, num_targets, targets.length, facts
    )


def matrix_adjacency(matrix: ir.Value, *, transposed: bool) -> Adjacency:
    """The adjacency of a constant matrix: an edge for each number that is not 0."""
    array = stored_numbers(matrix)
    if array is None or array.ndim != 2:
        raise ValueError(f"{matrix.name} is not a constant matrix")
    weights = array.T if transposed else array
    targets, sources = np.nonzero(weights)
    facts = _facts(sources, targets, weights.shape[1], weights.shape[0], is_list=True)
    num_targets, num_sources = weights.shape
    return Adjacency(
        None, None, matrix, transposed, num_sources, num_targets, len(sources), facts
    )


def constant_edges(
    adjacency: Adjacency,
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Sources and targets (edges,) of a constant graph, each at least 0; else None.

    Without source nodes every source is 0.
    """
    array = stored_numbers(adjacency.matrix)
    if array is not None:
        targets, sources = np.nonzero(array.T if adjacency.transposed else array)
        return sources, targets
    ends = adjacency.targets.numbers() if adjacency.targets is not None else None
    if ends is None:
        return None
    # Negative numbers count from the last node.
    ends = ends % adjacency.num_targets
    if adjacency.sources is None:
        return np.zeros_like(ends), ends
    starts = adjacency.sources.numbers()
    return None if starts is None else (starts % adjacency.num_sources, ends)


def compressed_rows(adjacency: Adjacency) -> CompressedRows | None:
    """The rows of a constant graph, None if it is given at run time."""
    ends = constant_edges(adjacency)
    if ends is None:
        return None
    sources, targets = ends
    order = np.argsort(targets, kind="stable")
    degrees = np.bincount(targets, minlength=adjacency.num_targets)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(degrees)])
    array = stored_numbers(adjacency.matrix)
    if array is None:
        return CompressedRows(starts, sources[order], order, None)
    matrix = array.T if adjacency.transposed else array
    places = targets * adjacency.num_sources + sources
    weights = np.asarray(matrix[targets, sources], np.float32)
    return CompressedRows(starts, sources[order], places[order], weights[order])


def _facts(
    sources: NDArray[np.int64],
    targets: NDArray[np.int64],
    num_sources: int,
    num_targets: int,
    *,
    is_list: bool,
) -> AdjacencyFacts:
    degrees = np.bincount(targets, minlength=num_targets)
    if not is_list:
        return AdjacencyFacts(int(degrees.max()), 0, int((degrees == 0).sum()), 0, 0)
    out_degrees = np.bincount(sources, minlength=num_sources)
    distinct = len(np.unique(targets * num_sources + sources))
    return AdjacencyFacts(
        int(degrees.max()),
        int(out_degrees.max()),
        int((degrees == 0).sum()),
        len(targets) - distinct,
        int((sources == targets).sum()) if num_sources == num_targets else 0,
    )
