import numpy as np
import pytest

from octavo.passes.channel_noise import (
    ChannelStatistics,
    outlier_group,
    rounding_noise,
    smoothing_factors,
)
from octavo.passes.layer_format import LayerFormat


def statistics(x):
    return ChannelStatistics(x.min(axis=0), x.max(axis=0), np.square(x).mean(axis=0))


def round_to(x, step):
    return np.rint(x / step) * step


@pytest.mark.parametrize(
    ("outlier", "widths"),
    # At 4 bits all that is not an outlier rounds to 0, and errors are not uniform.
    [(1.0, "w8a8"), (30.0, "w8a8"), (1.0, "w4a8"), (30.0, "w4a8"), (1.0, "w8a4")],
)
def test_the_prediction_is_what_rounding_does(rng, outlier, widths):
    layer_format = LayerFormat.parse(widths)
    x = rng.normal(size=(4000, 24))
    x[:, 5] *= outlier
    weight = rng.normal(size=(24, 16))
    x_step = (x.max() - x.min()) / (2**layer_format.activation_bits - 1)
    w_step = 2 * np.abs(weight).max(axis=0) / (2**layer_format.weight_bits - 2)
    error = round_to(x, x_step) @ round_to(weight, w_step) - x @ weight
    measured = np.square(error).mean(axis=0).sum()
    predicted = rounding_noise(statistics(x), weight, np.ones(24), layer_format)
    # The errors of x average over 4,000 rows. Those of W are 24 draws for each of 16 outputs,
    # of which one outlier row can dominate: 16 draws, a standard deviation of 0.9 / 4.
    assert 0.4 < measured / predicted < 1.9


def test_smoothing_brings_the_outlier_down_and_leaves_the_others(rng):
    x = rng.uniform(-1.0, 1.0, size=(1000, 64))
    x[:, 7] *= 40.0
    weight = rng.normal(size=(64, 32))
    factors, gain_db = smoothing_factors(statistics(x), weight)
    assert factors[7] > 4.0
    assert np.delete(factors, 7).max() < 1.1  # the level lies near the other channels or above
    before = rounding_noise(statistics(x), weight, np.ones(64))
    after = rounding_noise(statistics(x), weight, factors)
    assert gain_db == pytest.approx(10 * np.log10(before / after))
    assert gain_db > 6.0


def test_narrow_weights_take_less_of_the_range(rng):
    """What smoothing moves into weights costs them more, the fewer bits they have."""
    x = rng.uniform(-1.0, 1.0, size=(1000, 64))
    x[:, 7] *= 40.0
    weight = rng.normal(size=(64, 32))
    found = [
        smoothing_factors(statistics(x), weight, LayerFormat.parse(text))
        for text in ("w16a8", "w8a8", "w4a8")
    ]
    factors, gains = zip(*found, strict=True)
    assert factors[0][7] >= factors[1][7] > 2.0 * factors[2][7]
    assert gains[0] > gains[1] > gains[2] >= 0.0


def test_without_outliers_smoothing_gains_nothing(rng):
    x = rng.choice([-1.0, 1.0], size=(100, 16))
    factors, gain_db = smoothing_factors(statistics(x), rng.normal(size=(16, 8)))
    assert gain_db == 0.0
    np.testing.assert_array_equal(factors, np.ones(16))


def test_the_group_holds_the_outliers(rng):
    x = rng.uniform(-1.0, 1.0, size=(1000, 64))
    x[:, [40, 3]] *= 30.0
    weight = rng.normal(size=(64, 32))
    group, gain_db = outlier_group(statistics(x), weight, (2, 8))
    assert group.tolist() == [3, 40]
    rest = np.setdiff1d(np.arange(64), group)
    parts = sum(
        rounding_noise(statistics(x[:, part]), weight[part], np.ones(part.size))
        for part in (group, rest)
    )
    whole = rounding_noise(statistics(x), weight, np.ones(64))
    assert gain_db == pytest.approx(10 * np.log10(whole / parts))
    # Of 64 channels with a coarse step, two are left.
    assert 10.0 < gain_db < 10 * np.log10(64 / 2) + 0.5


def test_no_group_where_it_gains_nothing():
    x = np.zeros((10, 8))
    group, gain_db = outlier_group(statistics(x), np.ones((8, 4)), (2, 8, 16))
    assert (group.size, gain_db) == (0, 0.0)
