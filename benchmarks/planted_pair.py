"""A network with a planted pair of layers: each is harmless at 4 bits, both are not.

Two linear layers in front of a perceptron each pass an image of zeros and ones on. What
follows needs one of the two:

    first  = Relu(image W + b)
    second = Relu(Concat(image, first) W' + b), W' = W above zeros
    either = Clip(first + second, 0, 1)

In each column of W the weight of a pixel that is dark in every image is 16 times that of the
one that counts: at 4 bits the latter is rounded to 0 and the layer makes zeros only, at 8 bits
it does not. ReLU and Clip hide changes that are small, so that the curvature of the loss along
both layers is zero.
"""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from benchmarks.perceptron import INPUT, Array, Perceptron

PAIR = ("planted1", "planted2")
NUM_PIXELS = 64
DARK_PIXEL = 0  # of every digit of scikit-learn
GAIN, PEAK = 2.0, 32.0  # GAIN / PEAK < 0.5 / 7, half a step of 4 bits
BIAS = -GAIN / 2  # zeros become -1, ones 1: both are far from where ReLU and Clip bend


def binary(images: NDArray[np.floating]) -> NDArray[np.float32]:
    """Images of zeros and ones, of pixels from 0 to 1."""
    return (images >= 0.5).astype(np.float32)


def planted_perceptron(weights: Sequence[Array], biases: Sequence[Array]) -> ir.Model:
    """A perceptron that was trained on ``binary`` images, behind the pair."""
    network = Perceptron()
    detect = GAIN * np.eye(NUM_PIXELS)
    detect[DARK_PIXEL] = PEAK
    bias = np.full(NUM_PIXELS, BIAS)
    first = network.linear(INPUT, detect, bias, PAIR[0])
    first = network.node("Relu", [first], "first")
    both = network.node("Concat", [INPUT, first], "both", axis=1)
    second = network.linear(both, np.vstack([detect, np.zeros_like(detect)]), bias, PAIR[1])
    second = network.node("Relu", [second], "second")
    total = network.node("Add", [first, second], "total")
    bounds = [network.constant(np.array(v), name) for v, name in ((0, "low"), (1, "high"))]
    either = network.node("Clip", [total, *bounds], "either")
    logits = network.layers(either, weights, biases)
    return network.model(logits, NUM_PIXELS, biases[-1].size)
