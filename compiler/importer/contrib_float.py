"""Float operators of com.microsoft, which ONNX Runtime's graph optimizer leaves behind."""

from typing import Any

import numpy as np
import onnx

from octavo.compiler.importer.draft import Emitter, attributes_of, input_name
from octavo.compiler.importer.qoperator.operands import Expansion
from octavo.compiler.importer.structure import describe
from octavo.errors import ModelError


def _gelu(node: onnx.NodeProto, emit: Emitter) -> None:
    """Gelu -> Gelu of ai.onnx, by the error function."""
    emit.op("Gelu", [node.input[0]], node.output[0])


def _bias_gelu(node: onnx.NodeProto, emit: Emitter) -> None:
    """BiasGelu(x, b) -> Gelu(x + b)."""
    emit.op("Gelu", [emit.op("Add", list(node.input))], node.output[0])


def _fast_gelu(node: onnx.NodeProto, emit: Emitter) -> None:
    """FastGelu(x, b) -> Gelu(x + b) by tanh."""
    data = emit.op("Add", list(node.input)) if input_name(node, 1) else node.input[0]
    emit.op("Gelu", [data], node.output[0], approximate="tanh")


def _quick_gelu(node: onnx.NodeProto, emit: Emitter) -> None:
    """QuickGelu(x) -> x * Sigmoid(alpha * x)."""
    alpha = np.asarray(attributes_of(node).get("alpha", 1.702), np.float32)
    scaled = emit.op("Mul", [node.input[0], emit.constant("alpha", alpha)])
    emit.op("Mul", [node.input[0], emit.op("Sigmoid", [scaled])], node.output[0])


def _fused_matmul(node: onnx.NodeProto, emit: Emitter) -> None:
    """FusedMatMul(a, b) -> alpha * MatMul, each operand transposed if its flag says so."""
    attributes = attributes_of(node)
    if attributes.get("transBatchA", 0) or attributes.get("transBatchB", 0):
        raise ModelError(f"{describe(node)}: transposed batch axes are not supported")
    operands = []
    for name, flag in zip(node.input[:2], ("transA", "transB"), strict=True):
        rank = emit.draft.rank(name)
        # as in ONNX Runtime, vectors are not transposed
        if attributes.get(flag, 0) and rank > 1:
            perm = [*range(rank - 2), rank - 1, rank - 2]
            operands.append(emit.op("Transpose", [name], perm=perm))
        else:
            operands.append(name)
    alpha = np.asarray(attributes.get("alpha", 1.0), np.float32)
    if alpha == 1.0:
        emit.op("MatMul", operands, node.output[0])
    else:
        product = emit.op("MatMul", operands)
        emit.op("Mul", [product, emit.constant("alpha", alpha)], node.output[0])


def _skip_layer_normalization(node: onnx.NodeProto, emit: Emitter) -> None:
    """SkipLayerNormalization(x, skip, ..., bias) -> LayerNormalization(x + skip + bias).

    The fourth output is the sum; mean and deviation exist in training only.
    """
    epsilon = attributes_of(node).get("epsilon", 1e-12)
    if any(node.output[1:3]):
        raise ModelError(f"{describe(node)}: outputs mean and inv_std_var are not supported")
    sum_output = node.output[3] if len(node.output) > 3 else ""
    bias = input_name(node, 4)
    total = emit.op("Add", list(node.input[:2]), None if bias else sum_output or None)
    if bias:
        total = emit.op("Add", [total, bias], sum_output or None)
    operands = [total, node.input[2]]
    if input_name(node, 3):
        operands.append(node.input[3])
    emit.op("LayerNormalization", operands, node.output[0], axis=-1, epsilon=epsilon)


def _activate(node: onnx.NodeProto, emit: Emitter, value: str) -> None:
    """Apply the attribute ``activation`` of FusedConv and FusedGemm."""
    attributes = attributes_of(node)
    name = attributes.get("activation", b"").decode(errors="replace")
    numbers = [float(x) for x in attributes.get("activation_params", [])]
    numbers += [float(attributes[k]) for k in ("activation_alpha",) if k in attributes]
    if name in ("Relu", "Sigmoid", "Tanh"):
        emit.op(name, [value], node.output[0])
    elif name == "LeakyRelu":
        emit.op(name, [value], node.output[0], alpha=numbers[0] if numbers else 0.01)
    elif name == "Clip" and len(numbers) == 2:
        low, high = (emit.constant("bound", np.asarray(x, np.float32)) for x in numbers)
        emit.op(name, [value, low, high], node.output[0])
    elif name == "HardSigmoid" and len(numbers) == 2:
        emit.op(name, [value], node.output[0], alpha=numbers[0], beta=numbers[1])
    else:
        raise ModelError(f"{describe(node)}: activation '{name}' is not supported")


def _fused_conv(node: onnx.NodeProto, emit: Emitter) -> None:
    """FusedConv(x, w, b, z) -> activation(Conv(x, w, b) + z)."""
    value = emit.op("Conv", list(node.input[:3]), **_without_activation(node))
    if input_name(node, 3):
        value = emit.op("Add", [value, node.input[3]])
    _activate(node, emit, value)


def _fused_gemm(node: onnx.NodeProto, emit: Emitter) -> None:
    """FusedGemm(a, b, c) -> activation(Gemm(a, b, c))."""
    _activate(node, emit, emit.op("Gemm", list(node.input), **_without_activation(node)))


def _without_activation(node: onnx.NodeProto) -> dict[str, Any]:
    attributes = attributes_of(node)
    return {k: v for k, v in attributes.items() if not k.startswith("activation")}


FLOAT_EXPANSIONS: dict[str, Expansion] = {
    "BiasGelu": _bias_gelu,
    "FastGelu": _fast_gelu,
    "FusedConv": _fused_conv,
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_matmul,
    "Gelu": _gelu,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_layer_normalization,
}
