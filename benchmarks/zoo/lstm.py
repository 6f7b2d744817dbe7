"""A small LSTM classifier over 49 frames of 10 MFCCs.

Source: Zhang et al. 2017, "Hello Edge: Keyword Spotting on Microcontrollers", basic LSTM; the
width is rounded to a multiple of 32.
"""

import math

import numpy as np
import onnx

from benchmarks.zoo.builder import GraphBuilder

NUM_FRAMES, NUM_COEFFICIENTS = 49, 10
HIDDEN = 128
NUM_GATES = 4  # ONNX order: input, output, forget, cell


def build(*, hidden: int = HIDDEN, num_classes: int = 12, seed: int = 0) -> onnx.ModelProto:
    """Build the float network; input (1, 49, 10), logits out.

    Args:
        hidden: Width of the state.
        num_classes: Number of logits.
        seed: Seed of the weights.
    """
    g = GraphBuilder("lstm", seed)
    x = g.input("mfcc", (1, NUM_FRAMES, NUM_COEFFICIENTS))
    x = g.node("Transpose", x, perm=[1, 0, 2])  # time first, as ONNX wants it
    # Variance 1 of each term puts the gates on the bent part of their sigmoids, as in a
    # trained network; the default 1/sqrt(hidden) uniform law leaves them nearly linear.
    w = g.normal((1, NUM_GATES * hidden, NUM_COEFFICIENTS), 1 / math.sqrt(NUM_COEFFICIENTS))
    r = g.normal((1, NUM_GATES * hidden, hidden), 1.5 / math.sqrt(hidden))
    bias = np.zeros((1, 2 * NUM_GATES * hidden), np.float32)
    bias[0, 2 * hidden : 3 * hidden] = 1.0  # forget gate open: the state remembers
    names = [g.constant(a, key) for key, a in {"w": w, "r": r, "b": bias}.items()]
    _, state, _ = g.nodes("LSTM", (x, *names), 3, hidden_size=hidden, label="lstm")
    axes = g.constant(np.array([0], np.int64), "axes")
    return g.finish(logits=g.linear(g.node("Squeeze", state, axes), num_classes, gain=2.0))
