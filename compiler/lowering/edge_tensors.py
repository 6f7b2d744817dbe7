"""The order of edges as kernels read it: made by a step of the program, or stored with it.

The step fails where a node number, the count of edges or the degree of a node is wrong.
"""

from octavo.compiler.lowering.builder import Origin
from octavo.compiler.lowering.context import Context, conversion_of
from octavo.compiler.lowering.edge_lists import Coefficients, EdgeList, EdgeTensors
from octavo.compiler.lowering.qdq_graph import dtype_of
from octavo.compiler.lowering.tensor import Tensor, identity
from octavo.errors import LoweringError
from octavo.passes.message_passing.node_index import NodeIndex
from octavo.targets.ops.edge_order import EdgeOrder, padded


def edge_tensors(
    ctx: Context, edges: EdgeList, carried: tuple[Coefficients, Tensor] | None = None
) -> EdgeTensors:
    """The order as inputs; what makes it is emitted when it is first wanted.

    Args:
        ctx: The program.
        edges: Every aggregation that reads them has said so.
        carried: Coefficients of one head by the number of the edge, with a tensor of them
            without gaps. If the order is made now, they are put in it as well, which is one
            step through memory for all layers: ``edges.ordered`` has them then.

    Raises:
        LoweringError: Node numbers and their count are of different types.
    """
    if edges.tensors is None and edges.is_constant:
        edges.tensors = _stored(ctx, edges)
    elif edges.tensors is None:
        edges.tensors = _ordered(ctx, edges, carried)
    return edges.tensors


def _stored(ctx: Context, edges: EdgeList) -> EdgeTensors:
    known = edges.constant()
    places = None
    if known.places is not None:
        stored = padded(known.places, edges.num_edges)
        places = ctx.constant(f"{edges.name}.places", stored)
    return EdgeTensors(
        ctx.constant(f"{edges.name}.offsets", known.offsets),
        places,
        ctx.constant(f"{edges.name}.ids", padded(known.ids, edges.num_edges)),
    )


def _ordered(
    ctx: Context, edges: EdgeList, carried: tuple[Coefficients, Tensor] | None
) -> EdgeTensors:
    left = edges.by_edge - ({carried[0]} if carried is not None else set())
    dtype = dtype_of(edges.targets.origin)
    op = EdgeOrder(
        nodes=edges.num_nodes,
        sources=1 if edges.sources is None else edges.num_sources,
        edges=edges.num_edges,
        index_dtype=dtype,
        gathers=edges.sources is not None,
        has_ids=edges.has_ids or bool(left),
        weight_dtype=None if carried is None else carried[1].dtype,
        has_count=edges.count is not None,
        max_degree=edges.max_degree,
    )
    indices = [index for index in (edges.sources, edges.targets) if index is not None]
    inputs = [index_tensor(ctx, index) for index in indices]
    if carried is not None:
        inputs.append(carried[1])
    if edges.count is not None:
        if dtype != dtype_of(edges.count):
            raise LoweringError(
                f"'{edges.targets.origin.name}' has node numbers of type {dtype};"
                f" with a count of them only {dtype_of(edges.count)}"
            )
        inputs.append(ctx.tensor(edges.count))
    sizes = {"offsets": op.nodes + 1}
    sizes |= {"places": op.places} if op.gathers else {}
    sizes |= {"ids": op.places} if op.has_ids else {}
    made = {
        name: ctx.new(f"{edges.name}.{name}", "int32", (size,), identity(1))
        for name, size in sizes.items()
    }
    if carried is not None:
        name = f"{edges.name}.weights"
        made["weights"] = ctx.new(name, carried[1].dtype, (edges.num_edges,), identity(1))
        edges.ordered[carried[0]] = made["weights"]
    origin = Origin(edges.name, (edges.head.op_type,), (edges.head.name or "",))
    ctx.builder.call(op, inputs, {}, list(made.values()), origin, "int8")
    return EdgeTensors(made["offsets"], made.get("places"), made.get("ids"))


def index_tensor(ctx: Context, index: NodeIndex) -> Tensor:
    """One number for each edge, without gaps."""
    tensor = ctx.tensor(index.origin)
    if index.row is not None:
        tensor = tensor.sliced(1 - index.axis, index.row, 1)
    flat = tensor.reshaped((index.length,))
    if flat is not None and flat.strides == (1,):
        return flat.addressed_directly()
    numbers = index.numbers()
    if numbers is not None:
        return ctx.constant(f"{index.origin.name}.row", numbers.astype(tensor.dtype))
    origin = conversion_of(index.origin, "row", "Gather")
    copied = ctx.dense(tensor, identity(tensor.rank), origin)
    flat = copied.reshaped((index.length,))
    assert flat is not None  # a dense tensor of as many elements
    return flat
