"""ONNX Runtime as a peer: its float run, and INT8 by its own quantizer, well set up."""

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.peers.cache import kept
from benchmarks.peers.protocol import Candidate, Inputs, Task
from octavo.compiler.bench.onnxruntime_program import OnnxRuntimeProgram as OnnxRuntimeModel

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

    Per-channel int8 weights with the full range, per-tensor activations, min-max ranges, after
    its shape inference and graph optimization: what its documentation recommends on x86-64
    with dot-product instructions, with uint8 activations for convolutional networks.

    Args:
        path: Float ONNX file.
        samples: Calibration data, one dictionary for each inference.
        activations: Their integers.
    """
    samples = list(samples)

    def make(target: Path) -> None:
        with _prepared(path) as prepared:
            quantize_static(
                prepared,
                target,
                _Samples(samples),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=False,
                activation_type=activations,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
            )

    suffix = "ort-int8.onnx" if activations == QuantType.QUInt8 else "ort-s8.onnx"
    return kept(path, samples, ort.__version__, suffix, make)


def quantize_int8_dynamic(path: Path) -> Path:
    """Quantize the weights of a float model, activations being quantized in every run.

    What its documentation recommends for transformers, with per-channel weights.

    Args:
        path: Float ONNX file.
    """

    def make(target: Path) -> None:
        with _prepared(path) as prepared:
            quantize_dynamic(prepared, target, per_channel=True, weight_type=QuantType.QInt8)

    return kept(path, [], ort.__version__, "ort-dynamic.onnx", make)


@contextmanager
def _prepared(path: Path) -> Iterator[Path]:
    """Yield the model after ONNX Runtime's own preparation, its log off."""
    # Its warnings about settings would interleave with the table.
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(path, prepared)
            yield prepared
    finally:
        logging.disable(previous)


class _Samples(CalibrationDataReader):  # type: ignore[misc]  # untyped base
    def __init__(self, samples: list[Inputs]) -> None:
        self._remaining = iter(samples)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        sample = next(self._remaining, None)
        return None if sample is None else dict(sample)
