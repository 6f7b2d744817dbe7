"""Ways of rounding weights on the digits network: accuracy, error and time.

    OMP_NUM_THREADS=1 python -m benchmarks.rounding

Weights have 4, 3 and 2 bits, with a scale for each output or one for the tensor; activations
have 8 bits, and 4 in one setting. Accuracy is of the 450 held-out images; layers count as
worse when their output error on 64 of these, which nothing was chosen by, is above that of
nearest rounding. Writes benchmarks/results/rounding.json and rounding.md.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.layer_moments import gather_moments
from octavo.compiler.calibration.layer_tensors import float_tensors
from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.calibration.round_layers import round_layers
from octavo.compiler.calibration.rounding_layers import find_layers
from octavo.compiler.importer import import_model
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import DEFAULT_RECIPE, Recipe, get_recipe
from octavo.compiler.roofline.machine import this_machine
from octavo.passes.prepare import prepare
from octavo.passes.rounding.methods import NEAREST, RETUNED, ROUNDING_MODES, ROUNDINGS

RESULTS = Path(__file__).parent / "results"
DIGITS = Path(__file__).parents[1] / "examples" / "digits"
NUM_UNSEEN = 64  # test images that layer errors are compared on

Samples = Sequence[Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class Row:
    """One way of rounding in one setting."""

    setting: str
    rounding: str
    mode: str
    accuracy: float
    sqnr_db: float
    seconds: float
    num_layers: int
    num_worse_unseen: int
    median_error_ratio: float


SETTINGS = {
    "w4a8": {"weight_bits": 4},
    "w3a8": {"weight_bits": 3},
    "w2a8": {"weight_bits": 2},
    "w4a4": {"weight_bits": 4, "activation_bits": 4},
    "w3a8, one scale": {"weight_bits": 3, "granularity": "per_tensor"},
    "w3a8, one scale, extremes": {
        "weight_bits": 3,
        "granularity": "per_tensor",
        "weight_range": "minmax",
    },
}


@click.command()
def main() -> None:
    """Measure every way in every setting."""
    model = import_model(DIGITS / "digits.onnx")
    samples = [{"image": x[None]} for x in np.load(DIGITS / "calibration.npz")["image"]]
    test = np.load(DIGITS / "test.npz")
    rows = []
    for setting, options in SETTINGS.items():
        recipe = get_recipe(DEFAULT_RECIPE, **options)
        for rounding in ROUNDINGS:
            modes = ROUNDING_MODES if rounding not in (NEAREST, RETUNED) else ("",)
            for mode in modes:
                row = measure(model, samples, test, setting, recipe, rounding, mode)
                click.echo(table([row]).splitlines()[-1], err=True)
                rows.append(row)
    RESULTS.mkdir(exist_ok=True)
    result = {"cpu": this_machine().cpu, "rows": [asdict(row) for row in rows]}
    (RESULTS / "rounding.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "rounding.md").write_text(table(rows) + "\n")


def measure(
    model: ir.Model,
    samples: Samples,
    test: Mapping[str, NDArray[Any]],
    setting: str,
    recipe: Recipe,
    rounding: str,
    mode: str,
) -> Row:
    """Quantize, and compare with float on the test images."""
    before = time.perf_counter()
    quantized = quantize_model(
        model,
        samples,
        recipe=recipe,
        rounding=rounding,
        rounding_mode=mode or None,
        measure=False,
    ).model
    seconds = time.perf_counter() - before
    unseen = [{"image": x[None]} for x in test["image"]]
    exact, answers = _outputs(prepare(model.clone()), unseen), _outputs(quantized, unseen)
    noise = np.square(exact - answers).sum()
    ratios = _layer_ratios(model, samples, unseen[:NUM_UNSEEN], recipe, rounding, mode)
    return Row(
        setting,
        rounding,
        mode,
        float((answers.argmax(axis=1) == test["label"]).mean()),
        float(10 * np.log10(np.square(exact).sum() / noise)),
        seconds,
        len(ratios),
        sum(ratio > 1 for ratio in ratios),
        float(np.median(ratios)) if ratios else 1.0,
    )


def _outputs(model: ir.Model, samples: Samples) -> NDArray[np.float32]:
    run = ReferenceRun(model, list(model.graph.outputs))
    return np.concatenate([next(iter(run.run(sample).values())) for sample in samples])


def _layer_ratios(
    model: ir.Model,
    samples: Samples,
    unseen: Samples,
    recipe: Recipe,
    rounding: str,
    mode: str,
) -> list[float]:
    """Output error of each layer alone against nearest, inputs of the float network.

    Only for the parallel mode: in the sequential one layers make up for the errors of others.
    """
    if mode != "parallel":
        return []
    plain = quantize_model(model, samples, recipe=recipe, measure=False).model
    prepared, quantized = prepare(model.clone()), plain.clone()
    round_layers(prepared, quantized, list(samples), rounding=rounding, mode=mode)
    errors = []
    for candidate in (plain, quantized):
        layers, _ = find_layers(prepared, candidate)
        twice = [sample for sample in unseen for _ in range(2)]
        moments = gather_moments(float_tensors(prepared, layers, twice), layers)
        errors.append(
            [
                float(m.fitting.error(c.weight, c.bias).mean())
                for m, c in zip(
                    moments, (layer.stored.stored for layer in layers), strict=True
                )
            ]
        )
    return [after / before for before, after in zip(*errors, strict=True)]


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    lines = [
        "| setting | rounding | mode | accuracy | signal to noise | time"
        " | layers worse on unseen images | their error, median |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        unseen = f"{row.num_worse_unseen} of {row.num_layers} | {row.median_error_ratio:.2f}x"
        lines.append(
            f"| {row.setting} | {row.rounding} | {row.mode} | {row.accuracy:.1%}"
            f" | {row.sqnr_db:.1f} dB | {row.seconds:.1f} s"
            f" | {unseen if row.num_layers else ' | '} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
