"""Matrix products: fully connected layers, and products of two activations."""

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from benchmarks.peers.tflite.graph import Graph, UnsupportedError, attributes
from benchmarks.peers.tflite.writer import ABSENT


def gemm(graph: Graph, node: onnx.NodeProto) -> None:
    """Gemm with constant weights -> FULLY_CONNECTED."""
    given = attributes(node)
    if given.get("transA") or given.get("alpha", 1) != 1 or given.get("beta", 1) != 1:
        raise UnsupportedError(f"Gemm {node.name!r}: transA, alpha or beta")
    weight = graph.constant(node.input[1])
    weight = weight if given.get("transB") else weight.T
    bias = graph.constant(node.input[2]) if len(node.input) > 2 else None
    activation, name = graph.fused_activation(node.output[0])
    x = graph.plain(node.input[0])
    graph.set(name, fully_connected(graph, x, weight, bias, name, activation))


def fully_connected(
    graph: Graph,
    x: int,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    name: str,
    activation: int = 0,
) -> int:
    """Append a FULLY_CONNECTED on the last axis.

    Args:
        graph: The network.
        x: Tensor, (..., features).
        weight: (outputs, features).
        bias: (outputs,), or None.
        name: Name of the output.
        activation: Fused one.
    """
    options = schema.FullyConnectedOptionsT()
    options.keepNumDims, options.fusedActivationFunction = True, activation
    biased = ABSENT if bias is None else graph.stored(bias, f"{name}/b")
    inputs = [x, graph.stored(weight, f"{name}/w"), biased]
    shape = (*graph.writer.shapes[x][:-1], len(weight))
    return graph.emit("FULLY_CONNECTED", inputs, shape, name, options)


def matmul(graph: Graph, node: onnx.NodeProto) -> None:
    """MatMul (+ Add of a constant vector) -> FULLY_CONNECTED; of two values BATCH_MATMUL."""
    left, right = node.input
    name = node.output[0]
    weight = graph.array(right)
    if weight is not None and weight.ndim == 2:
        bias = None
        add = graph.reader(name)
        if add is not None and add.op_type == "Add":
            other = next(x for x in add.input if x != name)
            vector = graph.array(other)
            if vector is not None and vector.ndim == 1:
                graph.skip(add)
                bias, name = vector, add.output[0]
        graph.set(name, fully_connected(graph, graph.plain(left), weight.T, bias, name))
        return
    options = schema.BatchMatMulOptionsT()
    options.adjX, options.adjY = False, swaps_last_axis(graph, right)
    read = _before_swap if options.adjY else Graph.plain
    inputs = [graph.plain(left), read(graph, right)]
    graph.set(name, graph.emit("BATCH_MATMUL", inputs, graph.shape(name), name, options))


def swaps_last_axis(graph: Graph, name: str) -> bool:
    """Say whether a Transpose moved the last axis of a value, and made it for one MatMul."""
    maker, reader = graph.maker(name), graph.reader(name)
    if maker is None or maker.op_type != "Transpose" or reader is None:
        return False
    perm = attributes(maker).get("perm", [0])
    return reader.op_type == "MatMul" and reader.input[1] == name and perm[-1] != len(perm) - 1


def _before_swap(graph: Graph, name: str) -> int:
    """Return the right operand with its last two axes exchanged, which the product undoes."""
    maker = graph.maker(name)
    assert maker is not None
    perm = attributes(maker)["perm"]
    swapped = (*perm[:-2], perm[-1], perm[-2])
    return graph.transposed(graph.plain(maker.input[0]), swapped, f"{name}/swapped")
