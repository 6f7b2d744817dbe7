"""Networks to bisect, and images that they were not trained on in two parts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from benchmarks.perceptron import perceptron
from benchmarks.planted_pair import PAIR, binary, planted_perceptron
from octavo.compiler.importer import import_model
from octavo.compiler.samples import Sample, open_samples
from octavo.compiler.sensitivity.labels import Labels

RESNET = Path(__file__).parents[1] / "examples" / "resnet_digits"
NUM_LAYERS, WIDTH, NUM_TRAIN = 12, 64, 897
NUM_CALIBRATION = 64

Images = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """Images to measure accuracies with.

    Attributes:
        images: (N, ...) of the model's input without its first axis.
        labels: (N,).
    """

    images: Images
    labels: Labels


@dataclass(frozen=True)
class Case:
    """A network, what it is calibrated with, and two parts that it was not trained on.

    Attributes:
        search: What the search measures: two thirds.
        aside: What it does not see.
    """

    model: ir.Model
    calibration: Images
    search: Part
    aside: Part


def perceptron_case(seed: int) -> Case:
    """Twelve linear layers, trained on half of the digits."""
    return _trained(seed, NUM_LAYERS, lambda images: images, perceptron)


def planted_case() -> Case:
    """Ten trained layers behind two planted ones."""
    return _trained(0, NUM_LAYERS - len(PAIR), binary, planted_perceptron)


def resnet_case() -> Case:
    """The residual network of examples/, and its test images."""
    with np.load(RESNET / "calibration.npz") as data:
        calibration = data["image"][:NUM_CALIBRATION]
    with np.load(RESNET / "test.npz") as data:
        parts = _parts(data["image"], data["label"])
    return Case(import_model(RESNET / "resnet_digits.onnx"), calibration, *parts)


def _trained(
    seed: int,
    num_layers: int,
    see: Callable[[Images], Images],
    write: Callable[..., ir.Model],
) -> Case:
    """Train a perceptron on what it sees of the digits."""
    pixels, classes = load_digits(return_X_y=True)
    images = see((pixels / 16).astype(np.float32))[:, None]
    train, test, train_classes, test_classes = train_test_split(
        images, classes, train_size=NUM_TRAIN, stratify=classes, random_state=seed
    )
    hidden = (WIDTH,) * (num_layers - 1)
    network = MLPClassifier(hidden, max_iter=150, random_state=seed).fit(
        train[:, 0], train_classes
    )
    model = write(network.coefs_, network.intercepts_)
    return Case(model, train[:NUM_CALIBRATION], *_parts(test, test_classes))


def _parts(images: Images, classes: NDArray[np.integer]) -> tuple[Part, Part]:
    """Two thirds to search with, one third set aside."""
    aside = np.arange(len(images)) % 3 == 2
    labels = classes.astype(np.int64)
    return Part(images[~aside], labels[~aside]), Part(images[aside], labels[aside])


def samples_of(model: ir.Model, images: Images) -> list[Sample]:
    return list(open_samples({"image": images}, model))
