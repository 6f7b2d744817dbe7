"""Store weights and biases as integers: ``W`` -> ``DequantizeLinear(W_q, scale)``.

Weights are int8, symmetric, narrow range; biases are int32 at scale_x * scale_w.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import NameSource, add_constant, constant_array, float_constant
from octavo.passes.quant_math import (
    bias_scale,
    quantize,
    quantize_bias,
    weight_scale,
    widen_for_accumulator,
)
from octavo.passes.quantizable_operators import (
    rule_of,
    stored_int8_weight,
    weight_inputs,
    why_not_quantizable,
)
from octavo.passes.quantizer_options import Granularity, QuantizerOptions
from octavo.passes.wiring import is_op

FloatArray = NDArray[np.float32]

LAYERS_WITH_WEIGHTS = ("Conv", "ConvTranspose", "GRU", "Gemm", "LSTM", "MatMul")


class QuantizeWeights(ir.passes.InPlacePass):
    """Quantize weights only: activations, biases and arithmetic stay float32."""

    def __init__(self, options: QuantizerOptions) -> None:
        super().__init__()
        self.options = options

    def requires(self, model: ir.Model) -> None:
        if model.graph.opset_imports.get("", 0) < 13:
            raise ir.passes.PreconditionError("per-channel DequantizeLinear needs opset 13")

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        writer = WeightWriter(model.graph, NameSource(model.graph))
        layers = [
            node
            for node in model.graph
            if is_op(node, *LAYERS_WITH_WEIGHTS)
            and not self.options.keeps_float(node)
            and not why_not_quantizable(node)
        ]
        count = 0
        for node in layers:
            for position, axis in weight_inputs(node):
                if float_constant(node.inputs[position]) is not None:
                    granularity = self.options.weight_granularity(node)
                    writer.write(node, position, _axis(granularity, axis))
                    count += 1
        return ir.passes.PassResult(model, modified=count > 0)


class WeightWriter:
    """Writes quantized constants into a graph; a weight that several layers share, once."""

    def __init__(self, graph: ir.Graph, names: NameSource) -> None:
        self._graph = graph
        self._names = names
        self._written: dict[tuple[ir.Value, int | None, bytes], ir.Value] = {}

    def write(
        self,
        node: ir.Node,
        position: int,
        axis: int | None,
        scale_x: float | None = None,
        bias: FloatArray | None = None,
    ) -> FloatArray:
        """Quantize the weight at an input position of a layer.

        Args:
            node: The layer.
            position: Input position of the weight: a constant, or int8 behind
                DequantizeLinear, which is kept.
            axis: Output-channel dimension, or None for one scale.
            scale_x: Scale of the layer's input; None when nothing accumulates in integers.
            bias: (number of outputs,) or None.

        Returns:
            The weight's scale, () or (C,).
        """
        value = node.inputs[position]
        stored = stored_int8_weight(value)
        if stored is not None:
            return np.asarray(constant_array(stored.inputs[1]), np.float32)
        weight = float_constant(value)
        if weight is None or value is None:
            raise ValueError(f"{node.op_type} {node.name!r}: input {position} is no constant")
        scale = weight_scale(weight, axis)
        if scale_x is not None and not is_op(node, "LSTM", "GRU"):
            taps = tuple(i for i in range(weight.ndim) if i != _output_axis(node, position))
            scale = widen_for_accumulator(weight, scale, axis, scale_x, bias, taps)
        key = (value, axis, scale.tobytes())
        if key not in self._written:
            q = quantize(weight, scale, axis=axis, narrow_range=True)
            self._written[key] = self._dequantized(
                node, value.name or "weight", q, scale, axis
            )
        node.replace_input_with(position, self._written[key])
        return scale

    def write_bias(
        self,
        node: ir.Node,
        position: int,
        bias: FloatArray,
        scale_x: float,
        scale_w: FloatArray,
    ) -> None:
        """Put an int32 bias (number of outputs,) at an input position of a node."""
        if scale_w.ndim and scale_w.size != bias.size:  # groups of ConvTranspose share scales
            scale_w = np.tile(scale_w, bias.size // scale_w.size)
        q = quantize_bias(bias, scale_x, scale_w)
        value = node.inputs[position]
        base = (value.name if value is not None else None) or f"{node.name}_bias"
        scale = bias_scale(scale_x, scale_w)
        axis = 0 if scale.ndim else None
        node.replace_input_with(position, self._dequantized(node, base, q, scale, axis))

    def _dequantized(
        self,
        before: ir.Node,
        base: str,
        q: NDArray[np.integer],
        scale: FloatArray,
        axis: int | None,
    ) -> ir.Value:
        graph, names = self._graph, self._names
        inputs = [
            add_constant(graph, names, f"{base}_quantized", q),
            add_constant(graph, names, f"{base}_scale", scale),
            add_constant(graph, names, f"{base}_zero_point", np.zeros(scale.shape, q.dtype)),
        ]
        attributes = {} if axis is None else {"axis": axis}
        node = ir.node(
            "DequantizeLinear", inputs, attributes, name=names.fresh(f"{base}_dequantize")
        )
        output = node.outputs[0]
        output.name = names.fresh(f"{base}_dequantized")
        output.dtype, output.shape = ir.DataType.FLOAT, ir.Shape(q.shape)
        graph.insert_before(before, node)
        return output


def write_layer_constants(
    writer: WeightWriter,
    node: ir.Node,
    bias_add: ir.Node | None,
    scale_x: float,
    granularity: Granularity,
    scale_b: float | None = None,
) -> None:
    """Quantize the weights and the bias of one layer that runs in integers.

    Args:
        writer: Writes into the layer's graph.
        node: Any node with a rule; nothing happens when it has no weights.
        bias_add: For MatMul, the Add whose constant operand is the bias.
        scale_x: Scale of the first operand.
        granularity: Scales of the weight.
        scale_b: Scale of the second operand when it is an activation.
    """
    bias_node, bias_position = node, _bias_position(node)
    if bias_add is not None:
        bias_node = bias_add
        bias_position = 0 if float_constant(bias_add.inputs[0]) is not None else 1
    has_bias = bias_position is not None and len(bias_node.inputs) > bias_position
    bias = float_constant(bias_node.inputs[bias_position]) if has_bias else None  # type: ignore[index]
    scale_w = np.asarray(1.0 if scale_b is None else scale_b, np.float32)
    for position, axis in weight_inputs(node):
        scale_w = writer.write(node, position, _axis(granularity, axis), scale_x, bias)
    if bias is not None and bias_position is not None:
        writer.write_bias(bias_node, bias_position, bias, scale_x, scale_w)


def _bias_position(node: ir.Node) -> int | None:
    rule = rule_of(node)
    return rule.bias if rule is not None else None


def _axis(granularity: Granularity, axis: int) -> int | None:
    return axis if granularity is Granularity.PER_CHANNEL else None


def _output_axis(node: ir.Node, position: int) -> int:
    return dict(weight_inputs(node))[position]
