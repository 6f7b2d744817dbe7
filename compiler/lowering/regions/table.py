"""Elementwise operators of one quantized tensor -> a 256-entry table.

DQ -> any single-input elementwise graph (x * sigmoid(x), gelu(x), ...) -> Q
"""

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.qdq_graph import QuantParams, operand, quantize_params, shape_of
from octavo.compiler.lowering.regions.quantize import quantize_array
from octavo.compiler.lowering.view import QdqView
from octavo.passes.elementwise import is_elementwise
from octavo.passes.elementwise_chains import computed_inputs, evaluate_chain

MAX_NODES = 64  # a longer chain is still right in float; this bounds the backward walk


def match(node: ir.Node, view: QdqView) -> Region | None:
    """Anchored at the QuantizeLinear: walk back to the one dequantized source."""
    if node.op_type != "QuantizeLinear" or operand(node, 0) is None:
        return None
    params = quantize_params(node)
    found = _chain(node, view)
    if params is None or found is None:
        return None
    source, chain = found
    nodes = (*chain, node)

    def emit(ctx: Context) -> None:
        _emit(ctx, source, chain, node.outputs[0], params, Region(nodes, emit))

    return Region(nodes, emit)


def _chain(end: ir.Node, view: QdqView) -> tuple[ir.Value, list[ir.Node]] | None:
    """The source and the nodes between it and ``end``, in graph order."""
    start = end.inputs[0]
    assert start is not None
    sources: dict[ir.Value, None] = {}
    members: dict[ir.Node, None] = {}
    pending = [start]
    while pending:
        value = pending.pop()
        if view.is_dequantized(value):
            sources[value] = None
            continue
        producer = value.producer()
        if producer is None or not is_elementwise(producer) or len(members) > MAX_NODES:
            return None
        if producer not in members:
            members[producer] = None
            pending.extend(computed_inputs(producer))
    if len(sources) != 1 or not members:
        return None
    source = next(iter(sources))
    inside = {*members, end}
    for member in members:
        output = member.outputs[0]
        if output.is_graph_output() or shape_of(output) != shape_of(source):
            return None
        if any(use.node not in inside for use in output.uses()):
            return None
    return source, sorted(members, key=view.order.__getitem__)


def _emit(
    ctx: Context,
    source: ir.Value,
    chain: list[ir.Node],
    result: ir.Value,
    params: QuantParams,
    region: Region,
) -> None:
    tensor = ctx.tensor(source)
    stored = params.stored_as(ctx.activation_dtype)
    integers = np.arange(256, dtype=np.uint8).view(tensor.dtype).astype(np.int32)
    real = (integers - tensor.zero_point).astype(np.float32) * np.float32(tensor.scale)
    with np.errstate(all="ignore"):
        values = evaluate_chain(chain, source, real.astype(np.float64))
    output = ctx.new_quantized(result, params, tensor.order)
    ctx.move(
        tensor, output, {"table": quantize_array(values, stored)}, "table", region.origin()
    )
