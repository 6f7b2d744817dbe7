"""A graph whose nodes are to be classified, from a .npz file."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.errors import DataError

LABEL_NAMES = ("label", "labels", "y")
MASKS = ("train_mask", "val_mask", "test_mask")
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class GraphData:
    """One graph.

    Attributes:
        x: (N, F), float32.
        edge_index: (2, E), int64: sources and targets.
        edge_weight: (E,), float32: the given ones, else 1 / sqrt(d_u d_v) of in-degrees.
        labels: (N,), int64.
        train: (N,), bool: nodes that weights learn from.
        validation: (N,), bool: nodes that choices learn from.
        test: (N,), bool: nodes that results are measured on.
    """

    x: NDArray[np.float32]
    edge_index: NDArray[np.int64]
    edge_weight: NDArray[np.float32]
    labels: NDArray[np.int64]
    train: NDArray[np.bool_]
    validation: NDArray[np.bool_]
    test: NDArray[np.bool_]

    @property
    def num_nodes(self) -> int:
        """N."""
        return len(self.x)

    @property
    def num_edges(self) -> int:
        """E."""
        return int(self.edge_index.shape[1])

    @property
    def num_features(self) -> int:
        """F."""
        return int(self.x.shape[1])

    @property
    def num_classes(self) -> int:
        """One more than the largest label."""
        return int(self.labels.max()) + 1

    def inputs(self) -> dict[str, NDArray[Any]]:
        """One inference, by the names of the models' inputs."""
        return {"x": self.x, "edge_index": self.edge_index, "edge_weight": self.edge_weight}

    def known(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(1, N): labels of the nodes of a mask, -1 elsewhere."""
        known: NDArray[np.int64] = np.where(mask, self.labels, UNKNOWN)[None]
        return known


def read_graph(path: Path, *, self_loops: bool = True) -> GraphData:
    """Read a graph.

    Args:
        path: A .npz file of x (N, F), edge_index (2, E), label (N,) of integers from 0, and
            train_mask, val_mask and test_mask (N,); edge_weight (E,) where edges have one.
        self_loops: Give every node without a self loop one, as GCN and GAT want; edges that
            have given weights are left alone.

    Raises:
        DataError: An array is missing, or does not fit the others.
    """
    arrays = _arrays(path)
    x = _take(path, arrays, "x", 2, "f").astype(np.float32)
    edges = _take(path, arrays, "edge_index", 2, "iu").astype(np.int64)
    name = next((n for n in LABEL_NAMES if n in arrays), "label")
    labels = _take(path, arrays, name, 1, "iu").astype(np.int64)
    masks = [_take(path, arrays, mask, 1, "b") for mask in MASKS]
    for what, array in ((name, labels), *zip(MASKS, masks, strict=True)):
        if len(array) != len(x):
            raise DataError(f"{path}: {what} is for {len(array)} nodes, x has {len(x)}")
    for what, mask in zip(MASKS, masks, strict=True):
        if not mask.any() or labels[mask].min() < 0:
            raise DataError(f"{path}: {what} needs nodes, and labels of 0 or more for them")
    if edges.shape[0] != 2 or not edges.size:
        raise DataError(f"{path}: edge_index is {list(edges.shape)}; allowed: [2, edges]")
    if edges.min() < 0 or edges.max() >= len(x):
        raise DataError(
            f"{path}: edge_index has node {edges.min() if edges.min() < 0 else edges.max()};"
            f" allowed: 0 to {len(x) - 1}"
        )
    if not np.isfinite(x).all():
        raise DataError(f"{path}: x holds infinity or NaN")
    if "edge_weight" in arrays:
        weight = _take(path, arrays, "edge_weight", 1, "f").astype(np.float32)
        if len(weight) != edges.shape[1]:
            raise DataError(
                f"{path}: edge_weight has {len(weight)} numbers for {edges.shape[1]} edges"
            )
        if not np.isfinite(weight).all():
            raise DataError(f"{path}: edge_weight holds infinity or NaN")
    else:
        edges = _with_self_loops(edges, len(x)) if self_loops else edges
        weight = _normalized(edges, len(x))
    train, validation, test = masks
    return GraphData(x, edges, weight, labels, train, validation, test)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    wanted = {"x", "edge_index", "edge_weight", *LABEL_NAMES, *MASKS}
    try:
        # Pickled objects are never loaded: an array of them raises.
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it is one array")
            return {name: archive[name] for name in archive.files if name in wanted}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: no .npz file of a graph: {error}") from error


def _take(
    path: Path, arrays: dict[str, NDArray[Any]], name: str, num_axes: int, kinds: str
) -> NDArray[Any]:
    if name not in arrays:
        raise DataError(f"{path}: no array {name}; it has {', '.join(arrays) or 'none'}")
    array = arrays[name]
    if array.ndim != num_axes or array.dtype.kind not in kinds:
        named = {"f": "floats", "iu": "integers", "b": "booleans"}[kinds]
        raise DataError(
            f"{path}: {name} is {array.dtype}{list(array.shape)}; allowed: {named} with"
            f" {num_axes} axes"
        )
    return array


def _with_self_loops(edges: NDArray[np.int64], num_nodes: int) -> NDArray[np.int64]:
    has_loop = np.zeros(num_nodes, bool)
    has_loop[edges[0, edges[0] == edges[1]]] = True
    missing = np.flatnonzero(~has_loop)
    return np.concatenate([edges, np.stack([missing, missing])], axis=1)


def _normalized(edges: NDArray[np.int64], num_nodes: int) -> NDArray[np.float32]:
    """Return (E,): 1 / sqrt(d_u d_v), 0 where an end receives nothing.

    Source: Kipf and Welling, arXiv:1609.02907, equation 2.
    """
    degrees = np.bincount(edges[1], minlength=num_nodes).astype(np.float32)
    inverse = np.zeros(num_nodes, np.float32)
    np.divide(1.0, np.sqrt(degrees), out=inverse, where=degrees > 0)
    weights: NDArray[np.float32] = inverse[edges[0]] * inverse[edges[1]]
    return weights
