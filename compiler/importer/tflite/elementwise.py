"""Operators of one element, which keep the layout of what they read."""

import numpy as np

from octavo.compiler.importer.tflite.container import Operator
from octavo.compiler.importer.tflite.network import Layout, Network
from octavo.compiler.importer.tflite.schema import Activation
from octavo.errors import ModelError

BINARY = {
    "ADD": "Add",
    "SUB": "Sub",
    "MUL": "Mul",
    "DIV": "Div",
    "MAXIMUM": "Max",
    "MINIMUM": "Min",
    "POW": "Pow",
}
UNARY = {
    "ABS": "Abs",
    "CEIL": "Ceil",
    "COS": "Cos",
    "EXP": "Exp",
    "FLOOR": "Floor",
    "HARD_SWISH": "HardSwish",
    "LOG": "Log",
    "LOGISTIC": "Sigmoid",
    "NEG": "Neg",
    "RELU": "Relu",
    "SIN": "Sin",
    "SQRT": "Sqrt",
    "TANH": "Tanh",
    "ELU": "Elu",
}
LIMITS = {"RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1), "RELU_0_TO_1": (0, 1)}


def shared_layout(network: Network, operator: Operator) -> Layout:
    """Return the layout in which to compute: channels first where an operand lies so.

    Constants follow; an operand of another rank, or one that lies as in the file because a
    reader wanted it so, does not hinder.
    """
    indices = [index for index in operator.inputs if index >= 0]
    computed = [index for index in indices if network.tensors[index].data is None]
    is_first = any(network.lies_first(index) for index in computed) and all(
        len(network.shape(index)) == 4 for index in computed
    )
    return Layout.CHANNELS_FIRST if is_first else Layout.FILE


def binary(network: Network, operator: Operator) -> None:
    """ADD, SUB, MUL, ... -> the same."""
    output = operator.outputs[0]
    layout = shared_layout(network, operator)
    inputs = [
        aligned(network, network.required(operator, position), layout) for position in (0, 1)
    ]
    value = network.node(BINARY[operator.kind], inputs, network.hint(output, layout))
    activation = operator.options.get("fused_activation_function", Activation.NONE)
    network.define(output, value, layout, activation)


def squared_difference(network: Network, operator: Operator) -> None:
    """SQUARED_DIFFERENCE -> Sub, Mul by itself."""
    output = operator.outputs[0]
    layout = shared_layout(network, operator)
    inputs = [
        aligned(network, network.required(operator, position), layout) for position in (0, 1)
    ]
    difference = network.node("Sub", inputs, f"{network.names[output]}/difference")
    value = network.node("Mul", [difference] * 2, network.hint(output, layout))
    network.define(output, value, layout)


def aligned(network: Network, index: int, layout: Layout) -> str:
    """Return an operand so that it broadcasts in a layout: lower ranks are moved."""
    shape = network.shape(index)
    value = network.real(index, layout)
    if layout is Layout.FILE or len(shape) in (0, 4):
        return value
    full = (1,) * (4 - len(shape)) + shape
    widened = network.reshaped(value, full)
    return network.moved(widened, full, layout.value)


def unary(network: Network, operator: Operator) -> None:
    """LOGISTIC, TANH, HARD_SWISH, RELU6, ... -> Sigmoid, Tanh, HardSwish, Clip, ..."""
    x, output = network.required(operator, 0), operator.outputs[0]
    layout = shared_layout(network, operator)
    hint = network.hint(output, layout)
    source = network.real(x, layout)
    if operator.kind in LIMITS:
        value = network.clipped(source, *LIMITS[operator.kind], hint)
    elif operator.kind == "LEAKY_RELU":
        alpha = float(operator.options["alpha"])
        value = network.node("LeakyRelu", [source], hint, alpha=alpha)
    elif operator.kind == "GELU":
        approximate = "tanh" if operator.options["approximate"] else "none"
        value = network.node("Gelu", [source], hint, approximate=approximate)
    elif operator.kind == "RSQRT":
        root = network.node("Sqrt", [source], f"{hint}/root")
        value = network.node("Reciprocal", [root], hint)
    elif operator.kind == "SQUARE":
        value = network.node("Mul", [source, source], hint)
    else:
        value = network.node(UNARY[operator.kind], [source], hint)
    network.define(output, value, layout)


def prelu(network: Network, operator: Operator) -> None:
    """PRELU -> PRelu."""
    output = operator.outputs[0]
    layout = shared_layout(network, operator)
    inputs = [
        aligned(network, network.required(operator, position), layout) for position in (0, 1)
    ]
    network.define(output, network.node("PRelu", inputs, network.hint(output, layout)), layout)


def quantize(network: Network, operator: Operator) -> None:
    """QUANTIZE, DEQUANTIZE: of a real value nothing is left but its scale.

    Files with weights of float16 have a DEQUANTIZE behind each of them.
    """
    x, output = network.required(operator, 0), operator.outputs[0]
    if network.tensors[output].quantization is None:
        if network.tensors[x].data is not None:
            network.define_constant(output, x)
            return
        network.define_as(output, x)
        return
    layout = shared_layout(network, operator)
    network.define(output, network.real(x, layout), layout)


def cast(network: Network, operator: Operator) -> None:
    """CAST -> Cast."""
    x, output = network.required(operator, 0), operator.outputs[0]
    if any(network.tensors[index].quantization is not None for index in (x, output)):
        raise ModelError(f"{network.where(operator)}: casts of quantized integers change them")
    layout = shared_layout(network, operator)
    kind = network.tensors[output].type
    inputs = [network.real(x, layout)]
    value = network.node("Cast", inputs, network.hint(output, layout), to=kind.onnx)
    network.define(output, value, layout)


def softmax(network: Network, operator: Operator) -> None:
    """SOFTMAX, LOG_SOFTMAX over the last axis -> (Mul by beta,) Softmax, LogSoftmax."""
    x, output = network.required(operator, 0), operator.outputs[0]
    value, hint = network.real(x), network.hint(output)
    beta = float(operator.options.get("beta", 1.0))
    if beta != 1.0:
        factor = network.constant(np.array(beta, np.float32), f"{hint}/beta")
        value = network.node("Mul", [value, factor], f"{hint}/scaled")
    kind = "Softmax" if operator.kind == "SOFTMAX" else "LogSoftmax"
    network.define(output, network.node(kind, [value], hint, axis=-1))
