"""A network that was found, as files that every other command takes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from octavo.compiler.graph_search.graph_data import GraphData
from octavo.compiler.graph_search.onnx_operators import Array, export_network
from octavo.compiler.graph_search.space import Architecture
from octavo.passes.layer_format import LayerFormat

MODEL, FORMATS, SAMPLES = "network.onnx", "formats.toml", "graph.npz"


def write_network(
    folder: Path, architecture: Architecture, weights: Mapping[str, Array], data: GraphData
) -> dict[str, LayerFormat]:
    """Write the float network, its formats as overrides, and the graph as a sample.

    Args:
        folder: Made; holds ``network.onnx``, ``formats.toml`` and ``graph.npz`` then.
        architecture: The network.
        weights: By name.
        data: What it was trained for.

    Returns:
        The format of every node that has one.
    """
    folder.mkdir(parents=True)
    model, formats = export_network(architecture, weights, data.num_nodes, data.num_edges)
    (folder / MODEL).write_bytes(model.SerializeToString(deterministic=True))
    (folder / FORMATS).write_text(overrides_text(formats), encoding="utf-8")
    inputs = {value.name for value in model.graph.input}
    arrays = {name: array[None] for name, array in data.inputs().items() if name in inputs}
    arrays["label"] = data.known(data.test)
    np.savez_compressed(folder / SAMPLES, allow_pickle=False, **arrays)
    return formats


def overrides_text(formats: Mapping[str, LayerFormat]) -> str:
    """Formats as ``--overrides`` takes them."""
    tables = (
        f'[[layer]]\nmatch = "{name}"\nweight_bits = {chosen.weight_bits}\n'
        f"activation_bits = {chosen.activation_bits}\n"
        for name, chosen in formats.items()
    )
    return "\n".join(tables)
