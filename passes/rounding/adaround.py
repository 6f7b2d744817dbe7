"""AdaRound: learn for each weight whether to round it down or up.

A weight is s * (floor(w / s) + h(v)), h a sigmoid stretched to (-0.1, 1.1) and cut to [0, 1].
The output error plus sum(1 - |2h - 1|^beta) is minimized over v, beta falling from 20 to 2, so
that every h ends at 0 or 1. The output error comes from moments: gradients are of all samples.

Source: Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization", 3.
"""

import numpy as np
from numpy.typing import NDArray

from octavo.passes.rounding.adam import Adam
from octavo.passes.rounding.grid import WeightGrid
from octavo.passes.rounding.moments import Moments

STRETCH_LOW, STRETCH_HIGH = -0.1, 1.1
BETA_START, BETA_END = 20.0, 2.0
WARM_UP = 0.2  # share of the iterations without the regularizer
RATE = 0.05
# Of the regularizer, when nearest rounding's error counts 1 for each weight.
REGULARIZER = 0.05
NUM_ITERATIONS = 600

DoubleArray = NDArray[np.float64]


def round_adaptively(
    weight: NDArray[np.floating],
    moments: Moments,
    grid: WeightGrid,
    *,
    has_bias: bool,
    num_iterations: int = NUM_ITERATIONS,
) -> NDArray[np.int32]:
    """Choose down or up for each weight; (G, O, K) int32.

    Args:
        weight: Float weight, (G, O, K).
        moments: Of the inputs that the layer gets and the outputs that it should give.
        grid: The steps.
        has_bias: The bias takes whatever mean error is left.
        num_iterations: Steps of Adam.
    """
    gram, cross = moments.centred(has_bias=has_bias)
    steps = np.asarray(weight, np.float64) / grid.scale
    down = np.floor(steps)
    v = logit_of(steps - down)
    # Rows differ by orders of magnitude; each weight of each row gets the same say.
    unit = _nearest_error(weight, moments, grid, has_bias=has_bias) / weight.shape[2]
    per_error = 1.0 / np.maximum(unit, np.finfo(np.float64).tiny)[:, :, None]
    adam = Adam(v.shape, RATE)
    warm_up = int(WARM_UP * num_iterations)
    for iteration in range(num_iterations):
        h = rectified_sigmoid(v)
        integers = down + h
        w = integers.clip(-grid.qmax, grid.qmax) * grid.scale
        gradient = 2 * (w @ gram - cross) * per_error * grid.scale
        # Beyond the last integer nothing moves.
        gradient *= np.abs(integers) <= grid.qmax
        if iteration >= warm_up:
            done = (iteration - warm_up) / max(1, num_iterations - warm_up)
            beta = BETA_END + (BETA_START - BETA_END) * 0.5 * (1 + np.cos(np.pi * done))
            gradient += REGULARIZER * regularizer_slope(h, beta)
        v += adam.step(gradient * sigmoid_slope(v))
    rounded = down + (rectified_sigmoid(v) >= 0.5)
    result: NDArray[np.int32] = rounded.clip(-grid.qmax, grid.qmax).astype(np.int32)
    return result


def rectified_sigmoid(v: DoubleArray) -> DoubleArray:
    """h(v), in [0, 1]."""
    stretched = (STRETCH_HIGH - STRETCH_LOW) / (1 + np.exp(-v)) + STRETCH_LOW
    return np.asarray(stretched.clip(0.0, 1.0))


def sigmoid_slope(v: DoubleArray) -> DoubleArray:
    """dh/dv; 0 where h is cut."""
    s = 1 / (1 + np.exp(-v))
    stretched = (STRETCH_HIGH - STRETCH_LOW) * s + STRETCH_LOW
    inside = (stretched > 0.0) & (stretched < 1.0)
    return np.asarray((STRETCH_HIGH - STRETCH_LOW) * s * (1 - s) * inside)


def regularizer(h: DoubleArray, beta: float) -> DoubleArray:
    """1 - |2h - 1|^beta of each element: 1 between two integers, 0 at one."""
    return np.asarray(1 - np.abs(2 * h - 1) ** beta)


def regularizer_slope(h: DoubleArray, beta: float) -> DoubleArray:
    """Derivative of ``regularizer`` by h."""
    t = 2 * h - 1
    return np.asarray(-2 * beta * np.sign(t) * np.abs(t) ** (beta - 1))


def logit_of(h: DoubleArray) -> DoubleArray:
    """The v with this h, in [0, 1): where AdaRound starts is the float weight."""
    s = (h - STRETCH_LOW) / (STRETCH_HIGH - STRETCH_LOW)
    return np.asarray(np.log(s / (1 - s)))


def _nearest_error(
    weight: NDArray[np.floating], moments: Moments, grid: WeightGrid, *, has_bias: bool
) -> DoubleArray:
    nearest = grid.values(grid.nearest(weight))
    bias = moments.best_bias(nearest) if has_bias else np.zeros(nearest.shape[:2])
    return moments.error(nearest, bias)
