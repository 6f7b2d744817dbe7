"""QLinearAveragePool, QLinearGlobalAveragePool, QLinearReduceMean -> Q(pool(DQ))."""

import onnx

from octavo.compiler.importer.draft import Emitter, attributes_of, input_name
from octavo.compiler.importer.qoperator.operands import dequantize, quantize


def _expand_pool(op_type: str, node: onnx.NodeProto, emit: Emitter) -> None:
    attributes = attributes_of(node)
    channels_last = bool(attributes.pop("channels_last", 0))
    rank = emit.draft.rank(node.input[0])
    source = node.input[0]
    # transposed as integers, outside the float region, so that both are free to move
    if channels_last:
        source = emit.op("Transpose", [source], perm=[0, rank - 1, *range(1, rank - 1)])
    data = dequantize(emit, source, node.input[1], input_name(node, 2))
    result = emit.op(op_type, [data], **attributes)
    target = emit.draft.fresh(f"{node.output[0]}/nchw") if channels_last else node.output[0]
    quantize(emit, result, node.input[3], input_name(node, 4), target, node.input[0])
    if channels_last:
        perm = [0, *range(2, rank), 1]
        emit.op("Transpose", [target], node.output[0], perm=perm)


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
