"""What outputs lose against those of the float network, over samples."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.calibration.reference_run import Arrays


def relative_error(exact: Sequence[Arrays], changed: Sequence[Arrays]) -> float:
    """Sum (x - y)^2 / sum x^2 of each output, the largest over the outputs.

    Args:
        exact: Outputs by name, for each sample.
        changed: The same outputs of another network.
    """
    worst = 0.0
    for name in exact[0]:
        signal = noise = 0.0
        for before, after in zip(exact, changed, strict=True):
            x = before[name].astype(np.float64)
            noise += float(np.square(after[name] - x).sum())
            signal += float(np.square(x).sum())
        worst = max(worst, noise / signal if signal else math.inf * bool(noise))
    return worst


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logarithms of probabilities along the last axis."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def kl_divergence(exact: Sequence[Arrays], changed: Sequence[Arrays]) -> float:
    """Mean KL(softmax(x) || softmax(y)) in nats, over samples and rows, summed over outputs.

    Args:
        exact: Logits by name, for each sample; classes along the last axis.
        changed: The same of another network.
    """
    total = 0.0
    for name in exact[0]:
        rows = []
        for before, after in zip(exact, changed, strict=True):
            p, q = log_softmax(before[name]), log_softmax(after[name])
            rows.append((np.exp(p) * (p - q)).sum(axis=-1).mean())
        total += float(np.mean(rows))
    return total
