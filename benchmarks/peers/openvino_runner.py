"""OpenVINO as a peer: float32, bfloat16, and INT8 of three quantizers."""

from collections.abc import Callable
from pathlib import Path

import openvino as ov

from benchmarks.peers.cache import kept
from benchmarks.peers.onnxruntime_runner import quantize_int8
from benchmarks.peers.protocol import Candidate, Task
from octavo.compiler.bench.openvino_program import OpenVinoProgram

PEER = "OpenVINO"


def candidates(task: Task) -> list[Candidate]:
    """Return float32, bfloat16, and INT8 by NNCF, ONNX Runtime's and the given quantizer.

    Each INT8 file runs with its remaining float layers in float32 and in bfloat16.
    """
    path, samples = task.path, task.samples
    files: dict[str, Callable[[], Path]] = {
        "NNCF": lambda: quantize_nncf(task),
        "QDQ of ONNX Runtime": lambda: quantize_int8(path, samples),
    }
    if task.quantized is not None:
        quantized = task.quantized
        files["QDQ of Octavo"] = lambda: quantized
    found = [
        Candidate(PEER, "float32", "", lambda n: OpenVinoProgram(path, n)),
        Candidate(PEER, "bf16", "", lambda n: OpenVinoProgram(path, n, "bf16")),
    ]
    for name, file in files.items():
        for precision, note in (("f32", ""), ("bf16", ", rest bf16")):
            found.append(
                Candidate(
                    PEER,
                    "int8",
                    name + note,
                    lambda n, f=file, p=precision: OpenVinoProgram(f(), n, p),
                )
            )
    return found


def quantize_nncf(task: Task) -> Path:
    """Quantize a float model with NNCF, the vendor's tool, and return the .xml file.

    Mixed preset, as its documentation recommends for networks with other activations than
    ReLU, and its transformer mode where the network is one.
    """
    import nncf

    def make(target: Path) -> None:
        nncf.set_log_level("ERROR")
        quantized = nncf.quantize(
            ov.Core().read_model(task.path),
            nncf.Dataset([dict(sample) for sample in task.samples]),
            subset_size=len(task.samples),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER if task.is_transformer else None,
        )
        # The .bin comes first, under its final name: the .xml is what others look for.
        final = target.with_name(target.name.split("-", 1)[1])
        ov.save_model(quantized, target, compress_to_fp16=False)
        target.with_suffix(".bin").rename(final.with_suffix(".bin"))

    version = f"{nncf.__version__} {ov.__version__}"
    return kept(task.path, task.samples, version, "nncf.xml", make)
