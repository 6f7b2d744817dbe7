"""Calibration with synthetic samples against real ones and noise.

    OMP_NUM_THREADS=1 python -m benchmarks.synthetic_data

Accuracy of the digits network of examples/ on its 450 held-out images, with activations of 8,
4 and 3 bits; and the signal to noise at the outputs of the zoo's MobileNetV2 at 64x64, whose
BatchNormalization nodes were fitted to the zoo's images. "alone" are synthetic samples of
which each has the stored moments by itself. Writes benchmarks/results/synthetic_data.json and
synthetic_data.md.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.calibration.reference_run import Arrays, ReferenceRun
from octavo.compiler.calibration.synthetic import NUM_IMAGES, make_samples
from octavo.compiler.importer import import_model
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import DEFAULT_RECIPE, get_recipe
from octavo.compiler.roofline.machine import this_machine
from octavo.compiler.sensitivity.output_losses import relative_error

RESULTS = Path(__file__).parent / "results"
DIGITS = Path(__file__).parents[1] / "examples" / "digits"
ACTIVATION_BITS = (8, 4, 3)
SEEDS = range(5)
ZOO_NAME, ZOO_SIZE, NUM_JUDGING = "mobilenet_v2", 64, 32

Samples = Iterable[Mapping[str, NDArray[Any]]]
Judge = Callable[[list[Arrays]], float]


@dataclass(frozen=True)
class Row:
    """One way of calibrating.

    Attributes:
        network: What was quantized.
        samples: What with.
        quality: By bits of activations: the median over seeds, and the least of them. Percent
            correct for digits, decibels otherwise.
        lowest: The same, the least of the seeds.
        seconds: Median processor time that it took to make the samples; None where nothing
            was made.
        before: Mean moment error over BatchNormalization nodes of the noise, first seed.
        after: The same of the samples.
        least_fall: The smallest factor by which one node's error fell, first seed.
    """

    network: str
    samples: str
    quality: dict[int, float]
    lowest: dict[int, float]
    seconds: float | None = None
    before: float | None = None
    after: float | None = None
    least_fall: float | None = None


def _digits() -> tuple[ir.Model, list[Arrays], list[Arrays], Judge]:
    with np.load(DIGITS / "calibration.npz") as data:
        real = [{"image": image[None]} for image in data["image"]]
    with np.load(DIGITS / "test.npz") as data:
        test, labels = [{"image": image[None]} for image in data["image"]], data["label"]

    def judge(outputs: list[Arrays]) -> float:
        guesses = [int(found["logits"].argmax()) for found in outputs]
        return 100.0 * float(np.mean(guesses == labels))

    return import_model(DIGITS / "digits.onnx"), real, test, judge


def _zoo() -> tuple[ir.Model, list[Arrays], list[Arrays], Judge]:
    entry = find_entry(ZOO_NAME)
    model = import_model(model_path(ZOO_NAME, input_size=ZOO_SIZE))
    real, test = (
        entry.samples(count, input_size=ZOO_SIZE, seed=seed)
        for count, seed in ((64, 5), (NUM_JUDGING, 9))
    )
    exact = _outputs(model, test)
    return model, real, test, lambda found: -10.0 * np.log10(relative_error(exact, found))


def _outputs(model: ir.Model, samples: Samples) -> list[Arrays]:
    run = ReferenceRun(model, list(model.graph.outputs))
    return [run.run(sample) for sample in samples]


def measure(network: str, *, alone: bool) -> list[Row]:
    """Every way of calibrating on one network."""
    model, real, test, judge = _digits() if network == "digits" else _zoo()

    def quality(samples: Samples) -> dict[int, float]:
        found = {}
        for bits in ACTIVATION_BITS:
            recipe = get_recipe(DEFAULT_RECIPE, activation_bits=bits)
            quantized = quantize_model(model, samples, recipe=recipe, measure=False).model
            found[bits] = judge(_outputs(quantized, test))
        return found

    def row(samples: str, results: list[dict[int, float]], **more: Any) -> Row:
        middle, lowest = (
            {bits: choose([result[bits] for result in results]) for bits in ACTIVATION_BITS}
            for choose in (statistics.median, min)
        )
        print(network, samples, middle, more, flush=True)
        return Row(network, samples, middle, lowest, **more)

    rows = [row(f"{len(real)} real", [quality(real)])]
    made, seconds = [], []
    for seed in SEEDS:
        start = time.process_time()
        made.append(make_samples(model, seed=seed))
        seconds.append(time.process_time() - start)
    errors = made[0].errors
    rows.append(
        row(
            f"{NUM_IMAGES} synthetic",
            [quality(samples) for samples in made],
            seconds=statistics.median(seconds),
            before=statistics.fmean(error.before for error in errors),
            after=statistics.fmean(error.after for error in errors),
            least_fall=min(error.before / error.after for error in errors),
        )
    )
    if alone:
        start = time.process_time()
        single = [make_samples(model, max_samples=1, seed=seed) for seed in range(NUM_IMAGES)]
        spent = time.process_time() - start
        rows.append(
            row(
                f"{NUM_IMAGES} synthetic, alone",
                [quality([sample for one in single for sample in one])],
                seconds=spent,
            )
        )
    shape = next(iter(real[0].values())).shape
    (name,) = real[0]
    results = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((NUM_IMAGES, *shape)).astype(np.float32)
        results.append(quality([{name: image} for image in noise]))
    rows.append(row(f"{NUM_IMAGES} of noise", results))
    return rows


def _table(rows: list[Row], unit: str) -> list[str]:
    head = " | ".join(f"{bits} bits, {unit}" for bits in ACTIVATION_BITS)
    lines = [
        f"| samples | {head} | processor seconds | moment error | least fall of one |",
        "|---|" + "---:|" * (len(ACTIVATION_BITS) + 3),
    ]
    for row in rows:
        cells = [
            f"{row.quality[bits]:.1f}"
            + (f" ({row.lowest[bits]:.1f})" if row.lowest[bits] != row.quality[bits] else "")
            for bits in ACTIVATION_BITS
        ]
        cells.append("" if row.seconds is None else f"{row.seconds:.1f}")
        errors = "" if row.before is None else f"{row.before:.2g} to {row.after:.2g}"
        fall = "" if row.least_fall is None else f"{row.least_fall:.3g}x"
        lines.append(f"| {row.samples} | " + " | ".join([*cells, errors, fall]) + " |")
    return lines


def main() -> None:
    """Measure both networks and write both files."""
    digits = measure("digits", alone=True)
    zoo = measure(ZOO_NAME, alone=False)
    lines = [
        "# Calibration without data",
        "",
        f"Written by `python -m benchmarks.synthetic_data` on {this_machine().cpu}, one"
        " thread. Medians of",
        f"{len(SEEDS)} seeds, in brackets the least. `alone`: each sample has the stored"
        " moments by itself.",
        "",
        "## Digits: percent of 450 held-out images, by bits of activations",
        "",
        *_table(digits, "%"),
        "",
        f"## MobileNetV2 at {ZOO_SIZE}x{ZOO_SIZE}: signal to noise at the outputs",
        "",
        *_table(zoo, "dB"),
    ]
    record = {"rows": [asdict(row) for row in (*digits, *zoo)]}
    (RESULTS / "synthetic_data.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "synthetic_data.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
