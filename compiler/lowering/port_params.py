"""What the integers of a model input or output mean: the parameters of the nearest Q or DQ.

Operators that only move elements in between change nothing.
"""

import onnx_ir as ir

from octavo.compiler.lowering.qdq_graph import (
    EIGHT_BITS,
    QuantParams,
    operand,
    quantize_params,
)
from octavo.compiler.lowering.view import moves_elements


def read_params(value: ir.Value) -> QuantParams | None:
    """Parameters by which integers are dequantized, or None where nothing does."""
    if value.dtype not in EIGHT_BITS:
        return None
    pending, seen = [value], {value}
    while pending:
        for use in pending.pop().uses():
            if use.idx != 0:
                continue
            if use.node.op_type == "DequantizeLinear":
                params = quantize_params(use.node)
                if params is not None:
                    return params
            elif moves_elements(use.node):
                fresh = [output for output in use.node.outputs if output not in seen]
                pending.extend(fresh)
                seen.update(fresh)
    return None


def written_params(value: ir.Value) -> QuantParams | None:
    """Parameters by which integers were quantized, or None where nothing did."""
    current: ir.Value | None = value
    while current is not None and (node := current.producer()) is not None:
        if node.op_type == "QuantizeLinear":
            return quantize_params(node)
        if not moves_elements(node):
            return None
        current = operand(node, 0)
    return read_params(current) if current is not None else None
