"""Measures of sensitivity against what layers really lose, on two networks.

    python -m benchmarks.sensitivity

The digits CNN of examples/ and a perceptron of twelve layers that is trained here, each layer
alone at w2a8, w3a8 and w4a8. Writes benchmarks/results/sensitivity.json and sensitivity.md:
Kendall's tau-b of every measure with the output error and with the accuracy that the layer
costs an 8-bit network, on samples that the measures did not see.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from benchmarks.perceptron import perceptron
from octavo.compiler.importer import import_model
from octavo.compiler.samples import open_samples
from octavo.compiler.sensitivity.compare import Sensitivities, compare_measures
from octavo.compiler.sensitivity.labels import Labels
from octavo.passes.layer_format import LayerFormat

RESULTS = Path(__file__).parent / "results"
DIGITS = Path(__file__).parents[1] / "examples" / "digits"
FORMATS = ("w4a8", "w3a8", "w2a8")
NUM_LAYERS, WIDTH, NUM_TEST = 12, 40, 600
SEED = 0


def train_perceptron() -> tuple[ir.Model, NDArray[np.float32], Labels]:
    """A perceptron of twelve layers for 8x8 digits, and held-out images with their labels."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    images, classes = load_digits(return_X_y=True)
    train, test, train_classes, test_classes = train_test_split(
        (images / 16).astype(np.float32), classes, test_size=NUM_TEST, random_state=SEED
    )
    hidden = (WIDTH,) * (NUM_LAYERS - 1)
    network = MLPClassifier(hidden, max_iter=150, random_state=SEED).fit(train, train_classes)
    print(f"perceptron: accuracy {network.score(test, test_classes):.4f}")
    model = perceptron(network.coefs_, network.intercepts_)
    return model, test[:, None], test_classes.astype(np.int64)


def compare(
    model: ir.Model, arrays: dict[str, NDArray[np.float32]], labels: Labels
) -> dict[str, Sensitivities]:
    """The comparison in every format."""
    samples = open_samples(arrays, model)
    return {
        text: compare_measures(
            model,
            samples,
            num_samples=len(samples),
            layer_format=LayerFormat.parse(text),
            labels=labels,
        )
        for text in FORMATS
    }


def _record(found: Sensitivities) -> dict[str, object]:
    rankings = [{**asdict(r), "order": r.order} for r in found.rankings]
    return {
        "num_measuring": found.num_measuring,
        "num_judging": found.num_judging,
        "drops": [asdict(drop) for drop in found.drops],
        "rankings": rankings,
    }


def _table(name: str, results: dict[str, Sensitivities]) -> list[str]:
    first = next(iter(results.values()))
    lines = [
        f"## {name}: {len(first.drops)} layers",
        "",
        f"{first.num_measuring} samples for the measures, {first.num_judging} others for what"
        " is lost.",
        "",
        "| measure | " + " | ".join(f"{f}: error | accuracy" for f in results) + " |",
        "|---|" + "---:|---:|" * len(results),
    ]
    for i, ranking in enumerate(first.rankings):
        cells = []
        for found in results.values():
            one = found.rankings[i]
            cells += [_number(one.tau_error), _number(one.tau_accuracy)]
        lines.append(f"| {ranking.measure} | " + " | ".join(cells) + " |")
    worst = [
        max((d.accuracy_points or 0.0) for d in found.drops) for found in results.values()
    ]
    shown = ", ".join(f"{p:.1f} at {f}" for f, p in zip(results, worst, strict=True))
    return [*lines, "", f"Most points that one layer costs: {shown}.", ""]


def _number(tau: float | None) -> str:
    return "all equal" if tau is None else f"{tau:.2f}"


def main() -> None:
    """Train, compare, write both files."""
    digits = import_model(DIGITS / "digits.onnx")
    with np.load(DIGITS / "test.npz") as data:
        images, labels = data["image"], data["label"].astype(np.int64)
    perceptron, test, classes = train_perceptron()
    results = {
        "digits CNN": compare(digits, {"image": images}, labels),
        "perceptron": compare(perceptron, {"image": test}, classes),
    }
    lines = [
        "# Measures of sensitivity against what layers lose",
        "",
        "Written by `python -m benchmarks.sensitivity`. Kendall's tau-b, -1 to 1, between the"
        " losses that a measure",
        "gives the layers and what each costs an 8-bit network alone: error at the outputs,"
        " and points of accuracy.",
        "",
    ]
    for name, found in results.items():
        lines += _table(name, found)
    record = {
        name: {text: _record(one) for text, one in found.items()}
        for name, found in results.items()
    }
    (RESULTS / "sensitivity.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "sensitivity.md").write_text("\n".join(lines).rstrip() + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
