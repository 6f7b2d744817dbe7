"""How exporters write what happens along edges: gathers, scatters, means, maxima, softmax.

Two styles. "elements" is PyTorch Geometric's: index_select and scatter_add become Gather and
ScatterElements whose indices are expanded to the shape of the messages. "nd" is plain
PyTorch's: x[index] and index_add become GatherND and ScatterND. Both are from exports of
PyTorch 2.13 (dynamo) and PyTorch Geometric 2.8, opset 18.
"""

import numpy as np
from onnx import numpy_helper

from examples.graphs.onnx_writer import Writer

LOWEST = float(np.finfo(np.float32).min)
STYLES = ("elements", "nd")


class EdgeNodes:
    """Appends the nodes of one edge_index.

    Attributes:
        num_nodes: N, or None where the model learns it at run time, from its input "x".
        num_edges: E, or None where the model learns it at run time.
        extra: Name of the value with a number or a vector for each edge; "" where none.
    """

    def __init__(
        self,
        writer: Writer,
        num_nodes: int | None,
        num_edges: int | None,
        *,
        extra: str = "",
        style: str = "elements",
        edge_index: str = "edge_index",
    ) -> None:
        """Split the value edge_index (2, E) into sources and destinations."""
        if style not in STYLES:
            raise ValueError(f"style {style!r}; allowed: {', '.join(STYLES)}")
        self.num_nodes, self.num_edges, self.extra = num_nodes, num_edges, extra
        self._writer, self._style, self._edge_index = writer, style, edge_index
        if style == "nd":
            self._source, self._destination = (self._indices_nd(end) for end in (0, 1))
            return
        self._source, self._destination = (
            writer.add("Gather", [edge_index, writer.constant(end)], "edges", axis=0)
            for end in (0, 1)
        )

    def source(self, x: str, name: str) -> str:
        """Append the gather of x (N, ...) at the edges' sources: (E, ...)."""
        return self._gather(x, self._source, name)

    def destination(self, x: str, name: str) -> str:
        """Append the gather of x (N, ...) at the edges' destinations: (E, ...)."""
        return self._gather(x, self._destination, name)

    def weighted(self, messages: str, num_axes: int, name: str) -> str:
        """Append the product of messages (E, ...) with the number of each edge, (E,)."""
        weight = self._writer.reshape(self.extra, [-1, *[1] * (num_axes - 1)], name)
        return self._writer.add("Mul", [weight, messages], name)

    def sum(self, messages: str, shape: tuple[int, ...], name: str) -> str:
        """Append the sum of messages (E, *shape) at each destination: (N, *shape)."""
        zeros = self._fill(shape, name)
        if self._style == "nd":
            parts = [zeros, self._destination, messages]
            return self._writer.add("ScatterND", parts, name, reduction="add")
        return self._scatter(zeros, messages, shape, "add", name)

    def degree(self, name: str) -> str:
        """Append the number of edges that end in each node: (N,), float32."""
        if self.num_edges is None:
            one = self._writer.constant(1, np.float32)
            ones = self._writer.add("Expand", [one, self._edge_shape((), name)], name)
        else:
            ones = self._writer.constant(np.ones(self.num_edges), np.float32)
        return self.sum(ones, (), name)

    def mean(self, messages: str, shape: tuple[int, ...], name: str) -> str:
        """Append the mean at each destination, 0 where no edge ends: (N, *shape)."""
        count = self._writer.add(
            "Max", [self.degree(name), self._writer.constant(1, np.float32)], name
        )
        total = self.sum(messages, shape, name)
        column = self._writer.reshape(count, [-1, *[1] * len(shape)], name)
        full = self._node_shape(shape, name)
        count = self._writer.add("Expand", [column, full], name)
        return self._writer.add("Div", [total, count], name)

    def max(self, messages: str, shape: tuple[int, ...], name: str) -> str:
        """Append the maximum at each destination, 0 where no edge ends: (N, *shape).

        The first scatter puts the lowest number where an edge ends: it is how the exporter
        writes include_self=False.

        Raises:
            ValueError: The style is "nd": no exporter writes it.
        """
        if self._style == "nd":
            raise ValueError("maxima along edges have no style 'nd'; allowed: elements")
        lowest = self._writer.add(
            "ConstantOfShape",
            [self._edge_shape(shape, name)],
            name,
            value=numpy_helper.from_array(np.array([LOWEST], np.float32)),
        )
        start = self._scatter(self._fill(shape, name), lowest, shape, "min", name)
        return self._scatter(start, messages, shape, "max", name)

    def softmax(self, scores: str, num_heads: int, name: str) -> str:
        """Append the softmax of scores (E, H) among the edges into the same node: (E, H)."""
        highest = self.max(scores, (num_heads,), name)
        shifted = self._writer.add("Sub", [scores, self.destination(highest, name)], name)
        exps = self._writer.add("Exp", [shifted], name)
        total = self.destination(self.sum(exps, (num_heads,), name), name)
        return self._writer.add("Div", [exps, total], name)

    def _gather(self, x: str, index: str, name: str) -> str:
        if self._style == "nd":
            return self._writer.add("GatherND", [x, index], name)
        flat = self._writer.reshape(index, [-1], "edges")
        return self._writer.add("Gather", [x, flat], name, axis=0)

    def _indices_nd(self, end: int) -> str:
        writer = self._writer
        bounds = [writer.constant([k]) for k in (end, end + 1, 0)]
        row = writer.add("Slice", [self._edge_index, *bounds], "edges")
        row = writer.add("Squeeze", [row, writer.constant([0])], "edges")
        return writer.add("Unsqueeze", [row, writer.constant([-1])], "edges")

    def _fill(self, shape: tuple[int, ...], name: str) -> str:
        if self._style == "nd" and self.num_nodes is not None:
            return self._writer.constant(np.zeros((self.num_nodes, *shape)), np.float32)
        return self._writer.add("ConstantOfShape", [self._node_shape(shape, name)], name)

    def _node_shape(self, shape: tuple[int, ...], name: str) -> str:
        """Return the value that holds (N, *shape)."""
        return self._writer.sizes(self.num_nodes, "x", shape, name)

    def _edge_shape(self, shape: tuple[int, ...], name: str) -> str:
        """Return the value that holds (E, *shape)."""
        if self.num_edges is not None:
            return self._writer.constant([self.num_edges, *shape])
        length = self._writer.add("Shape", [self._edge_index], name, start=1)
        if not shape:
            return length
        return self._writer.add("Concat", [length, self._writer.constant(shape)], name, axis=0)

    def _scatter(
        self, data: str, messages: str, shape: tuple[int, ...], reduction: str, name: str
    ) -> str:
        index = self._destination
        if shape:
            column = self._writer.reshape(index, [-1, *[1] * len(shape)], name)
            index = self._writer.add("Expand", [column, self._edge_shape(shape, name)], name)
        parts = [data, index, messages]
        return self._writer.add("ScatterElements", parts, name, axis=0, reduction=reduction)
