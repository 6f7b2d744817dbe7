"""QLinearAveragePool, QLinearGlobalAveragePool, QLinearReduceMean -> Q(pool(DQ))."""

import onnx

from octavo.compiler.importer.draft import Emitter, attributes_of, input_name
from octavo.compiler.importer.qoperator.layout import channels_first
from octavo.compiler.importer.qoperator.operands import dequantize, quantize


def _expand_pool(op_type: str, node: onnx.NodeProto, emit: Emitter) -> None:
    attributes = attributes_of(node)
    with channels_first(emit, node.input[0], node.output[0], attributes) as nchw:
        data = dequantize(emit, nchw.source, node.input[1], input_name(node, 2))
        result = emit.op(op_type, [data], **attributes)
        zero_point = input_name(node, 4)
        quantize(emit, result, node.input[3], zero_point, nchw.target, node.input[0])


def expand_qlinear_average_pool(node: onnx.NodeProto, emit: Emitter) -> None:
    """QLinearAveragePool, in either layout."""
    _expand_pool("AveragePool", node, emit)


def expand_qlinear_global_average_pool(node: onnx.NodeProto, emit: Emitter) -> None:
    """QLinearGlobalAveragePool, in either layout."""
    _expand_pool("GlobalAveragePool", node, emit)


def expand_qlinear_reduce_mean(node: onnx.NodeProto, emit: Emitter) -> None:
    """QLinearReduceMean: the axes are an attribute here and an input in opset 18."""
    attributes = attributes_of(node)
    data = dequantize(emit, node.input[0], node.input[1], input_name(node, 2))
    operands = [data]
    if attributes.get("axes"):
        operands.append(emit.ints("axes", attributes["axes"]))
    result = emit.op("ReduceMean", operands, keepdims=int(attributes.get("keepdims", 1)))
    quantize(emit, result, node.input[3], input_name(node, 4), node.output[0], node.input[0])
