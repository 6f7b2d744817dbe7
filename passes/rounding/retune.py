"""Give each output of a quantized layer the mean, and the spread, of the float network again.

Where a BatchNormalization was folded into a layer this is what estimating its statistics anew
and folding it again gives: w -> g w and b -> mean(y) - g w mean(x), g the ratio of the
standard deviations. The gain goes into the scales, so integers stay as they are.

Source: Hubara et al. 2020, "Improving Post Training Neural Quantization", 3.3 and 3.4.
"""

import numpy as np

from octavo.passes.rounding.grid import WeightGrid
from octavo.passes.rounding.moments import Moments
from octavo.passes.rounding.stored_layer import Choice

MAX_GAIN = 2.0  # a layer that needs more is broken otherwise
# Below this share of the float spread an output is constant, and its gain noise.
MIN_SPREAD = 1e-3


def matched_bias(choice: Choice, moments: Moments) -> Choice:
    """The same weights; the bias gives each output the mean of the float network."""
    return Choice(choice.q, choice.grid, moments.best_bias(choice.weight))


def matched_statistics(choice: Choice, moments: Moments) -> Choice:
    """The same integers; scales and bias give each output its float mean and spread."""
    gram, _ = moments.centred(has_bias=True)
    weight = choice.weight
    spread = np.einsum("gok,gok->go", weight @ gram, weight)
    wanted = moments.power - np.square(moments.mean_y)
    is_alive = (spread > MIN_SPREAD**2 * wanted) & (wanted > 0)
    ratio = np.sqrt(np.where(is_alive, wanted, 1.0) / np.where(is_alive, spread, 1.0))
    gain = ratio.clip(1 / MAX_GAIN, MAX_GAIN)
    grid = WeightGrid(choice.grid.scale * gain[:, :, None], choice.grid.qmax)
    return matched_bias(Choice(choice.q, grid, choice.bias), moments)
