"""Largest size -> size in use: a model that runs at once on as many rows as it is given.

The graph of a counted dimension has its largest size everywhere. Behind this pass the inputs
have the dimension by name, and every value as many rows as they have; operands that say a
shape and values that have all rows (constants, for one) are cut to fit. It is the model that
was exported, as passes have changed it since: for ONNX Runtime, not for what needs sizes.
"""

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.passes.constants import NameSource, constant_array
from octavo.passes.message_passing.axes import Shared, axis_of_input
from octavo.passes.message_passing.counted_axes import (
    CountedAxis,
    counted_axes,
    present_counts,
)
from octavo.passes.message_passing.counts import Count, counts_of, declare_counts
from octavo.passes.wiring import is_op, static_shape


def open_counts(model: ir.Model) -> ir.Model:
    """Give counted dimensions the sizes of the inputs.

    Args:
        model: With counts, or a part of such a model; any other is returned as it is. Not
            changed.

    Returns:
        A model without the inputs that count, whose values have the dimensions by name.
    """
    if not counts_of(model.graph):
        return model
    opened = model.clone()
    _Opening(opened.graph).run()
    RemoveUnusedNodesPass()(opened)
    return opened


class _Opening:
    """The rewrite of one graph."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._names = NameSource(graph)
        self._known = counted_axes(graph)
        self._sizes: dict[str, ir.Value] = {}
        self._cut: dict[tuple[ir.Value, int], ir.Value] = {}

    def run(self) -> None:
        graph, counts = self._graph, counts_of(self._graph)
        nodes = list(graph)
        for value in self._all_rows(counts):
            cut = self._first_rows(value, self._known[value], None)
            value.replace_all_uses_with(cut, replace_graph_outputs=False)
            self._own(value, cut)
        for node in nodes:
            self._open(node)
        for value in list(graph.outputs):
            self._open_output(value, counts)
        for value in (*graph.inputs, *(output for node in graph for output in node.outputs)):
            if value in self._known:
                value.shape = _named(value, self._known[value])
        counting = {count.input for count in counts}
        for value in [value for value in graph.inputs if value.name in counting]:
            graph.inputs.remove(value)
        declare_counts(graph, ())

    def _all_rows(self, counts: tuple[Count, ...]) -> list[ir.Value]:
        """Constants, and what repeats one row, that have every row."""
        named = {name for count in counts for name in count.constants}
        values = [*self._graph.initializers.values()]
        values += [output for node in self._graph for output in node.outputs]
        return [v for v in values if v.name in named and v in self._known and v.uses()]

    def _own(self, value: ir.Value, cut: ir.Value) -> None:
        """Let the node that cuts a value read it, though all others read what is cut."""
        node = cut.producer()
        assert node is not None
        node.replace_input_with(0, value)
        self._known[cut] = self._known.pop(value)

    def _open(self, node: ir.Node) -> None:
        made = next((self._known[v] for v in node.outputs if v in self._known), None)
        if is_op(node, "ScatterElements", "ScatterND"):
            self._open_scatter(node)
            return
        if made is None:
            return
        if is_op(node, "Reshape", "Expand") and constant_array(node.inputs[1]) is not None:
            self._open_shape(node, made)
        elif (
            is_op(node, "Gather", "GatherElements", "GatherND")
            and node.inputs[1] in self._known
        ):
            return
        for position, operand in enumerate(node.inputs):
            if operand is None or operand in self._known:
                continue
            before = axis_of_input(node, position, made.axis)
            if before is not None and not isinstance(before, Shared):
                found = CountedAxis(before, made.count)
                node.replace_input_with(position, self._first_rows(operand, found, node))

    def _open_shape(self, node: ir.Node, made: CountedAxis) -> None:
        """Write the shape that a Reshape or Expand is asked for without the size."""
        shape = list(static_shape(node.outputs[0]) or ())
        # An Expand leaves as it is what it is asked to bring to 1.
        shape[made.axis] = -1 if is_op(node, "Reshape") else 1
        node.replace_input_with(1, self._constant(f"{node.name}/shape", shape))

    def _open_scatter(self, node: ir.Node) -> None:
        """Cut to the rows in use what is scattered, where the index has them."""
        index = self._known.get(node.inputs[1]) if node.inputs[1] is not None else None
        values = node.inputs[2]
        if index is None or values is None or values in self._known:
            return
        shape = static_shape(values) or ()
        if index.axis < len(shape) and shape[index.axis] == index.count.maximum:
            node.replace_input_with(2, self._first_rows(values, index, node))

    def _open_output(self, value: ir.Value, counts: tuple[Count, ...]) -> None:
        count = next((count for count in counts if value.name in count.outputs), None)
        if count is None or value in self._known or count not in present_counts(self._graph):
            return
        axis = CountedAxis(count.outputs[value.name or ""], count)
        cut = self._first_rows(value, axis, None)
        position = list(self._graph.outputs).index(value)
        name = value.name
        value.name = self._names.fresh(f"{name}/all_rows")
        cut.name = name
        self._graph.outputs[position] = cut

    def _first_rows(
        self, value: ir.Value, found: CountedAxis, reader: ir.Node | None
    ) -> ir.Value:
        """The rows in use of a value that has all of them; in front of ``reader``."""
        if (value, found.axis) in self._cut:
            return self._cut[value, found.axis]
        node = ir.node(
            "Slice",
            [
                value,
                self._constant(f"{value.name}/first", [0]),
                self._size(found.count),
                self._constant(f"{value.name}/axis", [found.axis]),
            ],
            name=self._names.fresh(f"{value.name}/rows_in_use"),
        )
        cut = node.outputs[0]
        cut.name, cut.shape, cut.type = node.name, value.shape, value.type
        producer = value.producer()
        if producer is not None:
            self._graph.insert_after(producer, node)
        else:
            size = self._size(found.count).producer()
            assert size is not None
            self._graph.insert_after(size, node)
        self._known[cut] = found
        self._cut[value, found.axis] = cut
        return cut

    def _size(self, count: Count) -> ir.Value:
        """How many rows there are, (1,): the size of the first input that has them."""
        if count.dimension not in self._sizes:
            inputs = {value.name: value for value in self._graph.inputs}
            name = next(name for name in count.inputs if name in inputs)
            axis = count.inputs[name]
            node = ir.node(
                "Shape",
                [inputs[name]],
                {"start": axis, "end": axis + 1},
                name=self._names.fresh(f"{count.dimension}/in_use"),
            )
            size = node.outputs[0]
            size.name, size.dtype, size.shape = node.name, ir.DataType.INT64, ir.Shape([1])
            self._graph.insert_before(self._graph[0], node)
            self._sizes[count.dimension] = size
        return self._sizes[count.dimension]

    def _constant(self, hint: str, numbers: list[int]) -> ir.Value:
        name = self._names.fresh(hint)
        tensor = ir.tensor(np.asarray(numbers, np.int64), name=name)
        value = ir.Value(name=name, const_value=tensor)
        value.dtype, value.shape = ir.DataType.INT64, ir.Shape([len(numbers)])
        self._graph.register_initializer(value)
        return value


def _named(value: ir.Value, found: CountedAxis) -> ir.Shape:
    dims: list[int | str] = list(static_shape(value) or ())
    dims[found.axis] = found.count.dimension
    return ir.Shape(dims)
