"""QLinearAdd, QLinearMul, QLinearConcat, QLinearWhere and one-input activations."""

from typing import Any

import onnx

from octavo.compiler.importer.draft import Emitter, attributes_of, input_name
from octavo.compiler.importer.qoperator.operands import dequantize_input, quantize


def _expand_binary(op_type: str, node: onnx.NodeProto, emit: Emitter) -> None:
    operands = [dequantize_input(emit, node, 0), dequantize_input(emit, node, 3)]
    result = emit.op(op_type, operands)
    quantize(emit, result, node.input[6], input_name(node, 7), node.output[0], node.input[0])


def expand_qlinear_add(node: onnx.NodeProto, emit: Emitter) -> None:
    """QLinearAdd -> Q(Add(DQ, DQ))."""
    _expand_binary("Add", node, emit)


def expand_qlinear_mul(node: onnx.NodeProto, emit: Emitter) -> None:
    """QLinearMul -> Q(Mul(DQ, DQ))."""
    _expand_binary("Mul", node, emit)


def _quantize_result(node: onnx.NodeProto, emit: Emitter, result: str) -> None:
    """Quantize with the fourth and fifth input, as all operators with one operand do."""
    quantize(emit, result, node.input[3], input_name(node, 4), node.output[0], node.input[0])


def _expand_unary(op_type: str, node: onnx.NodeProto, emit: Emitter, **attrs: Any) -> None:
    _quantize_result(node, emit, emit.op(op_type, [dequantize_input(emit, node, 0)], **attrs))


def expand_qlinear_sigmoid(node: onnx.NodeProto, emit: Emitter) -> None:
    """QLinearSigmoid -> Q(Sigmoid(DQ))."""
    _expand_unary("Sigmoid", node, emit)


def expand_qlinear_leaky_relu(node: onnx.NodeProto, emit: Emitter) -> None:
    """QLinearLeakyRelu -> Q(LeakyRelu(DQ))."""
    _expand_unary("LeakyRelu", node, emit, alpha=attributes_of(node).get("alpha"))


def expand_qlinear_softmax(node: onnx.NodeProto, emit: Emitter) -> None:
    """QLinearSoftmax -> Q(Softmax(DQ)), over all axes from ``axis`` on before opset 13."""
    attributes = attributes_of(node)
    axis = int(attributes.get("axis", -1))
    rank = emit.draft.rank(node.input[0])
    axis += rank if axis < 0 else 0
    if int(attributes.get("opset", 13)) >= 13 or axis == rank - 1:
        _expand_unary("Softmax", node, emit, axis=axis)
        return
    shape = emit.draft.types[node.input[0]].shape
    flat = emit.op("Flatten", [dequantize_input(emit, node, 0)], axis=axis)
    result = emit.op("Softmax", [flat], axis=-1)
    _quantize_result(node, emit, emit.op("Reshape", [result, emit.ints("shape", shape)]))


def expand_qlinear_where(node: onnx.NodeProto, emit: Emitter) -> None:
    """QLinearWhere(condition, x, y) -> Q(Where(condition, DQ(x), DQ(y)))."""
    chosen, other = dequantize_input(emit, node, 1), dequantize_input(emit, node, 4)
    result = emit.op("Where", [node.input[0], chosen, other])
    quantize(emit, result, node.input[7], input_name(node, 8), node.output[0], node.input[1])


def expand_qlinear_concat(node: onnx.NodeProto, emit: Emitter) -> None:
    """QLinearConcat(y scale, y zero point, x1, scale, zero point, x2, ...)."""
    operands = [dequantize_input(emit, node, i) for i in range(2, len(node.input), 3)]
    result = emit.op("Concat", operands, axis=attributes_of(node).get("axis", 1))
    quantize(emit, result, node.input[0], node.input[1], node.output[0], node.input[2])
