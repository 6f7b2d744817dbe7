"""Compile every network of the zoo and compare outputs: with float, and with onnxruntime.

    python -m benchmarks.fidelity [NAME ...]

Writes benchmarks/results/fidelity.json and fidelity.md. The weights are random, fitted so that
activations look like those of trained networks (benchmarks/zoo/fit.py): the figures show that
nothing is broken, not what a trained network loses.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

import octavo
from benchmarks.peers.onnxruntime_runner import OnnxRuntimeModel
from benchmarks.result_rows import rows_command
from benchmarks.zoo.registry import ZOO, find_entry
from benchmarks.zoo.store import model_path

NUM_CALIBRATION = 16
NUM_EVALUATION = 8
EVALUATION_SEED = 1


def measure(name: str) -> dict[str, Any]:
    """Compile one network for the host, and run it beside onnxruntime.

    Args:
        name: Name of a zoo entry.
    """
    entry = find_entry(name)
    path = model_path(name)
    samples = entry.samples(NUM_CALIBRATION)
    inputs = entry.samples(NUM_EVALUATION, seed=EVALUATION_SEED)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "samples.npz"
        np.savez(data, **{k: np.concatenate([s[k] for s in samples]) for k in samples[0]})
        start = time.perf_counter()
        result = octavo.compile(path, "host", Path(folder) / "out", samples=data)
        seconds = time.perf_counter() - start
        return _compare(path, result, inputs) | {"compile_s": round(seconds, 1)}


def _compare(path: Path, result: Any, inputs: list[dict[str, NDArray[Any]]]) -> dict[str, Any]:
    quantized = result.directory / "model.int8.onnx"
    steps = result.manifest["steps"]
    original = OnnxRuntimeModel(path, num_threads=1)
    reference = OnnxRuntimeModel(quantized, num_threads=1, optimize=False)
    with octavo.load(result.directory) as ours:
        outputs = [(ours.run(x), original.run(x), reference.run(x)) for x in inputs]
    macs = sum(step["macs"] for step in steps)
    int8 = sum(step["macs"] for step in steps if step["placement"] == "int8")
    return {
        "sqnr_float_db": round(sqnr_db([(f, o) for o, f, _ in outputs]), 1),
        "sqnr_same_model_db": round(sqnr_db([(q, o) for o, _, q in outputs]), 1),
        "weights_ratio": round(
            result.manifest["memory"]["weights_bytes"] / float_bytes(onnx.load(path)), 3
        ),
        "int8_macs": round(int8 / max(macs, 1), 4),
        "float_steps": sum(step["placement"] == "float32" for step in steps),
    }


def sqnr_db(pairs: list[tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]]) -> float:
    """Signal to quantization noise of all outputs of all inputs together, decibels."""
    signal = noise = 0.0
    for expected, actual in pairs:
        for name, value in expected.items():
            exact = value.astype(np.float64)
            signal += float(np.square(exact).sum())
            noise += float(np.square(exact - actual[name]).sum())
    return float(10 * np.log10(signal / max(noise, 1e-30)))


def float_bytes(model: onnx.ModelProto) -> int:
    """Bytes of the float32 constants of a model."""
    return sum(
        4 * int(np.prod(tensor.dims))
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    )


def table(rows: dict[str, Any]) -> str:
    """Markdown, one line for each network, in the order of the zoo."""
    columns = list(next(iter(rows.values())))
    lines = ["| network | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(str(row[c]) for c in columns) + " |"
        for name in (entry.name for entry in ZOO)
        if (row := rows.get(name))
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    rows_command("fidelity", [entry.name for entry in ZOO], measure, table)()
