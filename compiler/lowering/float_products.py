"""Whether the products of a float layer are of float32 numbers, or of bfloat16 ones."""

import onnx_ir as ir

from octavo.compiler.lowering.context import Context
from octavo.errors import LoweringError
from octavo.targets.bfloat16_isa import Bfloat16Products
from octavo.targets.isa import Isa
from octavo.targets.library import select
from octavo.targets.ops.bfloat16_conv import Bfloat16Conv, bfloat16_conv
from octavo.targets.ops.conv import Conv

FLOAT32, BFLOAT16 = "float32", "bfloat16"
# Operators whose float layers are convolutions, or products with constant weights.
DENSE_OPERATORS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def wished_products(graph: ir.Graph, precision: str) -> dict[str, str]:
    """Products of all dense nodes, by name.

    Args:
        graph: The model.
        precision: "float32" or "bf16", as users say it.
    """
    if precision == FLOAT32:
        return {}
    return {node.name or "": BFLOAT16 for node in graph if node.op_type in DENSE_OPERATORS}


def with_products(ctx: Context, node: ir.Node, op: Conv) -> tuple[Conv, str]:
    """Take the products that are wished for a node, where the target has a kernel for them.

    Args:
        ctx: Knows the wishes.
        node: The layer.
        op: Its convolution of float32 numbers.

    Returns:
        The operation, and its placement.
    """
    wished = ctx.products.get(node.name or "", FLOAT32)
    on_cpu = ctx.builder.target.accelerator is None
    if wished == BFLOAT16 and on_cpu:
        rounded = rounded_conv(op, ctx.builder.isa)
        if rounded is not None:
            return rounded, BFLOAT16
    return op, FLOAT32


def rounded_conv(op: Conv, isa: Isa) -> Bfloat16Conv | None:
    """A float convolution with products of bfloat16 numbers; None where no kernel has them."""
    if not isinstance(isa, Bfloat16Products):
        return None
    rounded = bfloat16_conv(op, isa.bfloat16_sums)
    try:
        select(rounded, isa)
    except LoweringError:
        return None
    return rounded
