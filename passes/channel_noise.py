"""Predict what rounding a linear layer's input and weight costs, channel by channel.

For y = x W with one step d for the whole of x and one step e_o for each output of W, rounding
errors are uniform and independent: each value of x adds d^2 / 12 * W_co^2 to the variance of
y_o, each weight adds e_o^2 / 12 * x_c^2. Dividing channel c of x by f_c and multiplying row c
of W by it keeps y and moves range from x to W; the sum of both noises says how far to go.

Source: Xiao et al. 2023, "SmoothQuant", 4 (the factors); Widrow and Kollar 2008, "Quantization
Noise", 1.2 (uniform rounding errors).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.layer_format import EIGHT_BITS, LayerFormat

Vector = NDArray[np.float64]

_NUM_LEVELS = 32  # thresholds tried: a quarter bit apart for an outlier 256 times the median


FormatOf = Callable[[ir.Node], LayerFormat]


def eight_bits(node: ir.Node) -> LayerFormat:
    """The format of every layer where nobody says otherwise."""
    del node
    return EIGHT_BITS


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """What the channels of a tensor, its last dimension, held during calibration.

    Attributes:
        low: Smallest value of each channel, (C,).
        high: Largest value of each channel, (C,).
        mean_square: Mean of x^2 of each channel, (C,), >= 0.
    """

    low: Vector
    high: Vector
    mean_square: Vector

    @property
    def largest(self) -> Vector:
        """max|x| of each channel, (C,)."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def rounding_noise(
    statistics: ChannelStatistics,
    weight: Vector,
    factors: Vector,
    layer_format: LayerFormat = EIGHT_BITS,
) -> float:
    """Variance that rounding adds to a row of x W, summed over its outputs.

    Args:
        statistics: Of x, (C,).
        weight: W, (C, outputs).
        factors: Divide x and multiply W, (C,), > 0.
        layer_format: Widths of W, in a narrow range, and of x.
    """
    low = min(0.0, float((statistics.low / factors).min()))
    high = max(0.0, float((statistics.high / factors).max()))
    scaled = weight * factors[:, None]
    x_step = (high - low) / (2.0**layer_format.activation_bits - 1.0)
    w_steps = 2.0 * np.abs(scaled).max(axis=0) / (2.0**layer_format.weight_bits - 2.0)
    of_x = x_step**2 * np.square(scaled).sum()
    of_w = np.square(w_steps).sum() * (statistics.mean_square / factors**2).sum()
    return float((of_x + of_w) / 12.0)


def smoothing_factors(
    statistics: ChannelStatistics, weight: Vector, layer_format: LayerFormat = EIGHT_BITS
) -> tuple[Vector, float]:
    """Factors that bring outlier channels down to one level, and what they gain.

    Only channels above the level change; its value is the one with the least noise.

    Args:
        statistics: Of x, (C,).
        weight: W, (C, outputs).
        layer_format: Widths of W and x.

    Returns:
        Factors >= 1, (C,), and the noise that they save in decibels, >= 0.
    """
    largest = statistics.largest
    ones = np.ones_like(largest)
    candidates = [np.maximum(1.0, largest / level) for level in _levels(largest)]
    tried = (ones, *candidates)
    noises = [rounding_noise(statistics, weight, f, layer_format) for f in tried]
    least = int(np.argmin(noises))
    if noises[least] <= 0.0 or not np.isfinite(noises[0]):
        return ones, 0.0
    return tried[least], float(10.0 * np.log10(noises[0] / noises[least]))


def outlier_group(
    statistics: ChannelStatistics,
    weight: Vector,
    sizes: Collection[int],
    layer_format: LayerFormat = EIGHT_BITS,
) -> tuple[NDArray[np.intp], float]:
    """The channels with the largest values, to be multiplied apart, and what that gains.

    Args:
        statistics: Of x, (C,).
        weight: W, (C, outputs).
        sizes: Allowed numbers of channels in the group.
        layer_format: Widths of W and x.

    Returns:
        Channels in ascending order, and the noise that two products with steps of their own
        save in decibels, >= 0; no channels when no group gains anything.
    """
    order = np.argsort(-statistics.largest, kind="stable")
    whole = least = _part_noise(statistics, weight, order, layer_format)
    group = order[:0]
    for size in sizes:
        if 0 < size < order.size:
            inside, outside = order[:size], order[size:]
            noise = _part_noise(statistics, weight, inside, layer_format)
            noise += _part_noise(statistics, weight, outside, layer_format)
            if noise < least:
                least, group = noise, np.sort(inside)
    if not 0.0 < least < whole or not np.isfinite(whole):
        return order[:0], 0.0
    return group, float(10.0 * np.log10(whole / least))


def _part_noise(
    statistics: ChannelStatistics,
    weight: Vector,
    channels: NDArray[np.intp],
    layer_format: LayerFormat,
) -> float:
    part = ChannelStatistics(
        statistics.low[channels], statistics.high[channels], statistics.mean_square[channels]
    )
    return rounding_noise(part, weight[channels], np.ones(channels.size), layer_format)


def _levels(largest: Vector) -> Vector:
    top, bottom = float(largest.max(initial=0.0)), float(np.median(largest))
    if not 0.0 < bottom < top:
        return np.empty(0)
    return np.geomspace(bottom, top, _NUM_LEVELS, endpoint=False)
