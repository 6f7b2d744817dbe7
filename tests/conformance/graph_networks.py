"""Example graph networks as the data of a conformance test: file, samples, inputs."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRAPHS = Path(__file__).resolve().parents[2] / "examples" / "graphs"
# Samples of a network are graphs: with self loops where its layers want them.
GRAPH_NETWORKS = {
    "gcn": "_loops", "sage_mean": "", "sage_max": "", "gin": "", "gat": "_loops",
    "gatv2": "_loops", "chebyshev": "", "sir_gcn": "", "sheaf": "",
}  # fmt: skip


def graph_data(
    name: str,
) -> tuple[Path, list[dict[str, NDArray[Any]]], list[dict[str, NDArray[Any]]]]:
    """Of one of ``GRAPH_NETWORKS``: its model, calibration samples and one test graph."""
    suffix = GRAPH_NETWORKS[name]
    calibration, test = (
        _graphs(name, f"{part}{suffix}.npz") for part in ("calibration", "test")
    )
    return GRAPHS / f"{name}.onnx", calibration, test[:1]


def _graphs(name: str, file: str) -> list[dict[str, NDArray[Any]]]:
    names = {"x", "edge_index"}
    if name in ("gcn", "chebyshev"):
        names.add("edge_weight")
    with np.load(GRAPHS / file) as stored:
        arrays = {key: stored[key] for key in stored.files if key in names}
    count = len(arrays["x"])
    return [{key: array[i] for key, array in arrays.items()} for i in range(count)]
