"""LiteRT with XNNPACK as a peer: float32, and INT8 by the vendor's quantizer."""

import contextlib
import importlib.metadata
import io
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.peers.cache import kept
from benchmarks.peers.protocol import Candidate, Inputs, Task
from benchmarks.peers.tflite.convert import convert
from benchmarks.peers.tflite.graph import NCHW_TO_NHWC
from octavo.compiler.bench.litert_program import LiteRtProgram
from octavo.compiler.bench.program import Run

PEER = "LiteRT"
REVISION = 1  # raise when the converter changes, so that old files are not used
SIGNATURE = "serving_default"
# What a transformer keeps in integers when its normalizations stay in float.
LINEAR = ("FULLY_CONNECTED", "CONV_2D", "GELU", "RESHAPE", "TRANSPOSE", "SLICE")


class LiteRtModel(LiteRtProgram):
    """A loaded .tflite file that was converted here: what it takes and gives is as in ONNX."""

    def __init__(self, path: Path, num_threads: int = 1) -> None:
        """Load a file.

        Args:
            path: .tflite file.
            num_threads: Threads of XNNPACK, at least 1.
        """
        super().__init__(path, num_threads)
        names = self.interpreter.get_signature_list()[SIGNATURE]["outputs"]
        self.outputs = dict(zip(names, self.outputs.values(), strict=True))

    def bind(self, inputs: Inputs) -> Run:
        """Return a function that runs one inference on these inputs.

        They are brought into LiteRT's layout and integers here, outside of what is timed.
        """
        return super().bind(native(inputs))


def native(inputs: Inputs) -> dict[str, NDArray[Any]]:
    """Return inputs as the converted file takes them: channels last, float32 or int32."""
    return {
        name: np.ascontiguousarray(
            array.transpose(NCHW_TO_NHWC) if array.ndim == len(NCHW_TO_NHWC) else array,
            np.float32 if array.dtype.kind == "f" else np.int32,
        )
        for name, array in inputs.items()
    }


def candidates(task: Task) -> list[Candidate]:
    """Return float32, and INT8 with static and with dynamic activations.

    A transformer also runs with its linear layers and GELU quantized and the rest in float, a
    network with hard-swish also with that in float (XNNPACK has none for integers), and a
    recurrent one also as the fused operator, in float.
    """
    operators = {node.op_type for node in onnx.load(task.path).graph.node}
    files: list[tuple[str, str, Callable[[], Path]]] = [
        ("float32", "", partial(convert_float, task.path)),
        ("int8", "static", partial(quantize_static, task)),
        ("int8", "dynamic", partial(quantize_dynamic, task)),
    ]
    if "LayerNormalization" in operators:
        files.append(("int8", "static linear layers", partial(quantize_static, task, LINEAR)))
    if "HardSwish" in operators:
        make = partial(quantize_static, task, keep=("HARD_SWISH",))
        files.append(("int8", "static, hard-swish in float", make))
    if "LSTM" in operators:
        files.append(("float32", "fused", partial(convert_float, task.path, unroll=False)))
    return [
        Candidate(PEER, precision, variant, lambda n, f=file: LiteRtModel(f(), n))
        for precision, variant, file in files
    ]


def convert_float(path: Path, *, unroll: bool = True) -> Path:
    """Convert a float ONNX file; see `tflite.convert`."""

    def make(target: Path) -> None:
        target.write_bytes(convert(onnx.load(path), unroll=unroll))

    suffix = "float.tflite" if unroll else "fused.tflite"
    return kept(path, [], str(REVISION), suffix, make)


def quantize_static(
    task: Task, operations: tuple[str, ...] = ("ALL_SUPPORTED",), keep: tuple[str, ...] = ()
) -> Path:
    """Quantize weights per channel and activations per tensor to int8; inputs stay float.

    Args:
        task: What is quantized, and calibration data.
        operations: Names of LiteRT's operators that become integer.
        keep: Names of those among them that stay in float.
    """
    from ai_edge_quantizer import quantizer
    from ai_edge_quantizer.qtyping import TFLOperationName

    def make(target: Path) -> None:
        tool = quantizer.Quantizer(str(convert_float(task.path)))
        bits = {"activation_num_bits": 8, "weight_num_bits": 8}
        for name in operations:
            tool.add_static_config(".*", TFLOperationName[name], **bits)
        for name in ("INPUT", "OUTPUT", *keep):
            no_quantize = quantizer.AlgorithmName.NO_QUANTIZE
            operation = TFLOperationName[name]
            tool.update_quantization_recipe(".*", operation, algorithm_key=no_quantize)
        with _quiet():
            found = tool.calibrate({SIGNATURE: [native(sample) for sample in task.samples]})
            target.write_bytes(bytes(tool.quantize(found).quantized_model))

    suffix = "int8.tflite" if operations == ("ALL_SUPPORTED",) else "linear.tflite"
    version = f"{_version()} {operations} {keep}" if keep else f"{_version()} {operations}"
    return kept(task.path, task.samples, version, suffix, make)


def quantize_dynamic(task: Task) -> Path:
    """Quantize weights to int8, activations being quantized in every run."""
    from ai_edge_quantizer import quantizer, recipe

    def make(target: Path) -> None:
        tool = quantizer.Quantizer(str(convert_float(task.path)))
        tool.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        with _quiet():
            target.write_bytes(bytes(tool.quantize().quantized_model))

    return kept(task.path, [], _version(), "dynamic.tflite", make)


def _version() -> str:
    return f"{REVISION} {importlib.metadata.version('ai-edge-quantizer')}"


@contextlib.contextmanager
def _quiet() -> Any:
    """Swallow what the quantizer prints about its progress."""
    swallow = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(swallow),
        contextlib.redirect_stderr(swallow),
    ):
        warnings.simplefilter("ignore")
        yield
