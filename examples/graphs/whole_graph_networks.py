"""Networks over more than edges at run time: pooled graphs, a dense adjacency, time series."""

from collections.abc import Mapping

import onnx

from examples.graphs.aggregate import Floats, linear, relu
from examples.graphs.edge_nodes import EdgeNodes
from examples.graphs.layers.convolutional import gin, gin_reference, gin_shapes
from examples.graphs.layers.pooling import (
    pool,
    pool_reference,
    rayleigh,
    rayleigh_reference,
)
from examples.graphs.layers.spatio_temporal import forecaster, forecaster_reference
from examples.graphs.networks import Shapes, Sizes, nodes_of
from examples.graphs.onnx_writer import Array, Writer


def graph_classifier_shapes(sizes: Sizes) -> Shapes:
    """Weights of a GIN layer, pooling and a linear layer."""
    layer = gin_shapes(sizes.num_features, sizes.hidden, 1)
    return {
        **{f"layer1.{key}": shape for key, shape in layer.items()},
        "out.weight": (sizes.num_classes, sizes.hidden),
        "out.bias": (sizes.num_classes,),
    }


def graph_classifier(
    weights: Mapping[str, Array], sizes: Sizes, num_graphs: int, kind: str
) -> onnx.ModelProto:
    """Return the model of x, edge_index and batch (N,): logits (G, classes).

    Args:
        weights: As graph_classifier_shapes says.
        sizes: N and E count the nodes and edges of all graphs; either may be None.
        num_graphs: G.
        kind: One of pooling.POOLS.
    """
    writer = Writer(weights)
    edges = EdgeNodes(writer, sizes.num_nodes, sizes.num_edges)
    y = writer.add("Relu", [gin(writer, edges, "x", "layer1")], "layer1")
    y = pool(writer, y, (sizes.num_nodes, num_graphs, sizes.hidden), kind, "pool")
    num_edges = "edges" if sizes.num_edges is None else sizes.num_edges
    inputs = {
        "x": (nodes_of(sizes), sizes.num_features),
        "edge_index": (2, num_edges),
        "batch": (nodes_of(sizes),),
    }
    return writer.model(inputs, writer.linear(y, "out"), (num_graphs, sizes.num_classes))


def graph_classifier_reference(
    weights: Mapping[str, Array], inputs: Mapping[str, Array], num_graphs: int, kind: str
) -> Floats:
    """Return the logits (G, classes)."""
    own = {key.removeprefix("layer1."): array for key, array in weights.items()}
    y = relu(gin_reference(own, inputs["edge_index"], None, inputs["x"]))
    return linear(pool_reference(y, inputs["batch"], num_graphs, kind), dict(weights), "out.")


def dense_gcn(
    weights: Mapping[str, Array], adjacency: Floats, sizes: Sizes
) -> onnx.ModelProto:
    """Return a GCN of x alone, its normalized adjacency (N, N) a constant of the model."""
    writer = Writer({**weights, "adjacency": adjacency})
    y = "x"
    for name in ("layer1", "layer2"):
        y = writer.add("MatMul", ["adjacency", writer.linear(y, f"{name}.lin")], name)
        y = writer.add("Add", [y, f"{name}.bias"], name)
        y = writer.add("Relu", [y], name) if name == "layer1" else y
    inputs = {"x": (sizes.num_nodes, sizes.num_features)}
    return writer.model(inputs, y, (sizes.num_nodes, sizes.num_classes))


def rayleigh_classifier(
    weights: Mapping[str, Array], laplacian: Floats, sizes: Sizes
) -> onnx.ModelProto:
    """Return the logits (1, classes) of the Rayleigh quotients of x's channels.

    Args:
        weights: "out.weight" (classes, F) and "out.bias".
        laplacian: Shape (N, N), a constant of the model.
        sizes: Of x.
    """
    writer = Writer({**weights, "laplacian": laplacian})
    y = writer.linear(rayleigh(writer, "x", "laplacian", "rayleigh"), "out")
    inputs = {"x": (sizes.num_nodes, sizes.num_features)}
    return writer.model(inputs, y, (1, sizes.num_classes))


def rayleigh_classifier_reference(
    weights: Mapping[str, Array], laplacian: Floats, x: Floats
) -> Floats:
    """Return the logits (1, classes)."""
    return linear(rayleigh_reference(x, laplacian), dict(weights), "out.")


def forecasting_network(
    weights: Mapping[str, Array], encoder: str, num_past: int
) -> onnx.ModelProto:
    """Return the model of x (T, N, 1): the next step (N, 1).

    Args:
        weights: As forecaster_shapes says, and "adjacency" (N, N).
        encoder: One of spatio_temporal.ENCODERS.
        num_past: T.
    """
    num_nodes = len(weights["adjacency"])
    writer = Writer(weights)
    y = forecaster(writer, encoder, "x")
    return writer.model({"x": (num_past, num_nodes, 1)}, y, (num_nodes, 1))


def forecasting_reference(weights: Mapping[str, Array], encoder: str, x: Floats) -> Floats:
    """Return (N, 1) of x (T, N, 1)."""
    return forecaster_reference(dict(weights), encoder, x)
