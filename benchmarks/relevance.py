"""Whether relevance is conserved in whole networks, and what it costs to compute.

    OMP_NUM_THREADS=1 python -m benchmarks.relevance

One image through networks of the zoo: relevance starts with 1 at the predicted class; what
arrives at the image and at every bias has to add up to 1. Writes relevance.json and
relevance.md into benchmarks/results.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.importer import import_model
from octavo.passes.gradients.relevance import add_relevances
from octavo.passes.prepare import prepare
from octavo.passes.wiring import is_float, is_op

RESULTS = Path(__file__).parent / "results"
NAMES = (
    "resnet18", "mobilenet_v2", "mobilenet_v3_large", "densenet121", "squeezenet1_1",
    "shufflenet_v1", "vit_tiny",
)  # fmt: skip
SEED = 3


@dataclass(frozen=True)
class Row:
    """One network.

    Attributes:
        network: Its name.
        image: Relevance that arrives at the image.
        biases: Relevance that arrives at biases.
        forward_s: Processor time of the network.
        relevance_s: Processor time of the network and its relevances.
    """

    network: str
    image: float
    biases: float
    forward_s: float
    relevance_s: float


def measure(name: str) -> Row:
    """Relevance of one image in one network."""
    model = prepare(import_model(model_path(name)))
    graph = model.graph
    (output,) = graph.outputs
    (sample,) = find_entry(name).samples(1, seed=SEED)
    forward = ReferenceRun(model, [output])
    logits, forward_s = _timed(forward, sample)
    (exact,) = logits.values()
    start = ir.val("start", ir.DataType.FLOAT, output.shape)
    graph.inputs.append(start)
    wanted = [graph.inputs[0], *_biases(graph)]
    found = add_relevances(graph, {output: start}, wanted)
    graph.outputs[:] = list(found.values())
    RemoveUnusedNodesPass()(model)
    hot = np.zeros_like(exact)
    hot.reshape(-1)[exact.argmax()] = 1.0
    arrays, relevance_s = _timed(
        ReferenceRun(model, list(found.values())), sample | {"start": hot}
    )
    sums = {
        value: float(arrays[relevance.name or ""].sum(dtype=np.float64))
        for value, relevance in found.items()
    }
    image = sums.pop(wanted[0])
    return Row(name, image, sum(sums.values()), forward_s, relevance_s)


def _biases(graph: ir.Graph) -> list[ir.Value]:
    """Constants that are added to something, and those that are put beside it."""
    found = [
        value
        for node in graph
        for position, value in enumerate(node.inputs)
        if value is not None and value.const_value is not None and is_float(value)
        if is_op(node, "Add", "Sub", "Concat")
        or (position == 2 and is_op(node, "Conv", "Gemm", "LayerNormalization"))
    ]
    return list(dict.fromkeys(found))


def _timed(
    run: ReferenceRun, sample: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], float]:
    run.run(sample)  # the first run allocates
    start = time.process_time()
    arrays = run.run(sample)
    return arrays, time.process_time() - start


def main() -> None:
    """Measure every network and write both files."""
    rows = [measure(name) for name in NAMES]
    lines = [
        "# Relevance in whole networks",
        "",
        "Written by `python -m benchmarks.relevance`. Relevance starts with 1 at the predicted"
        " class; what",
        "arrives at the image and at the biases together should be 1. Processor time of one"
        " image, one thread.",
        "",
        "| network | image | biases | together | network alone | with relevances |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.network} | {row.image:.3f} | {row.biases:.3f} |"
            f" {row.image + row.biases:.4f} | {1e3 * row.forward_s:.0f} ms |"
            f" {1e3 * row.relevance_s:.0f} ms |"
        )
    (RESULTS / "relevance.json").write_text(
        json.dumps({"rows": [asdict(row) for row in rows]}, indent=1) + "\n"
    )
    (RESULTS / "relevance.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
