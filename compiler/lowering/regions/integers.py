"""Functions of an integer that is no quantized number: attention masks.

int64 mask -> Cast -> 1 - . -> * -1e4 -> Q           a table of its integers
bool mask -> Where(., 0, lowest) -> Q                a table of two numbers
"""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.lookup import quantize_array
from octavo.compiler.lowering.qdq_graph import (
    QuantParams,
    dtype_of,
    operand,
    quantize_params,
)
from octavo.compiler.lowering.view import QdqView
from octavo.passes.integer_functions import (
    IntegerFunction,
    evaluate_integers,
    integer_function,
)
from octavo.targets.ops.integer_table import IntegerTable

WINDOW = (-128, 127)  # integers that get an entry of their own
# Beyond these, sums of integers may overflow: nobody knows what a mask means there.
FAR = {"int64": 2**62, "int32": 2**30}


def match(node: ir.Node, view: QdqView) -> Region | None:
    """Anchored at the QuantizeLinear: walk back to the one integer."""
    if node.op_type != "QuantizeLinear":
        return None
    made, params = operand(node, 0), quantize_params(node)
    if made is None or params is None:
        return None
    function = integer_function(made)
    if function is None or not _is_closed(function, node):
        return None
    if view.is_dequantized(made) or not view.claimed.isdisjoint(function.nodes):
        return None
    found = _table(function, params)
    if found is None:
        return None
    low, values = found
    nodes = (*function.nodes, node)

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin()
        stored = params.stored_as(ctx.activation_dtype)
        tensor = ctx.tensor(function.source)
        if tensor.buffer_elements > tensor.num_elements:
            tensor = ctx.dense(tensor, tensor.order, origin)
        # what an Expand repeats is looked up once, and repeated behind the table
        size = tensor.buffer_elements
        made = ctx.new(node.outputs[0].name or "mask", stored.dtype, (size,), (0,))
        op = IntegerTable(
            elements=size,
            low=low,
            high=low + len(values) - 1,
            dtype=tensor.dtype,
            out_dtype=stored.dtype,
        )
        whole = replace(tensor, shape=(size,), strides=(1,), offset=0, address=0)
        table = {"table": _rounded(values, stored)}
        ctx.builder.call(op, [whole], table, [made], origin)
        viewed = replace(
            made,
            shape=tensor.shape,
            strides=tensor.strides,
            offset=tensor.offset,
            scale=stored.scale,
            zero_point=stored.zero_point,
        )
        ctx.define(node.outputs[0], viewed)

    return Region(nodes, emit, (function.source,))


def _is_closed(function: IntegerFunction, end: ir.Node) -> bool:
    """Whether nobody else reads what the table does not make."""
    inside = {*function.nodes, end}
    made = [node.outputs[0] for node in function.nodes]
    return not any(
        value.is_graph_output() or any(use.node not in inside for use in value.uses())
        for value in made
    )


def _table(
    function: IntegerFunction, params: QuantParams
) -> tuple[int, NDArray[np.float32]] | None:
    """The first integer and the real values from there, where the ends go on for ever."""
    dtype = dtype_of(function.source)
    limits = np.iinfo("uint8" if dtype == "bool" else dtype)
    most = 1 if dtype == "bool" else int(limits.max)
    far_low, far_high = -FAR.get(dtype, -int(limits.min)), FAR.get(dtype, most)
    low, high = max(WINDOW[0], far_low), min(WINDOW[1], far_high)
    if dtype == "uint8":
        high = most  # every value has an entry
    values = evaluate_integers(function, np.arange(low, high + 1).astype(dtype)).values
    for near, far in ((low, far_low), (high, far_high)):
        if near != far and not _goes_on(function, near, far, dtype, params):
            return None
    return low, values.astype(np.float32)


def _rounded(values: NDArray[np.float32], params: QuantParams) -> NDArray[Any]:
    with np.errstate(all="ignore"):  # the lowest float32 over a scale is minus infinity
        return quantize_array(values, params)


def _goes_on(
    function: IntegerFunction, near: int, far: int, dtype: str, params: QuantParams
) -> bool:
    """Whether the rounded result is the same from ``near`` to ``far``.

    What is not compared is monotone, so it is the same in between where it is at both ends;
    what is compared with zero must not reach it in between.
    """
    found = evaluate_integers(function, np.array([near, far]).astype(dtype))
    rounded = _rounded(found.values, params)
    signs = [np.sign(margin) for margin in found.margins]
    return bool(rounded[0] == rounded[1]) and all(s[0] == s[1] != 0 for s in signs)
