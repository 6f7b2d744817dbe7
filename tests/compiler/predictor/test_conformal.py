import math

import numpy as np
import pytest

from octavo.compiler.predictor.conformal import enough_groups, grouped_quantile


def test_single_calls_give_the_conformal_quantile():
    scores = np.arange(1.0, 20.0)  # 19 networks of one call: 90% of 20 is the 18th
    assert grouped_quantile(scores, np.arange(19), 0.9) == 18.0


def test_networks_count_alike_however_many_calls_they_have():
    # 18 networks of one small score; one network of a thousand large ones
    scores = np.concatenate([np.ones(18), np.full(1000, 9.0)])
    groups = np.concatenate([np.arange(18), np.full(1000, 18)])
    assert grouped_quantile(scores, groups, 0.9) == 1.0
    assert grouped_quantile(scores, groups, 0.95) == 9.0


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_too_few_networks_give_no_interval(level):
    enough = enough_groups(level)
    assert math.isfinite(grouped_quantile(np.ones(enough), np.arange(enough), level))
    fewer = enough - 1
    assert math.isinf(grouped_quantile(np.ones(fewer), np.arange(fewer), level))


def test_coverage_of_new_networks_is_what_was_asked_for():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        sizes = rng.integers(1, 30, 41)
        levels = rng.lognormal(0, 0.7, 41)  # calls of one network are alike
        scores = [rng.exponential(*pair) for pair in zip(levels, sizes, strict=True)]
        limit = grouped_quantile(
            np.concatenate(scores[:-1]), np.repeat(np.arange(40), sizes[:-1]), 0.9)
        covered.append(np.mean(scores[-1] <= limit))
    # the mean of 400 shares, each within [0, 1] and with a deviation below 0.2
    assert 0.9 - 3 * 0.2 / 20 <= np.mean(covered) <= 0.9 + 3 * 0.2 / 20 + 1 / 41
