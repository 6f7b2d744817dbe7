"""QLinearMatMul, QGemm and the fused dynamic forms -> MatMul or Gemm between DQ and Q."""

import numpy as np
import onnx

from octavo.compiler.importer.draft import Emitter, attributes_of, input_name
from octavo.compiler.importer.qoperator.operands import dequantize, quantize


def expand_qlinear_matmul(node: onnx.NodeProto, emit: Emitter) -> None:
    """Scales may be one for each row of a and one for each column of b."""
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = node.input[:8]
    result = emit.op(
        "MatMul",
        [
            dequantize(emit, a, a_scale, a_zero, axis=_axis_from_end(emit, a, 2)),
            dequantize(emit, b, b_scale, b_zero, axis=_axis_from_end(emit, b, 1)),
        ],
    )
    quantize(emit, result, y_scale, y_zero, node.output[0], a)


def expand_qgemm(node: onnx.NodeProto, emit: Emitter) -> None:
    """QGemm(a, b, c) = alpha * a' * b' + c, c in steps of alpha * scale_a * scale_b.

    Without an output scale the result is float32.
    """
    attributes = attributes_of(node)
    alpha = float(attributes.get("alpha", 1.0))
    a, a_scale, a_zero, b, b_scale, b_zero = node.input[:6]
    b_axis = 0 if attributes.get("transB", 0) else 1
    operands = [
        dequantize(emit, a, a_scale, a_zero),
        dequantize(emit, b, b_scale, b_zero, axis=b_axis),
    ]
    bias, y_scale = input_name(node, 6), input_name(node, 7)
    if bias:
        scale = emit.op("Mul", [a_scale, b_scale])
        if alpha != 1.0:
            factor = emit.constant("alpha", np.asarray(alpha, np.float32))
            scale = emit.op("Mul", [scale, factor])
        last_axis = max(emit.draft.rank(bias) - 1, 0)
        operands.append(emit.op("DequantizeLinear", [bias, scale], axis=last_axis))
    result = emit.op("Gemm", operands, node.output[0] if not y_scale else None, **attributes)
    if y_scale:
        quantize(emit, result, y_scale, input_name(node, 8), node.output[0], a)


def expand_matmul_integer_to_float(node: onnx.NodeProto, emit: Emitter) -> None:
    """Inputs: a, b, a_scale, b_scale, a zero point, b zero point, float bias."""
    a, b, a_scale, b_scale = node.input[:4]
    a_axis, b_axis = _axis_from_end(emit, a, 2), _axis_from_end(emit, b, 1)
    operands = [
        dequantize(emit, a, a_scale, input_name(node, 4), axis=a_axis),
        dequantize(emit, b, b_scale, input_name(node, 5), axis=b_axis),
    ]
    _matmul_with_bias(emit, operands, input_name(node, 6), node.output[0])


def expand_dynamic_quantize_matmul(node: onnx.NodeProto, emit: Emitter) -> None:
    """The activation stays float: calibration gives it a static range later."""
    a, b, b_scale = node.input[:3]
    axis = _axis_from_end(emit, b, 1)
    weight = dequantize(emit, b, b_scale, input_name(node, 3), axis=axis)
    _matmul_with_bias(emit, [a, weight], input_name(node, 4), node.output[0])


def _axis_from_end(emit: Emitter, value: str, distance: int) -> int:
    return max(emit.draft.rank(value) - distance, 0)


def _matmul_with_bias(emit: Emitter, operands: list[str], bias: str, output: str) -> None:
    if bias:
        emit.op("Add", [emit.op("MatMul", operands), bias], output)
    else:
        emit.op("MatMul", operands, output)
