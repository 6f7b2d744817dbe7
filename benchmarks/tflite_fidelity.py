"""How equal results of TFLite models are: Octavo, LiteRT with XNNPACK, LiteRT's reference.

Networks of the zoo are converted, quantized by LiteRT's own quantizer and run on integers; so
are float files from elsewhere. Besides whole networks, every operator alone: its ONNX form
against the reference, on the integers that the reference had there.

    python -m benchmarks.tflite_fidelity [NETWORK | FILE.tflite ...]

writes results/tflite_fidelity.md and .json.
"""

import contextlib
import io
import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from onnx import helper

from benchmarks.peers.litert_runner import SIGNATURE, native
from benchmarks.peers.tflite.convert import convert
from benchmarks.zoo.registry import find_entry
from octavo.compiler.compile import compile_model
from octavo.compiler.importer import Limits
from octavo.compiler.importer.tflite.container import TfliteModel, read_container
from octavo.compiler.importer.tflite.convert import HANDLERS
from octavo.compiler.importer.tflite.network import Network
from octavo.compiler.session import load

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("mobilenet_v2", "resnet18", "mobilenet_v3_large")
WIDE = ("mobilenet_v2", "resnet18")  # with activations of 16 bits too
INPUT_SIZE = 64
NUM_SAMPLES = 8
OPSET = 21
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Case:
    """A float network and inputs for it.

    Attributes:
        name: In the table.
        content: The .tflite file.
        signature: Which of its signatures is run.
        samples: Inputs, in the layout of the file.
    """

    name: str
    content: bytes
    signature: str
    samples: list[dict[str, NDArray[Any]]]


@click.command()
@click.argument("networks", nargs=-1)
def main(networks: tuple[str, ...]) -> None:
    """Measure and write both files.

    NETWORKS are names of the zoo, or float .tflite files, such as those that
    benchmarks/peers/litert_torch_models.py writes.
    """
    rows = []
    for network in networks or NETWORKS:
        case = file_case(Path(network)) if network.endswith(".tflite") else zoo_case(network)
        rows += [measure(case, bits) for bits in ((8, 16) if network in WIDE else (8,))]
    (RESULTS / "tflite_fidelity.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "tflite_fidelity.md").write_text(table(rows))


def zoo_case(name: str) -> Case:
    """A network of the zoo, converted by our own writer."""
    entry = find_entry(name)
    sizes = {} if entry.input_size is None else {"input_size": INPUT_SIZE}
    samples = [native(x) for x in entry.samples(NUM_SAMPLES, **sizes)]
    return Case(name, convert(entry.fitted(**sizes)), SIGNATURE, samples)


def file_case(path: Path) -> Case:
    """A file from elsewhere, with normally distributed inputs."""
    content = path.read_bytes()
    interpreter = Interpreter(model_content=content)
    (signature,) = interpreter.get_signature_list()
    details = interpreter.get_signature_runner(signature).get_input_details()
    rng = np.random.default_rng(0)
    samples = [
        {
            name: rng.standard_normal(d["shape"]).astype(np.float32)
            for name, d in details.items()
        }
        for _ in range(NUM_SAMPLES)
    ]
    return Case(f"{path.stem} (litert-torch)", content, signature, samples)


def measure(case: Case, activation_bits: int) -> dict[str, Any]:
    """Shares of equal outputs, and the farthest apart in steps, of one network."""
    content = quantized(case, activation_bits)
    usual = Interpreter(model_content=content)
    reference = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    feeds = [as_integers(usual, sample) for sample in case.samples]
    runners = {
        "xnnpack": usual.get_signature_runner(),
        "reference": reference.get_signature_runner(),
    }
    outputs = {
        label: _joined([runner(**feed) for feed in feeds]) for label, runner in runners.items()
    }
    pairs = [("octavo", "xnnpack"), ("octavo", "reference"), ("xnnpack", "reference")]
    modes = {"octavo": "float32"}
    if activation_bits == 8:
        modes["octavo in mode tflite"] = "tflite"
        pairs.insert(2, ("octavo in mode tflite", "reference"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.tflite"
        path.write_bytes(content)
        for label, mode in modes.items():
            compile_model(path, "host", Path(folder) / mode, requantize=mode)
            with load(Path(folder) / mode) as session:
                outputs[label] = _joined([session.run(feed) for feed in feeds])
    return {
        "network": case.name,
        "activation_bits": activation_bits,
        "num_outputs": outputs["reference"].size,
        "outputs": {f"{a} and {b}": apart(outputs[a], outputs[b]) for a, b in pairs},
        "operators": operators(content, reference),
    }


def quantized(case: Case, activation_bits: int) -> bytes:
    """Quantize everything, inputs and outputs too, as LiteRT's quantizer does."""
    from ai_edge_quantizer import quantizer
    from ai_edge_quantizer.qtyping import TFLOperationName

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "float.tflite"
        path.write_bytes(case.content)
        tool = quantizer.Quantizer(str(path))
        tool.add_static_config(
            ".*",
            TFLOperationName.ALL_SUPPORTED,
            activation_num_bits=activation_bits,
            weight_num_bits=8,
        )
        found = tool.calibrate({case.signature: case.samples})
        return bytes(tool.quantize(found).quantized_model)


def as_integers(interpreter: Interpreter, sample: Arrays) -> dict[str, NDArray[Any]]:
    """Quantize the inputs as the file says."""
    feeds = {}
    for name, detail in interpreter.get_signature_runner().get_input_details().items():
        scale, zero_point = detail["quantization"]
        limits = np.iinfo(detail["dtype"])
        integers = np.round(sample[name] / scale) + zero_point
        feeds[name] = np.clip(integers, limits.min, limits.max).astype(detail["dtype"])
    return feeds


def operators(content: bytes, reference: Interpreter) -> dict[str, Any]:
    """Each operator alone on the reference's integers, joined by kind."""
    model = read_container(content, "model", Limits())
    found = defaultdict(list)
    unoptimized = onnxruntime.SessionOptions()
    unoptimized.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for operator in model.operators:
        computed = [i for i in operator.inputs if i >= 0 and model.tensors[i].data is None]
        inputs = tuple(dict.fromkeys(computed))
        alone = TfliteModel("one", model.tensors, [operator], inputs, operator.outputs, {})
        network = Network(alone)
        HANDLERS[operator.kind](network, operator)
        opset = helper.make_opsetid("", OPSET)
        proto = helper.make_model(network.finish(), opset_imports=[opset], ir_version=10)
        session = onnxruntime.InferenceSession(proto.SerializeToString(), unoptimized)
        feeds = {network.names[i]: reference.get_tensor(i) for i in inputs}
        for index, value in zip(operator.outputs, session.run(None, feeds), strict=True):
            pair = (value.reshape(-1), reference.get_tensor(index).reshape(-1))
            found[operator.kind].append(pair)
    return {
        kind: {"operators": len(pairs)}
        | apart(*(np.concatenate(values) for values in zip(*pairs, strict=True)))
        for kind, pairs in found.items()
    }


def apart(left: NDArray[Any], right: NDArray[Any]) -> dict[str, Any]:
    """The share that is equal, and the largest difference in steps."""
    steps = np.abs(left.astype(np.int64) - right)
    return {"equal": float((steps == 0).mean()), "max_steps": int(steps.max())}


def _joined(runs: list[Arrays]) -> NDArray[Any]:
    return np.concatenate([run[name].reshape(-1) for run in runs for name in sorted(run)])


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = ["| network | activations | compared | equal | farthest, in steps |"]
    lines.append("|---|---|---|---|---|")
    for row in rows:
        kinds = {f"{kind}, alone": value for kind, value in row["operators"].items()}
        for label, value in (row["outputs"] | kinds).items():
            lines.append(
                f"| {row['network']} | int{row['activation_bits']} | {label} | "
                f"{100 * value['equal']:.2f}% | {value['max_steps']} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
