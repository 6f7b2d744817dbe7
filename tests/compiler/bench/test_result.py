"""Ratios, spreads and warnings, from made-up rounds."""

from pathlib import Path

import numpy as np
import pytest

from octavo.compiler.bench.agreement import Agreement
from octavo.compiler.bench.contestant import Contestant, Runtime
from octavo.compiler.bench.contestant_process import Loaded
from octavo.compiler.bench.result import BenchResult, BenchTable, Row, speedup
from octavo.compiler.devices.latency import DeviceTimes
from octavo.compiler.devices.measurement import Measurement, Round
from octavo.compiler.report.comparison import Verdict

DRIFT = 1.0 + 0.5 * np.sin(np.arange(12.0))  # a machine that is up to three times as slow
LOADED = Loaded(version="1", load_us=1.0, first_run_us=1.0, peak_bytes=None, outputs=())


def measured(times_us):
    """A run for each round."""
    rounds = (DeviceTimes(np.array([time]), np.empty((0, 0))) for time in times_us)
    return Measurement(tuple(Round(times) for times in rounds))


def row(**fields):
    contestant = Contestant(
        runtime=Runtime.OPENVINO, precision="int8", path=Path("x"), note="n"
    )
    return Row(
        **{
            "contestant": contestant,
            "model_bytes": 1,
            "loaded": LOADED,
            "agreement": Agreement(1.0, 150.0, 0.0, None),
            "measurement": measured(100 * DRIFT),
        }
        | fields
    )


def test_what_disturbs_both_alike_cancels():
    ratio, verdict = speedup(measured(100 * DRIFT), measured(150 * DRIFT))
    assert ratio.low_us == pytest.approx(ratio.high_us) == pytest.approx(1.5)
    assert verdict is Verdict.FASTER
    assert speedup(measured(100 * DRIFT), measured(50 * DRIFT))[1] is Verdict.SLOWER
    assert speedup(measured(100 * DRIFT), measured(101 * DRIFT))[1] is Verdict.NOISE


def test_few_rounds_have_a_ratio_without_limits():
    ratio, verdict = speedup(measured([100.0, 102.0]), measured([202.0, 202.0]))
    assert ratio.latency_us == ratio.low_us == ratio.high_us == 2.0
    assert verdict is Verdict.NOISE
    assert speedup(measured([]), measured([1.0])) == (None, None)


def test_one_that_dropped_out_is_paired_with_the_rounds_that_it_had():
    ratio, _ = speedup(measured(np.arange(1.0, 13.0)), measured(3 * np.arange(1.0, 8.0)))
    assert ratio.latency_us == pytest.approx(3.0)


def test_spread_and_median_are_of_all_runs_and_of_the_rounds():
    two = [DeviceTimes(np.arange(1.0, 6.0), np.empty((0, 0))),
           DeviceTimes(np.arange(6.0, 11.0), np.empty((0, 0)))]  # fmt: skip
    found = row(measurement=Measurement(tuple(Round(times) for times in two)))
    assert found.latency_us == 5.5
    assert found.spread_us == pytest.approx((1.9, 9.1))
    assert row(measurement=Measurement()).latency_us is None


def test_precisions_have_limits_of_their_own():
    noisy = Agreement(0.0, 12.0, 1.0, None)
    assert row(agreement=noisy).is_same_network
    real = Contestant(runtime=Runtime.OPENVINO, precision="bf16", path=Path("x"))
    assert row(agreement=noisy, contestant=real).is_same_network is False
    assert row(agreement=None).is_same_network is None


def test_noise_is_one_line_unless_all_is_asked_for():
    rows = (row(noise=("it waited", "rounds differ")), row(problem="it crashed"), row())
    table = BenchTable(num_threads=2, rows=rows, reference=None, noise=("others worked",))
    result = BenchResult(inputs="given", machine="m", tables=(table,))
    assert result.warnings() == [
        "OpenVINO int8 (n): it waited",
        "OpenVINO int8 (n): rounds differ",
        "OpenVINO int8 (n): it crashed",
        "2 threads: others worked",
    ]
    assert result.warnings(is_brief=True) == [
        "OpenVINO int8 (n): it crashed",
        "2 threads: others worked",
        "2 threads: 1 of 3 times, marked ~, may not be repeatable within 5%; -v says why",
    ]


def test_other_outputs_are_told():
    other = row(agreement=Agreement(0.1, 3.21, 1.0, None))
    result = BenchResult(
        inputs="given", machine="m",
        tables=(BenchTable(num_threads=1, rows=(other,), reference=None),))  # fmt: skip
    (line,) = result.warnings(is_brief=True)
    assert "its outputs are others, 3.2 dB where int8 has at least 10" in line
