"""QLinearConv(x, w, bias) -> QuantizeLinear(Conv(DQ(x), DQ(w), DQ(bias)))."""

import onnx

from octavo.compiler.importer.draft import Emitter, attributes_of, input_name
from octavo.compiler.importer.qoperator.operands import dequantize, dequantize_input, quantize

OUT_CHANNEL_AXIS = 0  # Conv weights are (C_out, C_in / group, ...)


def expand_qlinear_conv(node: onnx.NodeProto, emit: Emitter) -> None:
    """Inputs: x, scale, zero point; w, scale, zero point; y scale, zero point; bias int32."""
    x_scale, w_scale = node.input[1], node.input[4]
    operands = [
        dequantize_input(emit, node, 0),
        dequantize(emit, node.input[3], w_scale, node.input[5], axis=OUT_CHANNEL_AXIS),
    ]
    bias = input_name(node, 8)
    if bias:
        # int32 bias counts in steps of the accumulator
        scale = emit.op("Mul", [x_scale, w_scale])
        operands.append(emit.op("DequantizeLinear", [bias, scale], axis=0))
    result = emit.op("Conv", operands, **attributes_of(node))
    quantize(emit, result, node.input[6], node.input[7], node.output[0], node.input[0])
