from functools import cache

import numpy as np
import pytest
from tests.compiler.predictor.synthetic import conv_call, law_us, measured, network

from octavo.compiler.predictor.features import Caches
from octavo.compiler.predictor.predictor import Predictor, fit_predictor
from octavo.errors import DataError

pytest.importorskip("sklearn")
CACHES = Caches(48 << 10, 1 << 20)


@cache
def predictor() -> Predictor:
    return fit_predictor(measured(), CACHES)


def test_new_networks_are_predicted_within_the_noise():
    rng = np.random.default_rng(7)
    errors, covered = [], []
    for _ in range(30):
        program = network(rng)
        predictions = predictor().predict([m.call for m in program])
        for prediction, one in zip(predictions, program, strict=True):
            assert prediction.low_us <= prediction.latency_us <= prediction.high_us
            errors.append(abs(prediction.latency_us / one.latency_us - 1))
            covered.append(prediction.low_us <= one.latency_us <= prediction.high_us)
    assert np.median(errors) < 0.08  # twice what the noise alone leaves
    assert 0.82 <= np.mean(covered) <= 0.98  # 90% of networks like these, 30 of them


def test_intervals_of_programs_are_narrower_than_those_of_their_calls_together():
    rng = np.random.default_rng(8)
    covered = []
    for _ in range(30):
        program = network(rng)
        calls = [m.call for m in program]
        total = predictor().predict_total(calls)
        each = predictor().predict(calls, 0.9)
        assert total.latency_us == pytest.approx(sum(p.latency_us for p in each))
        assert total.high_us - total.low_us < sum(p.high_us - p.low_us for p in each)
        measured_us = sum(m.latency_us for m in program)
        covered.append(total.low_us <= measured_us <= total.high_us)
    assert np.mean(covered) >= 0.8


def test_smaller_probabilities_give_smaller_intervals():
    calls = [conv_call(14, 32, 64), conv_call(7, 64, 128)]
    wide, narrow = (predictor().predict(calls, level)[0] for level in (0.9, 0.5))
    assert narrow.high_us < wide.high_us
    assert narrow.latency_us == wide.latency_us


def test_larger_than_anything_measured_is_flagged_and_still_grows():
    usual, huge = conv_call(20, 100, 150), conv_call(400, 2000, 3000)
    first, second = predictor().predict([usual, huge])
    assert not first.is_extrapolated
    assert second.is_extrapolated
    # prices extrapolate: trees alone would stop at the largest time that they saw
    assert second.latency_us > 0.3 * law_us(huge)


def test_the_same_data_and_seed_give_the_same_predictions():
    calls = [conv_call(14, 32, 64)]
    again = fit_predictor(measured(), CACHES)
    assert again.predict(calls) == predictor().predict(calls)


def test_too_little_data_is_refused_in_one_line():
    with pytest.raises(DataError, match="45 measured kernels of 3 networks are too few"):
        fit_predictor(measured(3), CACHES)


def test_an_interval_that_the_data_cannot_hold_is_refused():
    with pytest.raises(DataError, match="99% takes profiles of 99 different networks"):
        predictor().predict([conv_call(14, 32, 64)], 0.99)
