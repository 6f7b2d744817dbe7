"""Whole networks: shapes of weights, the ONNX model, the numpy reference; one name, all three.

Node classifiers are two layers with a ReLU between them; the graph classifiers pool the nodes
after one layer. The input ``x`` is (N, F), ``edge_index`` (2, E).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx

from examples.graphs.aggregate import Floats, linear, relu
from examples.graphs.edge_nodes import EdgeNodes
from examples.graphs.layers.attention import (
    gat,
    gat_reference,
    gat_shapes,
    gatv2,
    gatv2_reference,
    gatv2_shapes,
)
from examples.graphs.layers.convolutional import (
    chebyshev,
    chebyshev_reference,
    chebyshev_shapes,
    gcn,
    gcn_reference,
    gcn_shapes,
    gin,
    gin_reference,
    gin_shapes,
    sage_max,
    sage_max_reference,
    sage_mean,
    sage_mean_reference,
    sage_shapes,
)
from examples.graphs.layers.messages import (
    NUM_ATTRIBUTES,
    edge_conditioned,
    edge_conditioned_reference,
    edge_conditioned_shapes,
    sir_gcn,
    sir_gcn_reference,
    sir_gcn_shapes,
)
from examples.graphs.layers.sheaf import sheaf, sheaf_reference, sheaf_shapes
from examples.graphs.onnx_writer import Array, Writer
from examples.graphs.self_loop_nodes import normalized_weight_nodes, with_self_loops_nodes

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Sizes:
    """Numbers of a network.

    Attributes:
        num_nodes: N, or None where it is known only at run time.
        num_edges: E, or None where it is known only at run time.
        num_features: F.
        hidden: Channels between the layers; a multiple of 4, the heads of attention.
        num_classes: Channels of the output.
    """

    num_nodes: int | None
    num_edges: int | None
    num_features: int = 16
    hidden: int = 16
    num_classes: int = 4


@dataclass(frozen=True)
class Layer:
    """A layer's three functions and the number or vector it wants for each edge.

    Attributes:
        shapes: Of the weights, from channels in, channels out and heads.
        nodes: Appends the ONNX nodes.
        reference: From weights, edge_index, the edges' numbers and x.
        edge_input: Name of the third input, "" where the layer has none.
        framed: Linear layers before and after: it keeps the number of channels.
    """

    shapes: Callable[[int, int, int], Shapes]
    nodes: Callable[[Writer, EdgeNodes, str, str], str]
    reference: Callable[..., Floats]
    edge_input: str = ""
    framed: bool = False


LAYERS = {
    "gcn": Layer(gcn_shapes, gcn, gcn_reference, "edge_weight"),
    "sage_mean": Layer(sage_shapes, sage_mean, sage_mean_reference),
    "sage_max": Layer(sage_shapes, sage_max, sage_max_reference),
    "gin": Layer(gin_shapes, gin, gin_reference),
    "gat": Layer(gat_shapes, gat, gat_reference),
    "gatv2": Layer(gatv2_shapes, gatv2, gatv2_reference),
    "chebyshev": Layer(chebyshev_shapes, chebyshev, chebyshev_reference, "edge_weight"),
    "sir_gcn": Layer(sir_gcn_shapes, sir_gcn, sir_gcn_reference),
    "edge_conditioned": Layer(
        edge_conditioned_shapes, edge_conditioned, edge_conditioned_reference, "edge_attr"
    ),
    "sheaf": Layer(sheaf_shapes, sheaf, sheaf_reference, framed=True),
}
HEADS = 4  # of the first attention layer; the second has one


def weight_shapes(name: str, sizes: Sizes) -> Shapes:
    """Return the shape of every weight of the network ``name``, one of LAYERS."""
    layer, hidden = LAYERS[name], sizes.hidden
    ends = (sizes.num_features, sizes.num_classes)
    first, second = (hidden, hidden) if layer.framed else ends
    shapes = {
        **_named("layer1", layer.shapes(first, hidden, HEADS)),
        **_named("layer2", layer.shapes(hidden, second, 1)),
    }
    if layer.framed:
        for frame, num_in, num_out in (("lin_in", ends[0], hidden), ("out", hidden, ends[1])):
            shapes |= {f"{frame}.weight": (num_out, num_in), f"{frame}.bias": (num_out,)}
    return shapes


def random_weights(shapes: Shapes, rng: np.random.Generator) -> dict[str, Floats]:
    """Draw weights whose sums over the last axis have variance 1 where their inputs have."""
    return {
        name: rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(shape[-1]))
        for name, shape in shapes.items()
    }


def node_classifier(
    name: str,
    weights: Mapping[str, Array],
    sizes: Sizes,
    *,
    style: str = "elements",
    graph: Mapping[str, Array] | None = None,
    self_loops_inside: bool = False,
) -> onnx.ModelProto:
    """Return the model of inputs x, edge_index and, for some, edge_weight or edge_attr.

    Args:
        name: One of LAYERS.
        weights: As weight_shapes says.
        sizes: With num_edges None the number of edges is the dimension "edges", with num_nodes
            None that of nodes is "nodes".
        style: How exporters write gathers and scatters: edge_nodes.STYLES.
        graph: edge_index and the edges' numbers, stored in the model: x is its only input.
        self_loops_inside: The model adds the self loops, and for "gcn" it makes the normalized
            weights: it has no input edge_weight. Not for "chebyshev" and "edge_conditioned".
    """
    layer = LAYERS[name]
    writer = Writer({**weights, **(graph or {})})
    if self_loops_inside:
        edges = _edges_with_self_loops(writer, name, sizes, style)
        layer = replace(layer, edge_input="")
    else:
        edges = EdgeNodes(
            writer, sizes.num_nodes, sizes.num_edges, extra=layer.edge_input, style=style
        )
    y = writer.linear("x", "lin_in") if layer.framed else "x"
    y = layer.nodes(writer, edges, y, "layer1")
    y = layer.nodes(writer, edges, writer.add("Relu", [y], "layer1"), "layer2")
    y = writer.linear(y, "out") if layer.framed else y
    inputs = {
        key: shape
        for key, shape in _input_shapes(layer, sizes).items()
        if key not in (graph or {})
    }
    return writer.model(inputs, y, (nodes_of(sizes), sizes.num_classes))


def nodes_of(sizes: Sizes) -> int | str:
    """Return the number of nodes, or the name of the dimension."""
    return "nodes" if sizes.num_nodes is None else sizes.num_nodes


def node_classifier_reference(
    name: str, weights: Mapping[str, Array], inputs: Mapping[str, Array]
) -> Floats:
    """Return the logits (N, classes) of the inputs that node_classifier names."""
    layer, x = LAYERS[name], inputs["x"]
    edges, extra = inputs["edge_index"], inputs.get(layer.edge_input)
    y = linear(x, dict(weights), "lin_in.") if layer.framed else x
    y = relu(layer.reference(_of("layer1", weights), edges, extra, y))
    y = layer.reference(_of("layer2", weights), edges, extra, y)
    return linear(y, dict(weights), "out.") if layer.framed else y


def _edges_with_self_loops(writer: Writer, name: str, sizes: Sizes, style: str) -> EdgeNodes:
    if LAYERS[name].edge_input and name != "gcn":
        raise ValueError(f"{name!r} has numbers on its edges and takes no self loops inside")
    if sizes.num_nodes is None:
        raise ValueError("self loops inside need a number of nodes; allowed: 1 and more")
    edge_index = with_self_loops_nodes(writer, sizes.num_nodes)
    extra = ""
    if LAYERS[name].edge_input:
        extra = normalized_weight_nodes(writer, edge_index, sizes.num_nodes)
    return EdgeNodes(
        writer, sizes.num_nodes, None, extra=extra, style=style, edge_index=edge_index
    )


def _input_shapes(layer: Layer, sizes: Sizes) -> dict[str, tuple[int | str, ...]]:
    num_edges = "edges" if sizes.num_edges is None else sizes.num_edges
    shapes: dict[str, tuple[int | str, ...]] = {
        "x": (nodes_of(sizes), sizes.num_features),
        "edge_index": (2, num_edges),
    }
    if layer.edge_input:
        wide = () if layer.edge_input == "edge_weight" else (NUM_ATTRIBUTES,)
        shapes[layer.edge_input] = (num_edges, *wide)
    return shapes


def _named(name: str, shapes: Shapes) -> Shapes:
    return {f"{name}.{key}": shape for key, shape in shapes.items()}


def _of(name: str, weights: Mapping[str, Array]) -> dict[str, Floats]:
    """Return one layer's weights under its own names for them."""
    return {
        key.removeprefix(f"{name}."): array
        for key, array in weights.items()
        if key.startswith(f"{name}.")
    }
