"""QLinearConv(x, w, bias) -> QuantizeLinear(Conv(DQ(x), DQ(w), DQ(bias)))."""

import onnx

from octavo.compiler.importer.draft import Emitter, attributes_of, input_name
from octavo.compiler.importer.qoperator.layout import channels_first
from octavo.compiler.importer.qoperator.operands import dequantize, quantize

OUT_CHANNEL_AXIS = 0


def expand_qlinear_conv(node: onnx.NodeProto, emit: Emitter) -> None:
    """Inputs: x, scale, zero point; w, scale, zero point; y scale, zero point; bias int32.

    Weights are (C_out, C_in / group, ...) even with ONNX Runtime's ``channels_last``.
    """
    x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero = node.input[:8]
    bias = input_name(node, 8)
    attributes = attributes_of(node)
    with channels_first(emit, x, node.output[0], attributes) as nchw:
        operands = [
            dequantize(emit, nchw.source, x_scale, x_zero),
            dequantize(emit, w, w_scale, w_zero, axis=OUT_CHANNEL_AXIS),
        ]
        if bias:
            # int32 bias counts in steps of the accumulator
            scale = emit.op("Mul", [x_scale, w_scale])
            operands.append(emit.op("DequantizeLinear", [bias, scale], axis=0))
        result = emit.op("Conv", operands, **attributes)
        quantize(emit, result, y_scale, y_zero, nchw.target, x)
