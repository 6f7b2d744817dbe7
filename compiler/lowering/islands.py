"""Nodes without a kernel of ours, gathered into islands that TVM compiles in float.

An island is emitted when something needs one of its results: by then everything that it reads
has been computed, and as many neighbours as possible have joined it.
"""

from functools import partial

import onnx_ir as ir

from octavo.compiler.lowering.builder import Origin
from octavo.compiler.lowering.context import Context, origin_of
from octavo.compiler.lowering.elementwise_order import order_of, permuted, storage_order
from octavo.compiler.lowering.float_island import FloatIsland, FloatStep, lower_float_nodes
from octavo.compiler.lowering.index_bounds import check_indices
from octavo.compiler.lowering.program import Buffer
from octavo.compiler.lowering.program import Operand as Pointer
from octavo.compiler.lowering.qdq_graph import dtype_of, shape_of
from octavo.compiler.lowering.relax_walk import Operand
from octavo.compiler.lowering.tensor import Order, Tensor, dense_strides, identity
from octavo.compiler.lowering.view import QdqView


class IslandQueue:
    """Waiting nodes, in graph order.

    Attributes:
        opset: Version of the standard operators of the model.
    """

    def __init__(self, ctx: Context, view: QdqView) -> None:
        self.opset = int(view.graph.opset_imports.get("", 0))
        self._ctx = ctx
        self._view = view
        self._waiting: dict[ir.Node, None] = {}

    def add(self, node: ir.Node) -> None:
        """Leave a node for later; what could make it read wild memory is checked at once."""
        check_indices(self._ctx, node)
        self._waiting[node] = None

    def flush_for(self, value: ir.Value) -> None:
        """Emit the island that computes a value, if one waits."""
        producer = value.producer()
        if producer is not None and producer in self._waiting:
            self._emit(self._island_of(producer))

    def _island_of(self, start: ir.Node) -> list[ir.Node]:
        """The waiting nodes that are connected with ``start`` through values."""
        found, pending = {start}, [start]
        while pending:
            node = pending.pop()
            near = [v.producer() for v in node.inputs if v is not None]
            near += [use.node for output in node.outputs for use in output.uses()]
            for other in near:
                if other is not None and other in self._waiting and other not in found:
                    found.add(other)
                    pending.append(other)
        return [node for node in self._waiting if node in found]

    def _emit(self, nodes: list[ir.Node]) -> None:
        for node in nodes:
            del self._waiting[node]
        inside = set(nodes)
        outputs = [
            output
            for node in nodes
            for output in node.outputs
            if output.is_graph_output() or any(u.node not in inside for u in output.uses())
        ]
        order = storage_order(self._ctx, nodes)
        lowered = (nodes, outputs) if order is None else permuted(nodes, outputs, order)
        island = lower_float_nodes(*lowered, self.opset, self._ctx.builder.target)
        reason = self._view.island_reason(nodes)
        origin = origin_of(tuple(nodes), reason)
        _append(self._ctx, island, nodes, outputs, origin, order)


def _append(
    ctx: Context,
    island: FloatIsland,
    nodes: list[ir.Node],
    outputs: list[ir.Value],
    origin: Origin,
    order: Order | None,
) -> None:
    def order_for(value: ir.Value) -> Order:
        shape = shape_of(value)
        return identity(len(shape)) if order is None else order_of(shape, order)

    values = {v.name or "": v for node in nodes for v in node.inputs if v is not None}
    tensors = {
        name: ctx.plain(values[name], order_for(values[name])) for name in island.inputs
    }
    temporaries = {
        name: ctx.builder.arena(f"{origin.name}{name}", size)
        for name, size in island.temporary_bytes.items()
    }

    def buffer(operand: Operand) -> Buffer:
        if operand.data is not None:
            return ctx.builder.weights(origin.name, operand.data)
        if operand.name in tensors:
            return tensors[operand.name].buffer
        return temporaries[operand.name]

    for step in island.steps:
        first_written = len(step.operands) - step.num_written
        pointers = [
            Pointer(buffer(operand), is_written=index >= first_written)
            for index, operand in enumerate(step.operands)
        ]
        ctx.builder.append(
            ctx.builder.function(
                ("relax", step.key), "relax", partial(getattr, step, "function")
            ),
            pointers,
            _origin_of_step(step, origin),
            "float32",
            f"relax.{step.name}",
        )
    for value in outputs:
        shape = shape_of(value)
        strides = dense_strides(shape, order_for(value))
        found = buffer(island.results[value.name or ""])
        ctx.define(value, Tensor(found, dtype_of(value), shape, strides))


def _origin_of_step(step: FloatStep, origin: Origin) -> Origin:
    """One island is several steps; each keeps the island's nodes and tells what it does."""
    return Origin(f"{origin.name}.{step.name}", origin.op_types, origin.nodes, origin.reason)
