"""Self loops and GCN's normalization inside the model, as GCNConv and GATConv export them.

add_remaining_self_loops takes the self loops of edge_index away and gives each node one. What
remains is known only at run time: NonZero finds it. The exporter writes this once for a model,
however many layers ask for it. Seen in exports of PyTorch 2.13 (dynamo) and PyTorch Geometric
2.8.
"""

import numpy as np

from examples.graphs.onnx_writer import Writer

NAME = "self_loops"


def with_self_loops_nodes(writer: Writer, num_nodes: int) -> str:
    """Append what makes (2, E' + N) of the input "edge_index" (2, E); return its name."""
    minus_one = writer.constant([-1])
    source, destination = (
        writer.add("Gather", ["edge_index", writer.constant(end)], NAME, axis=0)
        for end in (0, 1)
    )
    differ = writer.add("Not", [writer.add("Equal", [source, destination], NAME)], NAME)
    found = writer.add("Transpose", [writer.add("NonZero", [differ], NAME)], NAME, perm=[1, 0])
    found = writer.add("Squeeze", [found, writer.constant([1])], NAME)
    # A broadcast of one index with itself: does nothing, and is what exporters write.
    length = writer.add("Shape", [writer.add("Max", [found], NAME)], NAME, start=0)
    found = writer.add("Expand", [found, length], NAME)
    columns = writer.add("Transpose", ["edge_index"], NAME, perm=[1, 0])
    rows = writer.add("Unsqueeze", [found, minus_one], NAME)
    kept = writer.add("GatherND", [columns, rows], NAME)
    kept = writer.add("Transpose", [kept], NAME, perm=[1, 0])
    loops = writer.constant(np.tile(np.arange(num_nodes), (2, 1)))
    return writer.add("Concat", [kept, loops], NAME, axis=1)


def normalized_weight_nodes(writer: Writer, edge_index: str, num_nodes: int) -> str:
    """Append 1 / sqrt(d_u d_v) of each edge (E,), d the in-degrees; return its name.

    Args:
        writer: Gets the nodes.
        edge_index: Value of shape (2, E); what ends nowhere has the weight 0.
        num_nodes: N.
    """
    minus_one = writer.constant([-1])
    source, destination = (
        writer.add("Gather", [edge_index, writer.constant(end)], NAME, axis=0)
        for end in (0, 1)
    )
    length = writer.add("Shape", [edge_index], NAME, start=1, end=2)
    ones = writer.add("Expand", [writer.constant(1, np.float32), length], NAME)
    index = writer.add("Reshape", [destination, minus_one], NAME, allowzero=1)
    zeros = writer.add("ConstantOfShape", [writer.constant([num_nodes])], NAME)
    degree = writer.add("ScatterElements", [zeros, index, ones], NAME, axis=0, reduction="add")
    inverse = writer.add("Pow", [degree, writer.constant(-0.5, np.float32)], NAME)
    infinite = writer.add("Equal", [inverse, writer.constant(np.inf, np.float32)], NAME)
    inverse = writer.add("Where", [infinite, writer.constant(0, np.float32), inverse], NAME)
    left, right = (
        writer.add(
            "GatherND", [inverse, writer.add("Unsqueeze", [end, minus_one], NAME)], NAME
        )
        for end in (source, destination)
    )
    return writer.add("Mul", [writer.add("Mul", [left, ones], NAME), right], NAME)
