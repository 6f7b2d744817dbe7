"""Edges that layers of message passing share: put in the order of nodes once for all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.tensor import Tensor
from octavo.passes.message_passing.forms import Form, Kind
from octavo.passes.message_passing.node_index import NodeIndex

Coefficients = tuple[ir.Value, str]
CountInput = Callable[[NodeIndex], ir.Value | None]


@dataclass(frozen=True, eq=False)
class ConstantEdges:
    """Edges that are part of the model.

    Attributes:
        offsets: (nodes + 1,) int32: where the edges of each node begin.
        places: (edges,) int32, row of x of each edge; None where nothing is gathered.
        ids: (edges,) int32: which edge it is.
    """

    offsets: NDArray[np.int32]
    places: NDArray[np.int32] | None
    ids: NDArray[np.int32]

    @property
    def max_degree(self) -> int:
        """Most edges into one node."""
        return int(np.diff(self.offsets).max(initial=0))


@dataclass(frozen=True, eq=False)
class EdgeTensors:
    """The order of edges as inputs of kernels, see ``octavo.targets.ops.edge_order``."""

    offsets: Tensor
    places: Tensor | None
    ids: Tensor | None


@dataclass(eq=False)
class EdgeList:
    """Edges that aggregations share.

    Attributes:
        head: Of the first aggregation.
        targets: Node of each edge.
        sources: Row of x of each edge; None where nothing is gathered.
        num_nodes: Nodes that receive.
        num_sources: Rows that are gathered from.
        num_edges: Edges, at most.
        count: The input that says how many of them are in use, or None.
        has_ids: Something that is no coefficient is found by the number of the edge.
        by_edge: Coefficients by the number of the edge, and the type that they are read as.
        max_degree: Edges into one node, at most, so that no sum overflows; 0 for any number.
        tensors: The order as inputs, once something has asked for it.
        factors: Coefficients by the number of the edge, by the value that they are.
        ordered: Coefficients that were put in the order of nodes with the edges.
    """

    head: ir.Node
    targets: NodeIndex
    sources: NodeIndex | None
    num_nodes: int
    num_sources: int
    num_edges: int
    count: ir.Value | None
    has_ids: bool = False
    by_edge: set[Coefficients] = field(default_factory=set)
    max_degree: int = 0
    tensors: EdgeTensors | None = None
    factors: dict[ir.Value, Tensor] = field(default_factory=dict)
    ordered: dict[Coefficients, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._constant: ConstantEdges | None = None

    @property
    def is_constant(self) -> bool:
        """Whether the edges are part of the model, all of them in use."""
        given = [index for index in (self.targets, self.sources) if index is not None]
        return self.count is None and all(index.numbers() is not None for index in given)

    @property
    def name(self) -> str:
        """Of what makes the order."""
        return f"{self.targets.origin.name}.order"

    def limit_degree(self, most: int) -> None:
        """Let no node have more edges than this."""
        if most < self.num_edges:
            self.max_degree = min(self.max_degree or most, most)

    def constant(self) -> ConstantEdges:
        """The order of constant edges."""
        if self._constant is None:
            nodes = _rows(self.targets, self.num_nodes)
            order = np.argsort(nodes, kind="stable").astype(np.int32)
            degrees = np.bincount(nodes, minlength=self.num_nodes)
            offsets = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int32)
            places = None
            if self.sources is not None:
                places = _rows(self.sources, self.num_sources)[order].astype(np.int32)
            self._constant = ConstantEdges(offsets, places, order)
        return self._constant


class EdgeLists:
    """Every list of edges of a graph.

    Args:
        count_input: The graph input with the number of an index that is in use, or None.
    """

    def __init__(self, count_input: CountInput) -> None:
        self._count_input = count_input
        self._lists: list[EdgeList] = []

    def __iter__(self) -> Iterator[EdgeList]:
        """Those that were asked for, in that order."""
        return iter(self._lists)

    def of(self, form: Form) -> EdgeList | None:
        """The edges of a form, None where numbers of both ends have different types."""
        if form.targets is None:
            return None
        if form.sources is not None:
            types = {form.sources.origin.dtype, form.targets.origin.dtype}
            if len(types) > 1 and not _are_constant(form.sources, form.targets):
                return None
        for known in self._lists:
            if _joins(known, form):
                if known.sources is None and form.sources is not None:
                    known.sources, known.num_sources = form.sources, form.num_sources
                return known
        found = EdgeList(
            form.head,
            form.targets,
            form.sources,
            form.num_nodes,
            form.num_sources,
            form.num_edges,
            self._count_input(form.targets),
            has_ids=form.kind is Kind.MESSAGES,
        )
        self._lists.append(found)
        return found


def _joins(known: EdgeList, form: Form) -> bool:
    if form.targets is None or not known.targets.same_as(form.targets):
        return False
    if (known.num_nodes, known.num_edges) != (form.num_nodes, form.num_edges):
        return False
    if known.sources is None or form.sources is None:
        constant = [
            i is None or i.numbers() is not None for i in (known.sources, form.sources)
        ]
        # Joined, constant edges would no longer be constant.
        return all(constant) or known.targets.numbers() is None
    same = known.sources.same_as(form.sources)
    return same and known.num_sources == form.num_sources


def _are_constant(*indices: NodeIndex) -> bool:
    return all(index.numbers() is not None for index in indices)


def _rows(index: NodeIndex, extent: int) -> NDArray[np.int64]:
    """Node numbers of a constant index; negative ones count from the last."""
    numbers = index.numbers()
    assert numbers is not None
    return numbers % extent
