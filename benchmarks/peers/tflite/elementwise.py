"""Arithmetic of one element, and GELU from its parts."""

import math

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema

from benchmarks.peers.tflite.graph import (
    Activation,
    Graph,
    UnsupportedError,
    attributes,
    is_relu6,
)

BINARY = {"Add": "ADD", "Sub": "SUB", "Mul": "MUL", "Div": "DIV"}
UNARY = {"Relu": "RELU", "HardSwish": "HARD_SWISH", "Sigmoid": "LOGISTIC", "Tanh": "TANH"}
TOLERANCE = 1e-5


def binary(graph: Graph, node: onnx.NodeProto) -> None:
    """Add, Sub, Mul, Div -> the same, channels last where an operand is."""
    if node.op_type == "Div" and _gelu(graph, node):
        return
    activation, name = graph.fused_activation(node.output[0])
    channels_last = any(graph.lies_channels_last(x) for x in node.input)
    read = graph.channels_last if channels_last else graph.plain
    inputs = [read(x) for x in node.input]
    shape = np.broadcast_shapes(*(graph.writer.shapes[x] for x in inputs))
    kind = BINARY[node.op_type]
    options = getattr(schema, f"{kind.title()}OptionsT")()
    options.fusedActivationFunction = activation
    output = graph.emit(kind, inputs, shape, name, options)
    graph.set(name, output, channels_last=channels_last)


def _gelu(graph: Graph, node: onnx.NodeProto) -> bool:
    """Div by sqrt(2), Erf, Add 1, Mul by the input, Mul by 1/2 -> GELU."""
    x, chain, name = node.input[0], [node], node.output[0]
    expected = [("Erf", None), ("Add", 1.0), ("Mul", None), ("Mul", 0.5)]
    divisor = graph.array(node.input[1])
    if divisor is None or divisor.size != 1 or abs(divisor.item() - math.sqrt(2)) > TOLERANCE:
        return False
    for op_type, value in expected:
        reader = graph.reader(name)
        if reader is None or reader.op_type != op_type:
            return False
        others = [graph.array(n) for n in reader.input if n != name]
        if value is not None and not (others and others[0] is not None and others[0] == value):
            return False
        if op_type == "Mul" and value is None and x not in reader.input:
            return False
        chain.append(reader)
        name = reader.output[0]
    for part in chain:
        graph.skip(part)
    options = schema.GeluOptionsT()
    options.approximate = False
    index = graph.plain(x)
    graph.set(name, graph.emit("GELU", [index], graph.shape(x), name, options))
    return True


def unary(graph: Graph, node: onnx.NodeProto) -> None:
    """Relu, HardSwish, Sigmoid, Tanh -> the same; Clip to [0, 6] -> RELU6."""
    kind = "RELU6" if node.op_type == "Clip" else UNARY[node.op_type]
    if node.op_type == "Clip" and not is_relu6(graph, node):
        raise UnsupportedError(f"Clip {node.name!r}: not to [0, 6]")
    x, name = node.input[0], node.output[0]
    channels_last = graph.lies_channels_last(x)
    index = graph.channels_last(x) if channels_last else graph.plain(x)
    output = graph.emit(kind, [index], graph.writer.shapes[index], name)
    graph.set(name, output, channels_last=channels_last)


def hard_sigmoid(graph: Graph, node: onnx.NodeProto) -> None:
    """HardSigmoid of slope 1/6 -> (x + 3) limited to [0, 6], times 1/6, as Keras writes it."""
    given = attributes(node)
    slope, offset = given.get("alpha", 0.2), given.get("beta", 0.5)
    x, name = node.input[0], node.output[0]
    channels_last = graph.lies_channels_last(x)
    index = graph.channels_last(x) if channels_last else graph.plain(x)
    shape = graph.writer.shapes[index]
    add, scale = schema.AddOptionsT(), schema.MulOptionsT()
    add.fusedActivationFunction = Activation.RELU6
    # min(max(x + b/a, 0), 6) * a is the ONNX formula where 6 * a = 1.
    if abs(6 * slope - 1) > TOLERANCE:
        raise UnsupportedError(
            f"HardSigmoid {node.name!r}: slope {slope}, only 1/6 is converted"
        )
    shift = graph.stored(np.array(offset / slope, np.float32), f"{name}/shift")
    factor = graph.stored(np.array(slope, np.float32), f"{name}/slope")
    limited = graph.emit("ADD", [index, shift], shape, f"{name}/limited", add)
    output = graph.emit("MUL", [limited, factor], shape, name, scale)
    graph.set(name, output, channels_last=channels_last)


def cast(graph: Graph, node: onnx.NodeProto) -> None:
    """Cast to float -> CAST."""
    x, name = graph.plain(node.input[0]), node.output[0]
    output = graph.emit("CAST", [x], graph.shape(name), name, schema.CastOptionsT())
    graph.set(name, output)


def softmax(graph: Graph, node: onnx.NodeProto) -> None:
    """Softmax over the last axis -> SOFTMAX."""
    x, name = graph.plain(node.input[0]), node.output[0]
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    graph.set(name, graph.emit("SOFTMAX", [x], graph.shape(name), name, options))


def layer_norm(graph: Graph, node: onnx.NodeProto) -> None:
    """LayerNormalization over the last axis -> its formula: there is no such operator."""
    x, name = graph.plain(node.input[0]), node.output[0]
    shape = graph.shape(name)
    reduced = (*shape[:-1], 1)
    mean_options = schema.ReducerOptionsT()
    mean_options.keepDims = True
    axes = graph.stored(np.array([len(shape) - 1]), f"{name}/axis")
    epsilon = np.array(attributes(node).get("epsilon", 1e-5), np.float32)

    def step(kind: str, inputs: list[int], dims: tuple[int, ...], label: str) -> int:
        options = {
            "MEAN": mean_options,
            "SQUARED_DIFFERENCE": schema.SquaredDifferenceOptionsT(),
            "ADD": schema.AddOptionsT(),
            "SUB": schema.SubOptionsT(),
            "MUL": schema.MulOptionsT(),
        }.get(kind)
        return graph.emit(kind, inputs, dims, label, options)

    mean = step("MEAN", [x, axes], reduced, f"{name}/mean")
    square = step("SQUARED_DIFFERENCE", [x, mean], shape, f"{name}/square")
    variance = step("MEAN", [square, axes], reduced, f"{name}/variance")
    shifted = step(
        "ADD", [variance, graph.stored(epsilon, f"{name}/eps")], reduced, f"{name}/add"
    )
    factor = step("RSQRT", [shifted], reduced, f"{name}/rsqrt")
    centered = step("SUB", [x, mean], shape, f"{name}/centered")
    normed = step("MUL", [centered, factor], shape, f"{name}/normed")
    scaled = step("MUL", [normed, graph.plain(node.input[1])], shape, f"{name}/scaled")
    graph.set(name, step("ADD", [scaled, graph.plain(node.input[2])], shape, name))
