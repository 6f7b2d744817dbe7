"""One way to run the network: a runtime, a file, and how it is set up."""

from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from octavo.compiler.bench.program import Program


class Runtime(StrEnum):
    """Who runs a file; the value is what ``--against`` takes."""

    OCTAVO = "octavo"
    ONNXRUNTIME = "onnxruntime"
    LITERT = "litert"
    LITERT_REFERENCE = "litert-reference"
    OPENVINO = "openvino"

    @property
    def label(self) -> str:
        """Its name as people write it."""
        return LABELS[self]

    @property
    def is_installed(self) -> bool:
        """Whether its package can be imported; nothing is."""
        return find_spec(PACKAGES[self]) is not None

    @property
    def extra(self) -> str:
        """What pip installs it with."""
        return EXTRAS.get(self, "octavo")


LABELS = {
    Runtime.OCTAVO: "Octavo",
    Runtime.ONNXRUNTIME: "ONNX Runtime",
    Runtime.LITERT: "LiteRT",
    Runtime.LITERT_REFERENCE: "LiteRT reference",
    Runtime.OPENVINO: "OpenVINO",
}
PACKAGES = {
    Runtime.OCTAVO: "octavo",
    Runtime.ONNXRUNTIME: "onnxruntime",
    Runtime.LITERT: "ai_edge_litert",
    Runtime.LITERT_REFERENCE: "ai_edge_litert",
    Runtime.OPENVINO: "openvino",
}
EXTRAS = {
    Runtime.LITERT: "octavo[tflite]",
    Runtime.LITERT_REFERENCE: "octavo[tflite]",
    Runtime.OPENVINO: "octavo[bench]",
}


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """What takes part, and how.

    Attributes:
        runtime: Who runs it.
        precision: What most of it computes in: ``int8``, ``int16``, ``bf16`` or
            ``float32``.
        path: Artifact folder, ONNX file or .tflite file.
        note: What one should know of it, such as the rest's precision.
        bfloat16: Float layers may round to bfloat16.
        optimized: As fast as it can be; or exactly what the file writes down.
        input_names: In the order of the file, for runtimes that call them otherwise.
        output_names: The same of the outputs.
    """

    runtime: Runtime
    precision: str
    path: Path
    note: str = ""
    bfloat16: bool = False
    optimized: bool = True
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Runtime and precision; those of a comparison need not differ in it."""
        rest = "+bf16" if self.bfloat16 and self.precision != "bf16" else ""
        return f"{self.runtime.label} {self.precision}{rest}"

    @property
    def full_title(self) -> str:
        """The same with the note."""
        return f"{self.title} ({self.note})" if self.note else self.title


def import_runtime(runtime: Runtime) -> str:
    """Import what a runtime needs, which takes seconds for some.

    Returns:
        Its version.
    """
    match runtime:
        case Runtime.ONNXRUNTIME:
            from octavo.compiler.bench.onnxruntime_program import VERSION
        case Runtime.OPENVINO:
            from octavo.compiler.bench.openvino_program import VERSION
        case Runtime.LITERT | Runtime.LITERT_REFERENCE:
            from octavo.compiler.bench.litert_program import VERSION
        case Runtime.OCTAVO:
            from octavo.compiler.bench.octavo_program import VERSION
    return VERSION


def load_program(contestant: Contestant, num_threads: int) -> Program:
    """Load the file, ready to run.

    Args:
        contestant: Which.
        num_threads: That may run it, at least 1.

    Raises:
        Exception: Whatever the runtime raises.
    """
    path = contestant.path
    match contestant.runtime:
        case Runtime.ONNXRUNTIME:
            from octavo.compiler.bench.onnxruntime_program import OnnxRuntimeProgram

            return OnnxRuntimeProgram(path, num_threads, optimize=contestant.optimized)
        case Runtime.OPENVINO:
            from octavo.compiler.bench.openvino_program import OpenVinoProgram

            precision = "bf16" if contestant.bfloat16 else "f32"
            return OpenVinoProgram(path, num_threads, precision)
        case Runtime.LITERT | Runtime.LITERT_REFERENCE:
            from octavo.compiler.bench.litert_program import LiteRtProgram

            return LiteRtProgram(
                path,
                num_threads,
                input_names=contestant.input_names,
                output_names=contestant.output_names,
                optimize=contestant.runtime is Runtime.LITERT,
            )
        case Runtime.OCTAVO:
            from octavo.compiler.bench.octavo_program import OctavoProgram

            return OctavoProgram(path, num_threads)
