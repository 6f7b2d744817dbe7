"""Functions of one 8-bit number as tables of its 256 values, and where the graph has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.qdq_graph import (
    QuantParams,
    only_consumer,
    quantize_params,
    shape_of,
)
from octavo.compiler.lowering.tensor import Tensor
from octavo.compiler.lowering.tflite_rounding import TFLITE
from octavo.compiler.lowering.tflite_tables import function_table, rescaled_table
from octavo.compiler.lowering.view import QdqView
from octavo.passes.elementwise import is_elementwise
from octavo.passes.elementwise_chains import computed_inputs, evaluate_chain

NUM_VALUES = 256
MAX_NODES = 64  # a longer chain is still right in float; this bounds the walks


@dataclass(frozen=True, eq=False)
class LookupChain:
    """DQ -> any elementwise graph of that one value (x * sigmoid(x), gelu(x), ...) -> Q.

    Attributes:
        source: The dequantized value.
        nodes: The operators between source and result, in graph order; not Q.
        end: The QuantizeLinear.
        params: Its quantization.
    """

    source: ir.Value
    nodes: tuple[ir.Node, ...]
    end: ir.Node
    params: QuantParams

    def table(
        self, before: QuantParams | Tensor, dtype: str, mode: str = "float32"
    ) -> NDArray[Any]:
        """(256,) results stored as ``dtype``, by the byte of a number stored as ``before``."""
        if mode == TFLITE and len(self.nodes) == 1:
            found = function_table(self.nodes[0], before, self.params.stored_as(dtype))
            if found is not None:
                return found
        with np.errstate(all="ignore"):
            real = stored_values(before).astype(np.float64)
            values = evaluate_chain(self.nodes, self.source, real)
        return quantize_array(values, self.params.stored_as(dtype))


def find_chain(end: ir.Node, view: QdqView) -> LookupChain | None:
    """Walk back from a QuantizeLinear to the one dequantized source, or None."""
    start = end.inputs[0] if end.op_type == "QuantizeLinear" else None
    params = quantize_params(end) if start is not None else None
    if start is None or params is None:
        return None
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
    nodes = tuple(sorted(members, key=view.order.__getitem__))
    return LookupChain(source, nodes, end, params)


def following_chain(stored: ir.Value, view: QdqView) -> tuple[ir.Node, LookupChain] | None:
    """The DequantizeLinear and the chain that are all that reads a stored value, or None."""
    first = only_consumer(stored)
    if first is None or first.op_type != "DequantizeLinear" or first in view.claimed:
        return None
    source = first.outputs[0]
    end = _next_quantizer(source)
    chain = find_chain(end, view) if end is not None and end not in view.claimed else None
    if chain is None or chain.source is not source or source.is_graph_output():
        return None
    inside = {*chain.nodes, chain.end}
    if any(use.node not in inside for use in source.uses()):
        return None
    return (first, chain) if view.claimed.isdisjoint(chain.nodes) else None


def _next_quantizer(value: ir.Value) -> ir.Node | None:
    """The first QuantizeLinear behind a value, through elementwise operators only."""
    pending, seen = [value], set[ir.Node]()
    while pending and len(seen) <= MAX_NODES:
        for use in pending.pop(0).uses():
            if use.node.op_type == "QuantizeLinear":
                return use.node
            if use.node not in seen and is_elementwise(use.node):
                seen.add(use.node)
                pending.append(use.node.outputs[0])
    return None


def requantize_table(
    before: QuantParams | Tensor, after: QuantParams, mode: str = "float32"
) -> NDArray[Any]:
    """Table from the stored integers of one quantization to those of another."""
    if mode == TFLITE:
        return rescaled_table(before, after)
    return quantize_array(stored_values(before), after)


def compose(tables: Sequence[NDArray[Any]]) -> NDArray[Any] | None:
    """One table for several that are applied in order; None for none."""
    if not tables:
        return None
    found = tables[0]
    for table in tables[1:]:
        found = table[found.view(np.uint8)]
    return found


def stored_values(params: QuantParams | Tensor) -> NDArray[np.float32]:
    """(256,) real numbers that the stored bytes 0 to 255 stand for."""
    integers = np.arange(NUM_VALUES, dtype=np.uint8).view(params.dtype).astype(np.int32)
    return (integers - params.zero_point).astype(np.float32) * np.float32(params.scale)


def quantize_array(real: NDArray[np.floating], params: QuantParams) -> NDArray[Any]:
    """Quantize as ONNX does: divide, round half to even, saturate."""
    steps = np.rint(real.astype(np.float32) / np.float32(params.scale))
    moved = np.nan_to_num(steps, nan=0.0) + params.zero_point
    limited: NDArray[Any] = np.clip(moved, params.qmin, params.qmax)
    return limited.astype(params.dtype)
