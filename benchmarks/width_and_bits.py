"""One search over widths of a network and formats of its layers, against all 243 choices.

    python -m benchmarks.width_and_bits

Perceptrons of four layers that are trained here, 8, 16 or 32 wide; each layer in w4a8, w8a8 or
float. Every configuration is quantized and evaluated on 600 images. Writes
benchmarks/results/width_and_bits.json and width_and_bits.md.

Source: the space of SimQ-NAS (Cummings et al., arXiv:2312.13301), small enough to be tried.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from benchmarks.front_shares import SEEDS, shares
from benchmarks.perceptron import perceptron
from benchmarks.result_rows import RESULTS
from octavo.compiler.samples import open_samples
from octavo.compiler.search.front import nondominated
from octavo.compiler.search.problem import Configuration, Evaluation, Problem
from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.labels import Labels, accuracy
from octavo.compiler.sensitivity.variants import Variants
from octavo.passes.layer_format import EIGHT_BITS, FLOAT, LayerFormat

WIDTHS = (32, 16, 8)
FORMATS = (EIGHT_BITS, LayerFormat(4, 8), FLOAT)
NUM_LAYERS, NUM_TEST, NUM_CALIBRATION = 4, 600, 64
SEED = 0
BUDGET = 60
OBJECTIVES = ("wrong", "bytes", "bit operations")
WIDTH = "width"  # the name of the choice that is no layer

Choice = int | LayerFormat


@dataclass(frozen=True)
class Digits:
    """Images to train on and to test with, (N, 64), in [0, 1], and their classes."""

    train: NDArray[np.float32]
    test: NDArray[np.float32]
    train_classes: Labels
    test_classes: Labels

    @classmethod
    def load(cls) -> "Digits":
        pixels, classes = load_digits(return_X_y=True)
        images = (pixels / 16).astype(np.float32)
        return cls(*train_test_split(images, classes, test_size=NUM_TEST, random_state=SEED))


class WidthAndBits:
    """Trained networks of each width, and evaluations of them.

    Attributes:
        problem: A width, and a format for each layer.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        self._digits = Digits.load()
        self._trials = {width: self._trained(width) for width in widths}
        layers = next(iter(self._trials.values())).layers
        choices: dict[str, tuple[Choice, ...]] = {WIDTH: widths}
        choices |= dict.fromkeys(layers, FORMATS)
        self.problem: Problem[Choice] = Problem(choices, OBJECTIVES)

    def evaluate(self, configuration: Configuration[Choice]) -> Evaluation[Choice]:
        """Share of wrong answers, bytes of weights, and bits times bits of all products."""
        width = configuration[WIDTH]
        assert isinstance(width, int)
        trials = self._trials[width]
        formats = {n: f for n, f in configuration.items() if isinstance(f, LayerFormat)}
        right = accuracy(trials.outputs(formats), self._digits.test_classes)
        assert right is not None
        operations = (
            float(trials.variants.weight(n).size * f.weight_bits * f.activation_bits)
            for n, f in formats.items()
        )
        values = (
            1 - right,
            float(sum(trials.weight_bytes(n, f) for n, f in formats.items())),
            sum(operations),
        )
        return Evaluation(configuration, dict(zip(OBJECTIVES, values, strict=True)))

    def every(self) -> list[Evaluation[Choice]]:
        """All configurations."""
        chosen = product(*self.problem.choices.values())
        return [
            self.evaluate(dict(zip(self.problem.choices, choices, strict=True)))
            for choices in chosen
        ]

    def _trained(self, width: int) -> FormatTrials:
        digits = self._digits
        hidden = (width,) * (NUM_LAYERS - 1)
        network = MLPClassifier(hidden, max_iter=300, random_state=SEED)
        network.fit(digits.train, digits.train_classes)
        model = perceptron(network.coefs_, network.intercepts_)
        calibration = {"image": digits.train[:NUM_CALIBRATION, None]}
        variants = Variants(model, open_samples(calibration, model))
        return FormatTrials(variants, open_samples({"image": digits.test[:, None]}, model))


@click.command()
def main() -> None:
    """Evaluate every configuration, search among them, write both files."""
    space = WidthAndBits()
    every = space.every()
    known = {space.problem.genome(e.configuration): e for e in every}

    rows = []
    for names in (OBJECTIVES[:2], OBJECTIVES):
        problem = Problem(space.problem.choices, names)
        found = shares(problem, every, lambda c: known[space.problem.genome(c)], BUDGET)
        front = nondominated(every, names)
        rows.append({"objectives": names, "num_points": len(front), "shares": found})
    floats = {w: 1 - space.evaluate(_all_float(space, w)).objectives["wrong"] for w in WIDTHS}
    result = {"float accuracy": floats, "num_evaluations": BUDGET, "fronts": rows}
    (RESULTS / "width_and_bits.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "width_and_bits.md").write_text(table(result))
    click.echo(table(result))


def _all_float(space: WidthAndBits, width: int) -> Configuration[Choice]:
    return {**dict.fromkeys(space.problem.choices, FLOAT), WIDTH: width}


def table(result: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    floats = ", ".join(f"{a:.1%} at {w}" for w, a in result["float accuracy"].items())
    lines = [
        "# Widths and formats in one search",
        "",
        "Written by `python -m benchmarks.width_and_bits`. Perceptrons of four layers on 8x8"
        f" digits, 32, 16 or 8 wide (float: {floats}), each layer in `w8a8`, `w4a8` or float:"
        " 243 configurations, all evaluated on 600 images. Share of the exhaustive front's"
        f" hypervolume after {result['num_evaluations']} evaluations, median and least of"
        f" {len(SEEDS)} seeds.",
        "",
        "| objectives | points of the front | predicted front | random |",
        "|---|---|---|---|",
    ]
    for row in result["fronts"]:
        cells = [
            f"{np.median(found):.4f} ({min(found):.4f})" for found in row["shares"].values()
        ]
        names = ", ".join(row["objectives"])
        lines.append(f"| {names} | {row['num_points']} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
