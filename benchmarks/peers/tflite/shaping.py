"""What moves or joins values without arithmetic."""

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema

from benchmarks.peers.tflite.dense import swaps_last_axis
from benchmarks.peers.tflite.graph import Graph, UnsupportedError, attributes


def reshape(graph: Graph, node: onnx.NodeProto) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze -> RESHAPE."""
    x, name = node.input[0], node.output[0]
    shape = graph.shape(name)
    # Maps as a sequence of pixels: channels last is the order that the Transpose asks for.
    after = graph.reader(name)
    if graph.lies_channels_last(x) and after is not None and _is_pixels(graph, node, after):
        graph.skip(after)
        name = after.output[0]
        index = graph.reshaped(graph.channels_last(x), graph.shape(name), name)
    else:
        index = graph.reshaped(graph.plain(x), shape, name)
    graph.set(name, index)


def _is_pixels(graph: Graph, node: onnx.NodeProto, after: onnx.NodeProto) -> bool:
    batch, channels, height, width = graph.shape(node.input[0])
    return (
        graph.shape(node.output[0]) == (batch, channels, height * width)
        and after.op_type == "Transpose"
        and list(attributes(after).get("perm", ())) == [0, 2, 1]
    )


def transpose(graph: Graph, node: onnx.NodeProto) -> None:
    """Transpose -> TRANSPOSE, unless the only reader is a product that does it itself."""
    x, name = node.input[0], node.output[0]
    if swaps_last_axis(graph, name):
        return
    perm = tuple(attributes(node).get("perm", range(len(graph.shape(x)))[::-1]))
    graph.set(name, graph.transposed(graph.plain(x), perm, name))


def gather(graph: Graph, node: onnx.NodeProto) -> None:
    """Gather of one constant place -> SLICE; from a constant table -> GATHER."""
    x, name = node.input[0], node.output[0]
    axis = attributes(node).get("axis", 0)
    place = graph.array(node.input[1])
    if place is not None and place.size == 1:
        shape = graph.shape(x)
        begin = [0] * len(shape)
        begin[axis] = int(place.item()) % shape[axis]
        sizes = (*shape[:axis], 1, *shape[axis + 1 :])
        index = graph.sliced(graph.plain(x), tuple(begin), sizes, f"{name}/slice")
        graph.set(name, graph.reshaped(index, graph.shape(name), name))
        return
    if axis != 0:
        raise UnsupportedError(f"Gather {node.name!r}: axis {axis}")
    inputs = [graph.plain(x), graph.plain(node.input[1])]
    options = schema.GatherOptionsT()
    graph.set(name, graph.emit("GATHER", inputs, graph.shape(name), name, options))


def concat(graph: Graph, node: onnx.NodeProto) -> None:
    """Concat -> CONCATENATION, in the layout of ONNX."""
    name = node.output[0]
    options = schema.ConcatenationOptionsT()
    options.axis = attributes(node)["axis"]
    inputs = [graph.plain(x) for x in node.input]
    graph.set(name, graph.emit("CONCATENATION", inputs, graph.shape(name), name, options))


def last_row(graph: Graph, index: int, name: str) -> int:
    """Return the last entry of the first axis, which stays with size 1."""
    shape = graph.writer.shapes[index]
    begin = (shape[0] - 1, *np.zeros(len(shape) - 1, int).tolist())
    return graph.sliced(index, begin, (1, *shape[1:]), name)
