"""Random multigraphs, features and epilogues for the tests of aggregations."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.aggregation import Aggregation
from octavo.targets.ops.requantize import Requantize, dyadic

Arrays = dict[str, NDArray[Any]]

EPILOGUES = {
    "float32": Requantize(),
    "dyadic": Requantize(mode="dyadic", dtype="int8"),
    "table": Requantize(has_table=True, dtype="int8"),
    "real": Requantize(dtype="float32"),
    "tflite": Requantize(mode="tflite", dtype="int8"),
}


def edge_list(
    rng: np.random.Generator, nodes: int, sources: int, edges: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges (source, node): a hub, self loops, edges that come twice, and isolated nodes."""
    node = rng.integers(0, max(nodes // 2, 1), edges)  # the other half has none
    node[: edges // 3] = nodes - 1  # the hub
    source = rng.integers(0, sources, edges)
    source[edges // 2 :: 7] = np.minimum(node[edges // 2 :: 7], sources - 1)
    if edges > 9:
        source[-3:], node[-3:] = source[-4], node[-4]
    mixed = rng.permutation(edges)
    return source[mixed], node[mixed]


def operands(rng: np.random.Generator, op: Aggregation) -> Arrays:
    """Features, weights, bias and epilogue; results spread over the output's range."""
    is_float = op.dtype == "float32"
    arrays: Arrays = {}
    if is_float:
        arrays["x"] = rng.normal(0, 3, (op.sources, op.channels)).astype(np.float32)
    else:
        limits = np.iinfo(op.dtype)
        arrays["x"] = rng.integers(
            limits.min, limits.max, (op.sources, op.channels), op.dtype, endpoint=True)
        arrays["zero_point"] = np.array([119 if op.dtype == "uint8" else -9], np.int32)
    if op.pair is not None:
        arrays["target"] = rng.permutation(np.resize(arrays["x"], (op.nodes, op.channels)))
    weights = (op.edges, op.heads)
    if op.weight_dtype == "float32":
        arrays["weight"] = rng.normal(0, 1, weights).astype(np.float32)
    elif op.weight_dtype is not None:
        limits = np.iinfo(op.weight_dtype)
        arrays["weight"] = rng.integers(
            limits.min, limits.max, weights, op.weight_dtype, endpoint=True)
    if op.has_bias:
        bias = rng.normal(0, 300, op.num_biases)
        arrays["bias"] = bias.astype(np.float32 if is_float else np.int32)
    largest = 0.002 if op.weight_dtype in ("int8", "uint8") else 0.2
    multiplier = rng.uniform(largest / 10, largest, op.num_multipliers).astype(np.float32)
    significand, shift = dyadic(multiplier.astype(np.float64))
    signed = op.requantize.dtype == "int8"
    return arrays | {
        "multiplier": multiplier, "significand": significand, "shift": shift,
        "params": np.array([-5, -120, 125, 0] if signed else [120, 3, 250, 0], np.int32),
        "table": rng.integers(-128, 128, 256).astype(np.int8),
        "limits": np.array([-1.5, 2.5], np.float32),
    }


def output(op: Aggregation) -> NDArray[Any]:
    """What is in the memory of the result before: no result."""
    return np.full((op.nodes, op.channels), 77, op.requantize.dtype)
