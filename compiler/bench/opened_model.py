"""The user's model file: read and checked before anybody else opens it."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from octavo.compiler.bench.onnx_files import is_tflite
from octavo.compiler.data_source import is_synthetic
from octavo.compiler.samples import SampleSource
from octavo.errors import OctavoError
from octavo.targets import get_target

HOST = "host"
SIGNED = "int8"  # activations that the processor prefers; the other kind is uint8
MAX_CALIBRATION = 128  # samples for quantizers of others
MAX_REASON = 200  # characters of somebody else's message


@dataclass(frozen=True)
class OpenedModel:
    """A model.

    Attributes:
        path: Its file.
        is_tflite: It is a .tflite file, else an ONNX file.
        is_quantized: It says how its activations are quantized.
        samples: The user's; None without any, and where they are made up.
    """

    path: Path
    is_tflite: bool
    is_quantized: bool
    samples: SampleSource | None


def open_model(path: Path, samples: Any, **reading: Any) -> OpenedModel:
    """Read a model.

    Args:
        path: ONNX or .tflite file.
        samples: Calibration data, see ``open_data``.
        reading: Options of ``import_model``.

    Raises:
        ModelError: The model is malformed, unsafe, too large or unsupported.
        DataError: Samples do not fit.
    """
    from octavo.compiler.importer import import_model
    from octavo.compiler.ready_model import is_quantized
    from octavo.compiler.samples import open_samples

    imported = import_model(path, **reading)
    has_files = samples is not None and not is_synthetic(samples)
    found = open_samples(samples, imported) if has_files else None
    return OpenedModel(path, is_tflite(path), is_quantized(imported), found)


def quantize_with_peers(
    opened: OpenedModel, folder: Path
) -> tuple[list[tuple[Path, str]], tuple[str, ...]]:
    """Quantize a float ONNX file with ONNX Runtime's own tools, where there are samples.

    Args:
        opened: The model.
        folder: Where the file goes.

    Returns:
        The file with where it is from, if there is one, and a line where the tools failed.

    Raises:
        DataError: Samples do not fit the model.
    """
    if opened.is_quantized or opened.is_tflite or opened.samples is None:
        return [], ()
    from octavo.compiler.bench.onnxruntime_quantizer import write_static_int8

    target = folder / "onnxruntime.onnx"
    signed = get_target(HOST).activation_dtype == SIGNED
    try:
        samples = islice(opened.samples, MAX_CALIBRATION)
        write_static_int8(opened.path, target, samples, signed=signed)
    except OctavoError:  # of the samples, which are the user's
        raise
    except Exception as error:  # whatever another project's tools raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_REASON]
        return [], (f"ONNX Runtime's quantizer failed: {reason}",)
    return [(target, "QDQ of ONNX Runtime")], ()
