"""AdaQuant: learn weights, bias and both grids of a layer together.

||y - Q_w(V) Q_x(x) - b||^2 is minimized over V, b, the scales of outputs and the scale and
zero point of the input by Adam. Rounding passes gradients straight through: u -> round(u)
counts as u plus a constant, and outside of the range as a constant. A weight may therefore
move by more than one integer, which AdaRound's may not.

Source: Hubara et al. 2020, "Improving Post Training Neural Quantization: Layer-wise
Calibration and Integer Programming", 3.1; the gradient of a scale: Esser et al. 2020, "Learned
Step Size Quantization", 2.1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.passes.rounding.adam import Adam
from octavo.passes.rounding.grid import WeightGrid

NUM_ITERATIONS = 400
BATCH = 256  # positions of a step
# Steps of Adam, in the unit of each parameter: scales, zero point, standard deviations.
WEIGHT_RATE, SCALE_RATE, ZERO_RATE, BIAS_RATE = 0.02, 0.002, 0.05, 0.002
MIN_SCALE_FACTOR = 0.1  # of the first scale: a range never collapses

DoubleArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class InputGrid:
    """Affine steps of a layer's input, one pair for the tensor.

    Attributes:
        scale: One step.
        zero_point: Integer that stands for 0; any real number while it is learned.
        qmin: Smallest integer.
        qmax: Largest integer.
    """

    scale: float
    zero_point: float
    qmin: int
    qmax: int

    def rounded(self, x: NDArray[np.floating]) -> DoubleArray:
        """What the layer reads instead of ``x``."""
        zero = np.rint(self.zero_point)
        steps = (np.rint(np.asarray(x, np.float64) / self.scale) + zero).clip(
            self.qmin, self.qmax
        )
        return np.asarray((steps - zero) * self.scale)


@dataclass(eq=False)
class LearnedLayer:
    """What AdaQuant learns.

    Attributes:
        weight: Real numbers that are rounded to the integers, (G, O, K).
        scale: Of the weight, (G, O, 1) or (G, O, K).
        bias: (G, O).
        grid: Of the input; None when it is not rounded.
    """

    weight: DoubleArray
    scale: DoubleArray
    bias: DoubleArray
    grid: InputGrid | None


@dataclass(frozen=True, eq=False)
class Gradients:
    """Derivatives of the mean squared error by the fields of ``LearnedLayer``."""

    weight: DoubleArray
    scale: DoubleArray
    bias: DoubleArray
    input_scale: float
    input_zero: float


def gradients_of(
    layer: LearnedLayer, qmax: int, x: NDArray[np.floating], y: NDArray[np.floating]
) -> Gradients:
    """Gradients on columns ``x`` (G, N, K) and outputs ``y`` (G, N, O).

    The error is the mean over N, summed over outputs.
    """
    steps = layer.weight / layer.scale
    rounded = np.rint(steps)
    q = rounded.clip(-qmax, qmax)
    is_inside = np.abs(rounded) <= qmax
    w = q * layer.scale
    x_rounded, x_by_scale, x_by_zero = _input_slopes(layer.grid, x)
    residual = x_rounded @ w.transpose(0, 2, 1) + layer.bias[:, None, :] - y
    by_output = 2.0 * residual / x.shape[1]
    by_w = by_output.transpose(0, 2, 1) @ x_rounded
    # d(q s)/ds: the rounding error in steps inside, the last integer outside.
    by_scale = by_w * np.where(is_inside, q - steps, q)
    if layer.scale.shape[-1] == 1:
        by_scale = by_scale.sum(axis=2, keepdims=True)
    by_x = by_output @ w if layer.grid is not None else np.zeros(1)
    return Gradients(
        by_w * is_inside,
        by_scale,
        by_output.sum(axis=1),
        float((by_x * x_by_scale).sum()),
        float((by_x * x_by_zero).sum()),
    )


def _input_slopes(
    grid: InputGrid | None, x: NDArray[np.floating]
) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """The rounded input and its derivatives by scale and by zero point."""
    exact = np.asarray(x, np.float64)
    if grid is None:
        return exact, np.zeros(1), np.zeros(1)
    zero = np.rint(grid.zero_point)
    steps = exact / grid.scale
    integers = np.rint(steps) + zero
    clipped = integers.clip(grid.qmin, grid.qmax)
    is_inside = integers == clipped
    by_scale = np.where(is_inside, clipped - zero - steps, clipped - zero)
    by_zero = np.where(is_inside, 0.0, -grid.scale)
    return (clipped - zero) * grid.scale, by_scale, by_zero


def learn_layer(
    start: LearnedLayer,
    qmax: int,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    *,
    has_bias: bool,
    learn_scale: bool,
    learn_grid: bool,
    learn_zero: bool,
    num_iterations: int = NUM_ITERATIONS,
    seed: int = 0,
) -> tuple[NDArray[np.int32], LearnedLayer]:
    """Minimize the output error.

    Args:
        start: Where to begin; not changed.
        qmax: Largest integer of the weight.
        x: Columns that the layer gets before they are rounded, (G, N, K).
        y: Outputs that it should give, (G, N, O).
        has_bias: Learn the bias.
        learn_scale: Learn the weight's scales.
        learn_grid: Learn the input's scale.
        learn_zero: Learn the input's zero point.
        num_iterations: Steps of Adam.
        seed: Of the batches.

    Returns:
        The integers (G, O, K), and what was learned; its zero point is an integer.
    """
    rng = np.random.default_rng(seed)
    layer = LearnedLayer(
        start.weight.copy(), start.scale.copy(), start.bias.copy(), start.grid
    )
    spread = np.asarray(y, np.float64).std(axis=1) + np.finfo(np.float64).tiny
    weight_adam = Adam(layer.weight.shape, WEIGHT_RATE * start.scale)
    scale_adam = Adam(layer.scale.shape, SCALE_RATE * start.scale)
    bias_adam = Adam(layer.bias.shape, BIAS_RATE * spread)
    input_adam = Adam((2,), 1.0)
    # Rows of small outputs count as much as others, and so does what they ask of the input.
    y_scaled = 1.0 / np.square(spread).mean()
    for iteration in range(num_iterations):
        batch = rng.integers(0, x.shape[1], min(BATCH, x.shape[1]))
        slopes = gradients_of(layer, qmax, x[:, batch], y[:, batch])
        # Falls to zero, so that nothing swings around a threshold in the end.
        rate = 0.5 * (1 + np.cos(np.pi * iteration / num_iterations))
        layer.weight += rate * weight_adam.step(slopes.weight)
        if learn_scale:
            layer.scale += rate * scale_adam.step(slopes.scale)
            np.maximum(layer.scale, MIN_SCALE_FACTOR * start.scale, out=layer.scale)
        if has_bias:
            layer.bias += rate * bias_adam.step(slopes.bias)
        if learn_grid and layer.grid is not None and start.grid is not None:
            step = input_adam.step(
                np.array([slopes.input_scale * start.grid.scale, slopes.input_zero]) * y_scaled
            )
            layer.grid = _moved(layer.grid, start.grid, rate * step, learn_zero=learn_zero)
    if layer.grid is not None:
        grid = layer.grid
        layer.grid = InputGrid(
            grid.scale, float(np.rint(grid.zero_point)), grid.qmin, grid.qmax
        )
    q = np.rint(layer.weight / layer.scale).clip(-qmax, qmax).astype(np.int32)
    return q, layer


def output_error(
    q: NDArray[np.integer],
    layer: LearnedLayer,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
) -> DoubleArray:
    """Mean squared error of each output, (G, O), on columns as in ``learn_layer``."""
    read = layer.grid.rounded(x) if layer.grid is not None else np.asarray(x, np.float64)
    w = WeightGrid(layer.scale, 0).values(q)
    made = read @ w.transpose(0, 2, 1) + layer.bias[:, None, :]
    return np.asarray(np.square(made - y).mean(axis=1))


def _moved(
    grid: InputGrid, first: InputGrid, step: NDArray[np.float64], *, learn_zero: bool
) -> InputGrid:
    factor = 1.0 + SCALE_RATE * float(step[0])
    # Wider than observed, nothing is cut that was not; a Relu or Clip that saturation stands
    # for would end later than it should.
    scale = min(max(grid.scale * factor, MIN_SCALE_FACTOR * first.scale), first.scale)
    zero = grid.zero_point
    if learn_zero:
        zero = min(max(zero + ZERO_RATE * float(step[1]), grid.qmin), grid.qmax)
    return InputGrid(scale, zero, grid.qmin, grid.qmax)
