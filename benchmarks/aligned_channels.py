"""Ways of treating the channels of normalized tensors before they are quantized.

    OMP_NUM_THREADS=1 python -m benchmarks.aligned_channels

ViT-Tiny of the zoo at 224x224 and MiniLM-L6 with its published weights: signal to quantization
noise at the outputs, on samples that calibration did not see, for recipes that align channels
(RepQ-ViT), balance them (smoothing, splitting), both or neither. Normalizations compute in
float or in integers. Writes benchmarks/results/aligned_channels.json and aligned_channels.md.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnx_ir as ir

from benchmarks.minilm.network import build
from benchmarks.minilm.sentences import CALIBRATION_SENTENCES, load_sentences, tokenize
from benchmarks.minilm.weights import load_weights, model_directory
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.calibration.reference_run import Arrays, ReferenceRun
from octavo.compiler.importer import import_model
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import DEFAULT_RECIPE, get_recipe
from octavo.compiler.sensitivity.output_losses import relative_error
from octavo.passes.align_channels import alignable_tensors
from octavo.passes.prepare import prepare

RESULTS = Path(__file__).parent / "results"
NUM_CALIBRATION, NUM_JUDGING = 32, 16
WAYS = {
    "neither": {"align_channels": False, "balance_channels": False},
    "aligned": {"align_channels": True, "balance_channels": False},
    "balanced (the default)": {"align_channels": False, "balance_channels": True},
    "aligned, then balanced": {"align_channels": True, "balance_channels": True},
}
FORMATS = {"w8a8": (8, 8), "w4a8": (4, 8)}


@dataclass(frozen=True)
class Row:
    """One way on one network.

    Attributes:
        network: Its name.
        way: What was done to channels.
        num_aligned: Tensors that could be aligned.
        sqnr_db: Signal to noise at the outputs, by format and type of normalizations.
    """

    network: str
    way: str
    num_aligned: int
    sqnr_db: dict[str, float]


def _vit() -> tuple[ir.Model, list[Arrays]]:
    samples = find_entry("vit_tiny").samples(NUM_CALIBRATION + NUM_JUDGING, seed=5)
    return import_model(model_path("vit_tiny")), list(samples)


def _minilm() -> tuple[ir.Model, list[Arrays]]:
    directory = model_directory()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "minilm.onnx"
        onnx.save(build(load_weights(directory)), path)
        model = import_model(path)
    sentences = load_sentences(CALIBRATION_SENTENCES)
    samples = list(tokenize(sentences, directory, 32))
    return model, samples[: NUM_CALIBRATION + NUM_JUDGING]


def measure(name: str, model: ir.Model, samples: Sequence[Arrays]) -> list[Row]:
    """Every way on one network."""
    calibration, judging = samples[:NUM_CALIBRATION], samples[NUM_CALIBRATION:]
    exact = _outputs(model, judging)
    num_aligned = len(alignable_tensors(prepare(model.clone()).graph))
    rows = []
    for way, options in WAYS.items():
        found = {}
        for text, (weight_bits, activation_bits) in FORMATS.items():
            for in_float in (True, False):
                recipe = get_recipe(
                    DEFAULT_RECIPE,
                    weight_bits=weight_bits,
                    activation_bits=activation_bits,
                    float_normalization=in_float,
                    **options,
                )
                quantized = quantize_model(model, calibration, recipe=recipe, measure=False)
                error = relative_error(exact, _outputs(quantized.model, judging))
                key = f"{text}, {'float' if in_float else 'integer'} normalization"
                found[key] = float(-10.0 * np.log10(error))
        rows.append(Row(name, way, num_aligned, found))
        print(rows[-1], flush=True)
    return rows


def _outputs(model: ir.Model, samples: Sequence[Arrays]) -> list[Arrays]:
    run = ReferenceRun(model, list(model.graph.outputs))
    return [run.run(sample) for sample in samples]


def main() -> None:
    """Measure both networks and write both files."""
    rows = [
        row for name, (model, samples) in (("ViT-Tiny", _vit()), ("MiniLM-L6", _minilm()))
        for row in measure(name, model, samples)
    ]  # fmt: skip
    columns = list(rows[0].sqnr_db)
    lines = [
        "# Channels of normalized tensors",
        "",
        "Written by `python -m benchmarks.aligned_channels`. Signal to noise at the outputs in"
        " decibels on",
        f"{NUM_JUDGING} samples, {NUM_CALIBRATION} others for calibration. `could be aligned`:"
        " normalized tensors",
        "that products alone read; in MiniLM residual sums read every one of them too.",
        "",
        "| network | could be aligned | channels | " + " | ".join(columns) + " |",
        "|---|---:|---|" + "---:|" * len(columns),
    ]
    for row in rows:
        cells = " | ".join(f"{row.sqnr_db[column]:.1f}" for column in columns)
        lines.append(f"| {row.network} | {row.num_aligned} | {row.way} | {cells} |")
    record = {"rows": [asdict(row) for row in rows]}
    (RESULTS / "aligned_channels.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "aligned_channels.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
