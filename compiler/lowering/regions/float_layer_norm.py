"""LayerNormalization over the last axes of a float tensor, rounded where integers read it.

LayerNormalization                                float out
LayerNormalization -> [Mul by a vector] -> Q      rounded, and in float for other readers
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.qdq_graph import (
    QuantParams,
    float_attribute,
    int_attribute,
    only_consumer,
    operand,
    quantize_params,
    shape_of,
)
from octavo.compiler.lowering.regions.layer_norm import DEFAULT_EPSILON
from octavo.compiler.lowering.tensor import identity
from octavo.compiler.lowering.view import QdqView
from octavo.targets.ops.float_layer_norm import FloatLayerNorm


@dataclass(frozen=True, eq=False)
class _Normalization:
    """A LayerNormalization with stored parameters.

    Attributes:
        x: The tensor.
        extent: Elements of a row.
        gain, offset: (extent,) float32.
        epsilon: Added to the variance.
    """

    x: ir.Value
    extent: int
    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    epsilon: float

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Constants of the float result."""
        epsilon = np.array([self.epsilon], np.float32)
        return {"gain": self.gain, "offset": self.offset, "epsilon": epsilon}


@dataclass(frozen=True, eq=False)
class _Rounding:
    """What rounds the result of a normalization.

    Attributes:
        nodes: [Mul,] QuantizeLinear.
        factor: (extent,) or (1,): multiplies the result before it is rounded.
        params: Its quantization.
    """

    nodes: tuple[ir.Node, ...]
    factor: NDArray[np.float32]
    params: QuantParams


def match_rounded(node: ir.Node, view: QdqView) -> Region | None:
    """LayerNormalization of a float tensor -> [Mul] -> Q, and float readers if there are."""
    found = _read(node, view)
    if found is None or view.is_dequantized(found.x):
        return None
    result = node.outputs[0]
    rounding = _find_rounding(result, found.extent, view)
    if rounding is None:
        return None
    end = rounding.nodes[-1]
    others = [use.node for use in result.uses() if use.node is not rounding.nodes[0]]
    if any(view.order[other] < view.order[end] for other in others):
        return None  # it would read the result before it is there
    has_float = bool(others) or result.is_graph_output()
    nodes = (node, *rounding.nodes)

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin(view.float_reason(node))
        order = identity(len(shape_of(found.x)))
        tensor = ctx.dense(ctx.float_tensor(found.x, order), order, origin)
        outputs = [ctx.new_float(result, order)] if has_float else []
        rounded = ctx.new_quantized(end.outputs[0], rounding.params, order)
        op = FloatLayerNorm(
            rows=tensor.num_elements // found.extent,
            extent=found.extent,
            has_float=has_float,
            quantized=rounded.dtype,
        )
        limits = np.iinfo(rounded.dtype)
        per_step = rounding.factor.astype(np.float64) / float(rounded.scale or 1.0)
        arrays = found.arrays() | {
            "step_gain": (found.gain * per_step).astype(np.float32),
            "step_offset": (found.offset * per_step).astype(np.float32),
            "params": np.array([rounded.zero_point, limits.min, limits.max, 0], np.int32),
        }
        ctx.builder.call(op, [tensor], arrays, [*outputs, rounded], origin, "float32")

    return Region(nodes, emit)


def match(node: ir.Node, view: QdqView) -> Region | None:
    """LayerNormalization with constant parameters, in float."""
    found = _read(node, view)
    if found is None:
        return None

    def emit(ctx: Context) -> None:
        origin = Region((node,), emit).origin(view.float_reason(node))
        order = identity(len(shape_of(found.x)))
        tensor = ctx.dense(ctx.float_tensor(found.x, order), order, origin)
        output = ctx.new_float(node.outputs[0], order)
        op = FloatLayerNorm(rows=tensor.num_elements // found.extent, extent=found.extent)
        ctx.builder.call(op, [tensor], found.arrays(), [output], origin, "float32")

    return Region((node,), emit)


def _read(node: ir.Node, view: QdqView) -> _Normalization | None:
    x = operand(node, 0)
    if node.op_type != "LayerNormalization" or x is None or x.dtype != ir.DataType.FLOAT:
        return None
    gamma, beta = view.constant_float(operand(node, 1)), view.constant_float(operand(node, 2))
    if gamma is None or (operand(node, 2) is not None and beta is None):
        return None
    if any(output.uses() or output.is_graph_output() for output in node.outputs[1:]):
        return None
    shape = shape_of(x)
    normalized = shape[int_attribute(node, "axis", -1) % len(shape) :]
    extent = int(np.prod(normalized, dtype=np.int64))
    if not extent:
        return None
    offset = np.zeros(1, np.float32) if beta is None else beta
    return _Normalization(
        x,
        extent,
        np.broadcast_to(gamma, normalized).reshape(-1),
        np.broadcast_to(offset, normalized).reshape(-1),
        float_attribute(node, "epsilon", DEFAULT_EPSILON),
    )


def _find_rounding(result: ir.Value, extent: int, view: QdqView) -> _Rounding | None:
    for use in result.uses():
        node, factor = use.node, np.ones(1, np.float32)
        scaling: tuple[ir.Node, ...] = ()
        if node.op_type == "Mul":
            other = node.inputs[1] if node.inputs[0] is result else node.inputs[0]
            constant = view.constant_float(other)
            following = only_consumer(node.outputs[0])
            if constant is None or following is None or constant.size not in (1, extent):
                continue
            if constant.size == extent and constant.shape[-1] != extent:
                continue  # rows of several axes
            scaling, factor, node = (node,), constant.reshape(-1), following
        if node.op_type != "QuantizeLinear" or not view.claimed.isdisjoint((*scaling, node)):
            continue
        params = quantize_params(node)
        if params is not None:
            return _Rounding((*scaling, node), factor, params)
    return None
