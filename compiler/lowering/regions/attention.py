"""Attention from its scores to the mixed values -> one kernel.

DQ(q), DQ(k) -> MatMul -> [Mul | Div by a number] -> [Add DQ(mask)] = s
w = DQ(Q(Exp(s - ReduceMax(s)), scale 1/255, zero point 0))
MatMul(w, DQ(v)) / ReduceSum(w) -> Q
"""

from dataclasses import dataclass, replace
from math import isclose

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.fusion import quantized_tail
from octavo.compiler.lowering.qdq_graph import (
    QuantParams,
    constant,
    int_attribute,
    only_consumer,
    operand,
    quantize_params,
    shape_of,
)
from octavo.compiler.lowering.regions.matmul import written_order
from octavo.compiler.lowering.tensor import Tensor, identity
from octavo.compiler.lowering.tflite_rounding import mode_beside
from octavo.compiler.lowering.view import QdqView
from octavo.targets.ops.attention import (
    LARGEST_WEIGHT,
    MAX_COLUMNS,
    MAX_DEPTH,
    MAX_MASK_FACTOR,
    MIN_MASK_FACTOR,
    Attention,
    attention_arrays,
)

SCALE_TOLERANCE = 1e-6  # relative, of 1/255 in float32


@dataclass(frozen=True, eq=False)
class _Scores:
    """What is behind the input of the exponential.

    Attributes:
        nodes: From the product on.
        result: The scores.
        scale: Factor behind the product.
        mask: What is added to them, or None.
    """

    nodes: tuple[ir.Node, ...]
    result: ir.Value
    scale: float
    mask: ir.Value | None


@dataclass(frozen=True, eq=False)
class _Mix:
    """What makes the output from the scores.

    Attributes:
        nodes: From the largest score to the division.
        result: The quotient.
        value: What the weights mix.
    """

    nodes: tuple[ir.Node, ...]
    result: ir.Value
    value: ir.Value


def match(node: ir.Node, view: QdqView) -> Region | None:
    """Anchored at the product that makes the scores."""
    if node.op_type != "MatMul" or not all(_is_quantized(v, view) for v in node.inputs):
        return None
    scores = _read_scores(node, view)
    mix = _read_mix(scores.result) if scores is not None else None
    if scores is None or mix is None or not _is_quantized(mix.value, view):
        return None
    tail = quantized_tail(mix.result, view)
    if tail.params is None or len(tail.nodes) != 1 or not _fits(node, scores, view):
        return None
    params, nodes = tail.params, (*scores.nodes, *mix.nodes, *tail.nodes)

    def emit(ctx: Context) -> None:
        _emit(ctx, scores, mix, tail.result, params, Region(nodes, emit))

    return Region(nodes, emit)


def _is_quantized(value: ir.Value | None, view: QdqView) -> bool:
    return value is not None and view.is_dequantized(value) and len(shape_of(value)) >= 2


def _read_scores(product: ir.Node, view: QdqView) -> _Scores | None:
    nodes, scale = [product], 1.0
    mask: ir.Value | None = None
    while (node := only_consumer(nodes[-1].outputs[0])) is not None:
        current = nodes[-1].outputs[0]
        position = 0 if node.inputs[0] is current else 1
        other = operand(node, 1 - position)
        number = constant(other)
        is_number = number is not None and number.size == 1
        if node.op_type == "Mul" and is_number and number is not None:
            scale *= float(number.reshape(()))
        elif node.op_type == "Div" and is_number and number is not None and not position:
            scale /= float(number.reshape(())) or np.inf
        elif node.op_type == "Add" and other is not None and view.is_dequantized(other):
            mask = other
        else:
            return None
        if shape_of(node.outputs[0]) != shape_of(current):
            return None
        nodes.append(node)
        if mask is not None:
            break
    if not 0.0 < scale < np.inf:
        return None
    return _Scores(tuple(nodes), nodes[-1].outputs[0], scale, mask)


def _read_mix(scores: ir.Value) -> _Mix | None:
    """Read what ``octavo.passes.round_attention`` writes."""
    readers = {use.node.op_type: use.node for use in scores.uses()}
    if len(scores.uses()) != 2 or scores.is_graph_output():
        return None
    largest, distance = readers.get("ReduceMax"), readers.get("Sub")
    if largest is None or distance is None or not _is_of_rows(largest):
        return None
    if tuple(distance.inputs) != (scores, largest.outputs[0]):
        return None
    chain = [distance]
    for op_type in ("Exp", "QuantizeLinear", "DequantizeLinear"):
        following = only_consumer(chain[-1].outputs[0])
        if following is None or following.op_type != op_type:
            return None
        chain.append(following)
    if not all(_rounds_weights(node) for node in chain[2:]):
        return None
    weights = chain[-1].outputs[0]
    last = {use.node.op_type: use.node for use in weights.uses()}
    product, total = last.get("MatMul"), last.get("ReduceSum")
    if product is None or total is None or len(weights.uses()) != 2 or not _is_of_rows(total):
        return None
    division = only_consumer(product.outputs[0])
    if division is None or only_consumer(total.outputs[0]) is not division:
        return None
    operands = (product.outputs[0], total.outputs[0])
    if division.op_type != "Div" or tuple(division.inputs) != operands:
        return None
    value = product.inputs[1]
    if product.inputs[0] is not weights or value is None:
        return None
    return _Mix((largest, *chain, product, total, division), division.outputs[0], value)


def _is_of_rows(node: ir.Node) -> bool:
    """Whether a reduction is over the last axis and keeps it."""
    source, axes = operand(node, 0), constant(operand(node, 1))
    if source is None or axes is None or not int_attribute(node, "keepdims", 1):
        return False
    return axes.reshape(-1).tolist() in ([-1], [len(shape_of(source)) - 1])


def _rounds_weights(node: ir.Node) -> bool:
    params = quantize_params(node)
    return (
        params is not None
        and params.dtype == "uint8"
        and params.zero_point == 0
        and isclose(params.scale * LARGEST_WEIGHT, 1.0, rel_tol=SCALE_TOLERANCE)
    )


def _fits(product: ir.Node, scores: _Scores, view: QdqView) -> bool:
    """Whether sums are known not to overflow, and the mask is neither too fine nor coarse."""
    depth, columns = shape_of(product.inputs[0])[-1], shape_of(scores.result)[-1]  # type: ignore[arg-type]
    if depth > MAX_DEPTH or columns > MAX_COLUMNS:
        return False
    if scores.mask is None:
        return True
    mask = view.params(scores.mask)
    score_scale = _score_scale(product, scores, view)
    if mask is None or score_scale is None or shape_of(scores.mask)[-1] != columns:
        return False
    return MIN_MASK_FACTOR <= round(mask.scale / score_scale) <= MAX_MASK_FACTOR


def _score_scale(product: ir.Node, scores: _Scores, view: QdqView) -> float | None:
    scale = scores.scale
    for value in product.inputs:
        params = view.params(value) if value is not None else None
        if params is None:
            return None
        scale *= params.scale
    return scale


def _emit(
    ctx: Context,
    scores: _Scores,
    mix: _Mix,
    result: ir.Value,
    params: QuantParams,
    region: Region,
) -> None:
    product = scores.nodes[0]
    batch = shape_of(scores.result)[:-2]
    q, k = (
        _strided(ctx, value, batch, region, either=position == 1)
        for position, value in enumerate(product.inputs)
        if value is not None
    )
    v = _strided(ctx, mix.value, batch, region, either=True)
    output = ctx.new_quantized(result, params, written_order(result))
    op = Attention(
        batch=batch,
        rows=q.shape[-2],
        columns=k.shape[-1],
        depth=q.shape[-1],
        width=v.shape[-1],
        q_strides=q.strides[:-1],
        k_strides=k.strides,
        v_strides=v.strides,
        y_strides=output.strides[:-1],
        q_elements=q.buffer_elements,
        k_elements=k.buffer_elements,
        v_elements=v.buffer_elements,
        y_elements=output.buffer_elements,
        q_dtype=q.dtype,
        k_dtype=k.dtype,
        v_dtype=v.dtype,
        dtype=output.dtype,
        q_offset=q.offset - q.address,
        k_offset=k.offset - k.address,
        v_offset=v.offset - v.address,
        mode=mode_beside(ctx.mode),
    )
    inputs, mask = [q, k], None
    if scores.mask is not None:
        mask = _strided(ctx, scores.mask, batch, region, rows=op.rows)
        inputs.append(mask)
        op = replace(
            op,
            mask_strides=mask.strides,
            mask_elements=mask.buffer_elements,
            mask_offset=mask.offset - mask.address,
            mask_dtype=mask.dtype,
        )
    limits = np.iinfo(output.dtype)
    arrays = attention_arrays(
        op,
        zero_points=(q.zero_point, k.zero_point, v.zero_point),
        score_scale=(q.scale or 1.0) * (k.scale or 1.0) * scores.scale,
        value_ratio=(v.scale or 1.0) / (output.scale or 1.0),
        params=np.array([output.zero_point, limits.min, limits.max, 0], np.int32),
        mask_scale=mask.scale if mask is not None else None,
        zero_point_mask=mask.zero_point if mask is not None else 0,
    )
    ctx.builder.call(op, [*inputs, v], arrays, [output], region.origin())


def _strided(
    ctx: Context,
    value: ir.Value,
    batch: tuple[int, ...],
    region: Region,
    *,
    either: bool = False,
    rows: int | None = None,
) -> Tensor:
    """An operand with contiguous rows, or ``either`` rows or columns, for every item.

    Args:
        ctx: Where tensors are.
        value: The operand.
        batch: Batch dimensions to repeat it for.
        region: Names the copy, where one is needed.
        either: One of the last two strides has to be 1; else the last one.
        rows: Rows to repeat it for; None for its own.
    """
    tensor = ctx.tensor(value)
    if 1 not in tensor.strides[-2:] if either else tensor.strides[-1] != 1:
        tensor = ctx.dense(tensor, identity(tensor.rank), region.origin())
    own = (1,) * (2 - tensor.rank) + tensor.shape[-2:]
    return tensor.expanded((*batch, rows or own[0], own[1]))
