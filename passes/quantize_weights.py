"""Store weights and biases as integers: ``W`` -> ``DequantizeLinear(W_q, scale)``.

Weights are symmetric with narrow range: INT8 or INT16, and INT4 for 2, 3 and 4 bits (INT2
needs opset 25). Biases are int32 at scale_x * scale_w where the layer accumulates in integers,
else they stay float32.
"""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import NameSource, add_constant, constant_array, float_constant
from octavo.passes.linear_layers import LINEAR_OP_TYPES, input_axis
from octavo.passes.quant_math import (
    bias_scale,
    quantize,
    quantize_bias,
)
from octavo.passes.quantizable_operators import (
    rule_of,
    stored_int8_weight,
    weight_inputs,
    why_not_quantizable,
)
from octavo.passes.quantizer_options import BYTE_BITS, Granularity, QuantizerOptions
from octavo.passes.weight_scales import (
    block_scale,
    spread_blocks,
    weight_scale,
    widen_for_accumulator,
)
from octavo.passes.wiring import is_op

FloatArray = NDArray[np.float32]

INT4 = ir.DataType.INT4.numpy()
LAYERS_WITH_WEIGHTS = ("Conv", "ConvTranspose", "GRU", "Gemm", "LSTM", "MatMul")


@dataclass(frozen=True)
class WeightFormat:
    """How a weight is stored.

    Attributes:
        granularity: Scales of a weight without blocks.
        num_bits: 2, 3, 4, 8 or 16.
        block_size: Input channels that share a scale; 0: all of them.
        range_method: How scales are chosen.
    """

    granularity: Granularity = Granularity.PER_CHANNEL
    num_bits: int = 8
    block_size: int = 0
    range_method: str = "minmax"

    @classmethod
    def of(cls, node: ir.Node, options: QuantizerOptions) -> "WeightFormat":
        """What the options say about a layer."""
        return cls(
            options.weight_granularity(node),
            options.layer_format(node).weight_bits,
            # The weights of a cell have no axis that its kernel sums over alone.
            0 if is_op(node, "LSTM", "GRU") else options.weight_block_size(node),
            options.weight_range_method(node),
        )

    @property
    def dtype(self) -> str:
        """Type that the integers are computed in."""
        return "int8" if self.num_bits <= BYTE_BITS else "int16"

    @property
    def accumulates(self) -> bool:
        """Whether integer kernels multiply such weights."""
        return self.num_bits <= BYTE_BITS and not self.block_size


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
            and not self.options.keeps_float_weight(node)
            and not why_not_quantizable(node)
        ]
        count = sum(writer.write_float_layer(node, self.options) for node in layers)
        return ir.passes.PassResult(model, modified=count > 0)


class WeightWriter:
    """Writes quantized constants into a graph; a weight that several layers share, once."""

    def __init__(self, graph: ir.Graph, names: NameSource) -> None:
        self._graph = graph
        self._names = names
        self._written: dict[tuple[ir.Value, int | None, int, bytes], ir.Value] = {}

    def write_float_layer(self, node: ir.Node, options: QuantizerOptions) -> int:
        """Quantize the weights of a layer that computes in float32; how many there were."""
        count = 0
        for position, axis in weight_inputs(node):
            if float_constant(node.inputs[position]) is not None:
                self.write(node, position, axis, WeightFormat.of(node, options))
                count += 1
        return count

    def write(
        self,
        node: ir.Node,
        position: int,
        channel_axis: int,
        layout: WeightFormat,
        scale_x: float | None = None,
        bias: FloatArray | None = None,
    ) -> FloatArray:
        """Quantize the weight at an input position of a layer.

        Args:
            node: The layer.
            position: Input position of the weight: a constant, or int8 behind
                DequantizeLinear, which is kept.
            channel_axis: Output-channel dimension.
            layout: How the weight is stored.
            scale_x: Scale of the layer's input; None when nothing accumulates in integers.
            bias: (number of outputs,) or None.

        Returns:
            The weight's scale: (), (C,), or one for each block.
        """
        value = node.inputs[position]
        stored = stored_int8_weight(value)
        if stored is not None:
            return np.asarray(constant_array(stored.inputs[1]), np.float32)
        weight = float_constant(value)
        if weight is None or value is None:
            raise ValueError(f"{node.op_type} {node.name!r}: input {position} is no constant")
        axis: int | None = None
        if layout.block_size:
            axis = input_axis(node) if is_op(node, *LINEAR_OP_TYPES) else 0
            axis %= weight.ndim
        elif layout.granularity is Granularity.PER_CHANNEL:
            axis = channel_axis
        scale = self._scale(weight, axis, layout)
        if scale_x is not None and layout.accumulates and not is_op(node, "LSTM", "GRU"):
            taps = tuple(i for i in range(weight.ndim) if i != channel_axis)
            scale = widen_for_accumulator(
                weight, scale, axis, scale_x, bias, taps, num_bits=layout.num_bits
            )
        key = (value, axis, layout.num_bits, scale.tobytes())
        if key not in self._written:
            q = _integers(weight, scale, axis, layout)
            self._written[key] = self._dequantized(
                node, value.name or "weight", q, scale, axis, layout.block_size
            )
        node.replace_input_with(position, self._written[key])
        return scale

    def _scale(self, weight: FloatArray, axis: int | None, layout: WeightFormat) -> FloatArray:
        bits, method = layout.num_bits, layout.range_method
        if axis is not None and layout.block_size:
            return block_scale(weight, axis, layout.block_size, num_bits=bits, method=method)
        return weight_scale(weight, axis, num_bits=bits, method=method)

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
        block_size: int = 0,
    ) -> ir.Value:
        graph, names = self._graph, self._names
        inputs = [
            add_constant(graph, names, f"{base}_quantized", q),
            add_constant(graph, names, f"{base}_scale", scale),
            add_constant(graph, names, f"{base}_zero_point", np.zeros(scale.shape, q.dtype)),
        ]
        attributes = {} if axis is None else {"axis": axis}
        if block_size:
            attributes["block_size"] = block_size
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
    layout: WeightFormat,
    scale_b: float | None = None,
    *,
    has_wide_input: bool = False,
) -> None:
    """Quantize the weights and the bias of one layer whose operands are quantized.

    Args:
        writer: Writes into the layer's graph.
        node: Any node with a rule; nothing happens when it has no weights.
        bias_add: For MatMul, the Add whose constant operand is the bias.
        scale_x: Scale of the first operand.
        layout: How the weight is stored.
        scale_b: Scale of the second operand when it is an activation.
        has_wide_input: The layer reads 16 bits and computes in float32.
    """
    accumulates = layout.accumulates and not has_wide_input
    bias_node, bias_position = node, _bias_position(node)
    if bias_add is not None:
        bias_node = bias_add
        bias_position = 0 if float_constant(bias_add.inputs[0]) is not None else 1
    has_bias = bias_position is not None and len(bias_node.inputs) > bias_position
    bias = float_constant(bias_node.inputs[bias_position]) if has_bias else None  # type: ignore[index]
    scale_w = np.asarray(1.0 if scale_b is None else scale_b, np.float32)
    for position, axis in weight_inputs(node):
        known = scale_x if accumulates else None
        scale_w = writer.write(node, position, axis, layout, known, bias)
    if bias is not None and bias_position is not None and accumulates:
        writer.write_bias(bias_node, bias_position, bias, scale_x, scale_w)


def _bias_position(node: ir.Node) -> int | None:
    rule = rule_of(node)
    return rule.bias if rule is not None else None


def _integers(
    weight: FloatArray, scale: FloatArray, axis: int | None, layout: WeightFormat
) -> NDArray[np.integer]:
    if axis is not None and layout.block_size:
        scale = spread_blocks(scale, axis, layout.block_size, weight.shape[axis])
    q = quantize(
        weight,
        scale,
        dtype=layout.dtype,
        axis=axis,
        narrow_range=True,
        num_bits=layout.num_bits,
    )
    return q if layout.num_bits >= BYTE_BITS else q.astype(INT4)
