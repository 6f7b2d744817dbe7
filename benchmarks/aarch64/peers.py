"""Executed instructions of one inference in ONNX Runtime and LiteRT."""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType

from benchmarks.aarch64.cores import Core
from benchmarks.aarch64.system import PYTHON, SITE, system_for
from benchmarks.peers.litert_runner import LiteRtModel, native
from benchmarks.peers.litert_runner import quantize_static as litert_int8
from benchmarks.peers.onnxruntime_runner import OnnxRuntimeModel, quantize_int8
from benchmarks.peers.protocol import Inputs, Task
from octavo.compiler.counting.execute import OTHERS, count

EMULATOR = "qemu-aarch64"
GUEST = Path(__file__).with_name("guest.py")
# Inferences of the two runs whose difference counts. The first is in both: it makes what later
# ones use again. Small networks run more often: the start is not the same to the last
# instruction, and must not show.
NUM_FEW = 2
MIN_MORE = 2
MORE_BYTES = 10_000_000  # together, of the weights that the further inferences read


@dataclass(frozen=True)
class Variant:
    """One way to run a network in a peer.

    Attributes:
        peer: Name of the runtime.
        name: How the file was quantized.
        kind: What guest.py calls the runtime.
        file: Quantizes, or finds the file that was kept.
        inputs: Brings inputs into the form that the file takes.
        reference: Runs the file on this machine.
    """

    peer: str
    name: str
    kind: str
    file: Callable[[Task], Path]
    inputs: Callable[[Inputs], Mapping[str, NDArray[Any]]]
    reference: Callable[[Path, Inputs], dict[str, NDArray[Any]]]


def _run_onnxruntime(path: Path, inputs: Inputs) -> dict[str, NDArray[Any]]:
    return OnnxRuntimeModel(path).run(inputs)


def _run_litert(path: Path, inputs: Inputs) -> dict[str, NDArray[Any]]:
    return LiteRtModel(path).run(inputs)


def _onnxruntime(name: str, activations: QuantType) -> Variant:
    return Variant(
        "ONNX Runtime",
        name,
        "ort",
        lambda task: quantize_int8(task.path, task.samples, activations),
        dict,
        _run_onnxruntime,
    )


VARIANTS = (
    _onnxruntime("unsigned", QuantType.QUInt8),
    _onnxruntime("signed", QuantType.QInt8),
    Variant("LiteRT", "signed", "litert", litert_int8, native, _run_litert),
)


def count_peer(
    variant: Variant, task: Task, inputs: Inputs, core: Core
) -> dict[str, Any]:
    """Count one inference of a peer on a core.

    Args:
        variant: The peer.
        task: The network.
        inputs: Of the inference.
        core: What is emulated.

    Returns:
        Executed instructions, and the smallest cosine between an output and that of the same
        file on this machine: an emulator that computes something else counts nothing.
    """
    path = variant.file(task)
    expected = variant.reference(path, inputs)
    more = max(MIN_MORE, MORE_BYTES // path.stat().st_size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "inputs.npz", **variant.inputs(inputs))
        few, many = (_run(variant, path, folder, core, n) for n in (NUM_FEW, NUM_FEW + more))
        with np.load(folder / "outputs.npz") as data:
            found = list(data.values())
    cosine = min(
        _cosine(a, b) for a, b in zip(found, expected.values(), strict=True)
    )
    return {"instructions": round((many - few) / more), "cosine": round(cosine, 6)}


def _run(variant: Variant, path: Path, folder: Path, core: Core, num_runs: int) -> int:
    root = system_for(core)
    environment = os.environ | {
        "PYTHONPATH": str(root / SITE),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [str(root / PYTHON), str(GUEST), variant.kind, str(path)]
    command += [str(folder / "inputs.npz"), str(folder / "outputs.npz"), str(num_runs)]
    counts = count(
        [EMULATOR, "-L", str(root), "-cpu", core.cpu],
        command,
        counts_memory=False,
        environment=environment,
    )
    return counts[OTHERS].instructions


def _cosine(found: NDArray[Any], expected: NDArray[Any]) -> float:
    a, b = found.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))
