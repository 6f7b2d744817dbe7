"""From nodes to graphs: sum, mean or maximum of each graph's nodes; Rayleigh quotients.

Pooling is aggregation along edges from nodes to graphs: ``batch`` (N,) says to which of G
graphs a node belongs, in [0, G).

Source: PyTorch Geometric's global_add_pool, global_mean_pool, global_max_pool; Dong et al.,
RQGNN, arXiv:2310.02861 (Rayleigh quotient).
"""

import numpy as np

from examples.graphs.aggregate import Floats, scatter_max, scatter_mean, scatter_sum
from examples.graphs.edge_nodes import LOWEST
from examples.graphs.graph import Edges
from examples.graphs.onnx_writer import Writer

POOLS = ("sum", "mean", "max")
LEAST = np.float32(1e-6)  # added to x'x: channels of zeros have the quotient 0


def pool(
    writer: Writer, x: str, sizes: tuple[int | None, int, int], kind: str, name: str
) -> str:
    """Append the pooling of x (N, C) to (G, C); 0 for a graph without nodes.

    Args:
        writer: Holds the input "batch".
        x: Value of shape (N, C).
        sizes: N, or None where it is known only at run time; G; C.
        kind: One of POOLS.
        name: Of the layer.
    """
    num_nodes, num_graphs, channels = sizes
    column = writer.reshape("batch", [-1, 1], name)
    every = writer.sizes(num_nodes, "batch", (channels,), name)
    index = writer.add("Expand", [column, every], name)
    out = writer.constant([num_graphs, channels])
    data = writer.add("ConstantOfShape", [out], name)
    if kind == "max":
        lowest = writer.add("Expand", [writer.constant(LOWEST, np.float32), every], name)
        data = _scatter(writer, [data, index, lowest], "min", name)
        return _scatter(writer, [data, index, x], "max", name)
    total = _scatter(writer, [data, index, x], "add", name)
    if kind == "sum":
        return total
    length = writer.sizes(num_nodes, "batch", (), name)
    ones = writer.add("Expand", [writer.constant(1, np.float32), length], name)
    count = writer.add("ConstantOfShape", [writer.constant([num_graphs])], name)
    count = _scatter(writer, [count, "batch", ones], "add", name)
    count = writer.add("Max", [count, writer.constant(1, np.float32)], name)
    count = writer.add("Expand", [writer.reshape(count, [-1, 1], name), out], name)
    return writer.add("Div", [total, count], name)


def pool_reference(x: Floats, batch: Edges, num_graphs: int, kind: str) -> Floats:
    """Return (G, C) of x (N, C) and batch (N,)."""
    to_graphs = np.stack([np.arange(len(batch)), batch])
    scatter = {"sum": scatter_sum, "mean": scatter_mean, "max": scatter_max}[kind]
    return scatter(x, to_graphs, num_graphs)


def rayleigh(writer: Writer, x: str, laplacian: str, name: str) -> str:
    """Append x'Lx / x'x of each channel of x (N, C), with L (N, N) constant: (1, C)."""
    axis = writer.constant([0])
    moved = writer.add("MatMul", [laplacian, x], name)
    above = writer.add("ReduceSum", [writer.add("Mul", [x, moved], name), axis], name)
    below = writer.add("ReduceSum", [writer.add("Mul", [x, x], name), axis], name)
    below = writer.add("Add", [below, writer.constant(LEAST, np.float32)], name)
    return writer.add("Div", [above, below], name)


def rayleigh_reference(x: Floats, laplacian: Floats) -> Floats:
    """Return (1, C)."""
    above = np.einsum("nc,nm,mc->c", x, laplacian, x)
    return (above / ((x * x).sum(axis=0) + LEAST))[None]


def _scatter(writer: Writer, parts: list[str], reduction: str, name: str) -> str:
    return writer.add("ScatterElements", parts, name, axis=0, reduction=reduction)
