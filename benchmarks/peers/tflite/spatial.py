"""Convolutions and pools, channels last, with BatchNormalization folded into the weights."""

from collections.abc import Sequence

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from benchmarks.peers.tflite.graph import Graph, UnsupportedError, attributes

Padding = schema.Padding


def conv(graph: Graph, node: onnx.NodeProto) -> None:
    """Conv (+ BatchNormalization, + Relu or Clip) -> CONV_2D or DEPTHWISE_CONV_2D."""
    given = attributes(node)
    weight, bias, name = _folded(graph, node)
    groups, channels = given.get("group", 1), graph.shape(node.input[0])[1]
    is_depthwise = groups == channels and groups > 1
    if groups != 1 and not (is_depthwise and weight.shape[0] == channels):
        raise UnsupportedError(f"Conv {node.name!r}: {groups} groups")
    activation, name = graph.fused_activation(name)
    strides, dilations = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    extent = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]
    x, padding = _padded(graph, node, extent, strides)
    options = schema.DepthwiseConv2DOptionsT() if is_depthwise else schema.Conv2DOptionsT()
    if is_depthwise:
        options.depthMultiplier = 1
    options.padding, options.fusedActivationFunction = padding, activation
    options.strideH, options.strideW = strides
    options.dilationHFactor, options.dilationWFactor = dilations
    # OIHW, I being 1 in a depthwise one, whose channels TensorFlow Lite wants innermost.
    stored = weight.transpose((1, 2, 3, 0) if is_depthwise else (0, 2, 3, 1))
    inputs = [x, graph.stored(stored, f"{name}/w"), graph.stored(bias, f"{name}/b")]
    kind = "DEPTHWISE_CONV_2D" if is_depthwise else "CONV_2D"
    output = graph.emit(kind, inputs, _nhwc(graph.shape(name)), name, options)
    graph.set(name, output, channels_last=True)


def _folded(
    graph: Graph, node: onnx.NodeProto
) -> tuple[NDArray[np.float32], NDArray[np.float32], str]:
    """Return weight, bias and output name with a following BatchNormalization folded in."""
    weight, name = graph.constant(node.input[1]), node.output[0]
    has_bias = len(node.input) > 2
    bias = graph.constant(node.input[2]) if has_bias else np.zeros(len(weight), np.float32)
    norm = graph.reader(name)
    if norm is not None and norm.op_type == "BatchNormalization":
        scale, shift, mean, variance = (graph.constant(n) for n in norm.input[1:5])
        factor = scale / np.sqrt(variance + attributes(norm).get("epsilon", 1e-5))
        weight = weight * factor.reshape(-1, 1, 1, 1)
        bias, name = (bias - mean) * factor + shift, norm.output[0]
        graph.skip(norm)
    return weight, bias, name


def max_pool(graph: Graph, node: onnx.NodeProto) -> None:
    """MaxPool -> MAX_POOL_2D; padding is zeros, right for what is never negative."""
    given = attributes(node)
    maker = graph.maker(node.input[0])
    if any(given.get("pads", ())) and (maker is None or maker.op_type not in ("Relu", "Clip")):
        raise UnsupportedError(f"MaxPool {node.name!r}: padding of what may be negative")
    strides = given.get("strides", [1, 1])
    x, padding = _padded(graph, node, given["kernel_shape"], strides)
    options = schema.Pool2DOptionsT()
    options.padding = padding
    options.strideH, options.strideW = strides
    options.filterHeight, options.filterWidth = given["kernel_shape"]
    name = node.output[0]
    output = graph.emit("MAX_POOL_2D", [x], _nhwc(graph.shape(name)), name, options)
    graph.set(name, output, channels_last=True)


def global_average_pool(graph: Graph, node: onnx.NodeProto) -> None:
    """GlobalAveragePool -> MEAN over height and width."""
    options = schema.ReducerOptionsT()
    options.keepDims = True
    name = node.output[0]
    inputs = [
        graph.channels_last(node.input[0]),
        graph.stored(np.array([1, 2]), f"{name}/axes"),
    ]
    output = graph.emit("MEAN", inputs, _nhwc(graph.shape(name)), name, options)
    graph.set(name, output, channels_last=True)


def _padded(
    graph: Graph, node: onnx.NodeProto, extent: Sequence[int], strides: Sequence[int]
) -> tuple[int, int]:
    """Return the input, padded where neither SAME nor VALID says it, and what to say."""
    x = graph.channels_last(node.input[0])
    pads = attributes(node).get("pads", [0, 0, 0, 0])
    if not any(pads):
        return x, Padding.VALID
    before, after = np.array(pads[:2]), np.array(pads[2:])
    size = np.array(graph.shape(node.input[0])[2:])
    # Source: TensorFlow, "Notes on padding": SAME puts the odd row at the end.
    total = np.maximum((-(-size // strides) - 1) * strides + extent - size, 0)
    if np.array_equal(before, total // 2) and np.array_equal(after, total - total // 2):
        return x, Padding.SAME
    amounts = np.array([(0, 0), *zip(before, after, strict=True), (0, 0)])
    shape = tuple(
        old + sum(pair) for old, pair in zip(graph.writer.shapes[x], amounts, strict=True)
    )
    name = f"{node.output[0]}/pad"
    padding = graph.stored(amounts, f"{name}/amounts")
    padded = graph.emit(
        "PAD", [x, padding], tuple(map(int, shape)), name, schema.PadOptionsT()
    )
    return padded, Padding.VALID


def _nhwc(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1])
