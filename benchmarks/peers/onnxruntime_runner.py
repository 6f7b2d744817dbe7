"""ONNX Runtime as a peer: its float run, and INT8 by its own quantizer, well set up."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import onnxruntime as ort
from onnxruntime.quantization import QuantType

from benchmarks.peers.cache import kept
from benchmarks.peers.protocol import Candidate, Inputs, Task
from octavo.compiler.bench.onnxruntime_program import OnnxRuntimeProgram as OnnxRuntimeModel
from octavo.compiler.bench.onnxruntime_quantizer import write_dynamic_int8, write_static_int8

PEER = "ONNX Runtime"


def candidates(task: Task) -> list[Candidate]:
    """Return float, static INT8 with either kind of activations, dynamic INT8."""
    path, samples = task.path, task.samples

    def static(activations: QuantType, num_threads: int) -> OnnxRuntimeModel:
        return OnnxRuntimeModel(quantize_int8(path, samples, activations), num_threads)

    return [
        Candidate(PEER, "float32", "", lambda n: OnnxRuntimeModel(path, n)),
        Candidate(PEER, "int8", "static u8", lambda n: static(QuantType.QUInt8, n)),
        Candidate(PEER, "int8", "static s8", lambda n: static(QuantType.QInt8, n)),
        Candidate(
            PEER, "int8", "dynamic", lambda n: OnnxRuntimeModel(quantize_int8_dynamic(path), n)
        ),
    ]


def quantize_int8(
    path: Path, samples: Iterable[Inputs], activations: QuantType = QuantType.QUInt8
) -> Path:
    """Quantize a float model with ONNX Runtime's own tools and return the QDQ file.

    See `write_static_int8`.

    Args:
        path: Float ONNX file.
        samples: Calibration data, one dictionary for each inference.
        activations: Their integers.
    """
    samples = list(samples)
    signed = activations == QuantType.QInt8

    def make(target: Path) -> None:
        write_static_int8(path, target, samples, signed=signed)

    suffix = "ort-s8.onnx" if signed else "ort-int8.onnx"
    return kept(path, samples, ort.__version__, suffix, make)


def quantize_int8_dynamic(path: Path) -> Path:
    """Quantize the weights of a float model with its own tools, see `write_dynamic_int8`."""
    make = partial(write_dynamic_int8, path)
    return kept(path, [], ort.__version__, "ort-dynamic.onnx", make)
