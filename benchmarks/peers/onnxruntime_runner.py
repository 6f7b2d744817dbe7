"""ONNX Runtime as a peer: its float run, and INT8 by its own quantizer, well set up."""

import hashlib
import logging
import tempfile
from collections.abc import Callable, Iterable, Mapping
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

FOLDER = Path(__file__).resolve().parents[2] / "build" / "peers"

Inputs = Mapping[str, NDArray[Any]]


class OnnxRuntimeModel:
    """A loaded model.

    Attributes:
        output_names: In the order of the model.
    """

    def __init__(self, path: Path, num_threads: int = 1, *, optimize: bool = True) -> None:
        """Load a model.

        Args:
            path: ONNX file, float or QDQ.
            num_threads: Threads inside an operator, at least 1.
            optimize: Every graph optimization on, for speed; or none, for the arithmetic that
                the model writes down (a QDQ model then computes in float between its nodes).
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        levels = ort.GraphOptimizationLevel
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
        )
        options.log_severity_level = 3
        self._session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.output_names = tuple(output.name for output in self._session.get_outputs())

    def run(self, inputs: Inputs) -> dict[str, NDArray[Any]]:
        """Run one inference.

        Args:
            inputs: Input name to array.

        Returns:
            Output name to array.
        """
        return dict(zip(self.output_names, self._session.run(None, dict(inputs)), strict=True))

    def bind(self, inputs: Inputs) -> Callable[[], object]:
        """Return a function that runs one inference on these inputs, for timing."""
        fed = dict(inputs)
        return lambda: self._session.run(None, fed)


def quantize_int8(path: Path, samples: Iterable[Inputs]) -> Path:
    """Quantize a float model with ONNX Runtime's own tools and return the QDQ file.

    Per-channel int8 weights with the full range, per-tensor uint8 activations, min-max ranges,
    after its shape inference and graph optimization: what its documentation recommends for
    convolutional networks on x86-64 with dot-product instructions. The result is kept for the
    same model, samples and version.

    Args:
        path: Float ONNX file.
        samples: Calibration data, one dictionary for each inference.
    """
    samples = list(samples)
    target = FOLDER / f"{path.stem}-{_fingerprint(path, samples)}.ort-int8.onnx"
    if target.exists():
        return target
    FOLDER.mkdir(parents=True, exist_ok=True)
    # Its warnings about settings would interleave with the table.
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            prepared, quantized = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
            quant_pre_process(path, prepared)
            quantize_static(
                prepared,
                quantized,
                _Samples(samples),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=False,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
            )
            quantized.rename(target)
    finally:
        logging.disable(previous)
    return target


def quantize_int8_dynamic(path: Path) -> Path:
    """Quantize the weights of a float model, activations being quantized in every run.

    What its documentation recommends for transformers, with per-channel weights.

    Args:
        path: Float ONNX file.
    """
    target = FOLDER / f"{path.stem}-{_fingerprint(path, [])}.ort-dynamic.onnx"
    if target.exists():
        return target
    FOLDER.mkdir(parents=True, exist_ok=True)
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            prepared, quantized = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
            quant_pre_process(path, prepared)
            quantize_dynamic(
                prepared, quantized, per_channel=True, weight_type=QuantType.QInt8
            )
            quantized.rename(target)
    finally:
        logging.disable(previous)
    return target


class _Samples(CalibrationDataReader):  # type: ignore[misc]  # untyped base
    def __init__(self, samples: list[Inputs]) -> None:
        self._remaining = iter(samples)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        sample = next(self._remaining, None)
        return None if sample is None else dict(sample)


def _fingerprint(path: Path, samples: list[Inputs]) -> str:
    digest = hashlib.sha256(ort.__version__.encode())
    digest.update(path.read_bytes())
    for sample in samples:
        for name in sorted(sample):
            digest.update(name.encode())
            digest.update(sample[name].tobytes())
    return digest.hexdigest()[:16]
