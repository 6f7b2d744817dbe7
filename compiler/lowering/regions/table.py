"""Functions of one quantized tensor that no kernel computes at its end.

DQ -> any single-input elementwise graph (x * sigmoid(x), gelu(x), ...) -> Q
"""

import onnx_ir as ir

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.lookup import LookupChain, find_chain
from octavo.compiler.lowering.view import QdqView


def match(node: ir.Node, view: QdqView) -> Region | None:
    """Anchored at the QuantizeLinear: walk back to the one dequantized source."""
    chain = find_chain(node, view)
    if chain is None:
        return None
    nodes = (*chain.nodes, node)

    def emit(ctx: Context) -> None:
        _emit(ctx, chain, Region(nodes, emit))

    return Region(nodes, emit)


def _emit(ctx: Context, chain: LookupChain, region: Region) -> None:
    tensor = ctx.tensor(chain.source)
    output = ctx.new_quantized(chain.end.outputs[0], chain.params, tensor.order)
    table = chain.table(tensor, output.dtype, ctx.mode)
    ctx.move(tensor, output, {"table": table}, "table", region.origin())
