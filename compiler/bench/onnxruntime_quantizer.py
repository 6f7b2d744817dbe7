"""INT8 by ONNX Runtime's own tools, set up as its documentation recommends."""

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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

from octavo.compiler.bench.program import Inputs


def write_static_int8(
    path: Path, target: Path, samples: Iterable[Inputs], *, signed: bool = False
) -> None:
    """Quantize a float model, and write the QDQ file.

    Per-channel int8 weights with the full range, per-tensor activations, min-max ranges, after
    its shape inference and graph optimization: what its documentation recommends on x86-64
    with dot-product instructions, with uint8 activations for convolutional networks.

    Args:
        path: Float ONNX file.
        target: File to write.
        samples: Calibration data, one mapping for each inference.
        signed: Activations are int8.

    Raises:
        Exception: Whatever its tools raise.
    """
    with _prepared(path) as prepared:
        quantize_static(
            prepared,
            target,
            _Samples(samples),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=False,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


def write_dynamic_int8(path: Path, target: Path) -> None:
    """Quantize the weights of a float model, activations being quantized in every run.

    What its documentation recommends for transformers, with per-channel weights.

    Args:
        path: Float ONNX file.
        target: File to write.

    Raises:
        Exception: Whatever its tools raise.
    """
    with _prepared(path) as prepared:
        quantize_dynamic(prepared, target, per_channel=True, weight_type=QuantType.QInt8)


@contextmanager
def _prepared(path: Path) -> Iterator[Path]:
    """Yield the model after ONNX Runtime's own preparation, its log off."""
    # Its warnings about settings would interleave with tables.
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
    def __init__(self, samples: Iterable[Inputs]) -> None:
        self._remaining = iter(samples)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        sample = next(self._remaining, None)
        return None if sample is None else dict(sample)
