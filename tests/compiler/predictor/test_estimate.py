import pytest
from tests.compiler.predictor.synthetic import conv_call, measured

from octavo.compiler.measurements.latencies import DeviceStatistics
from octavo.compiler.predictor.estimate import estimate_latency, find_device
from octavo.compiler.predictor.features import Caches
from octavo.compiler.predictor.predictor import Predictor, fit_predictor
from octavo.compiler.predictor.program_calls import NamedCall
from octavo.errors import DataError

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return fit_predictor(measured(), Caches(48 << 10, 1 << 20))


CALLS = [
    NamedCall(f"conv{i}", conv_call(14, 32 + 8 * i, 64), ("conv", str(i), "null"))
    for i in range(5)]


def test_what_was_measured_counts_as_measured(predictor):
    unknown = estimate_latency(CALLS, predictor, {})
    known = estimate_latency(CALLS, predictor, {("conv", "2", "null"): 1000.0})
    gained = 1000.0 - unknown.steps[2].prediction.latency_us
    assert known.total.latency_us == pytest.approx(unknown.total.latency_us + gained)
    assert known.steps[2].measured_us == 1000.0
    assert known.steps[2].uncertainty == 0.0


def test_measuring_makes_the_interval_narrower(predictor):
    unknown = estimate_latency(CALLS, predictor, {})
    measured_us = {
        call.identity: step.prediction.latency_us
        for call, step in zip(CALLS[:4], unknown.steps, strict=False)}
    known = estimate_latency(CALLS, predictor, measured_us)
    assert known.total.latency_us == pytest.approx(unknown.total.latency_us)
    assert known.total.high_us - known.total.low_us < (
        unknown.total.high_us - unknown.total.low_us)
    assert known.steps[4].uncertainty == 1.0


def test_uncertainties_are_shares_of_the_whole(predictor):
    steps = estimate_latency(CALLS, predictor, {}).steps
    assert sum(step.uncertainty for step in steps) == pytest.approx(1.0)


def test_an_empty_program_is_refused(predictor):
    with pytest.raises(DataError, match="without steps"):
        estimate_latency([], predictor, {})


def _device(device: str, code: str = "avx2 x") -> DeviceStatistics:
    return DeviceStatistics(device, code, "toolchain", 1, 1, "2025", "2025")


def test_this_machine_is_meant_where_it_was_measured():
    devices = [_device("here"), _device("phone one"), _device("phone two")]
    assert find_device(devices, "avx2 x", "here", None) == "here"
    assert find_device(devices, "avx2 x", "here", "TWO") == "phone two"
    with pytest.raises(DataError, match=r"2 devices .* \(phone one; phone two\)"):
        find_device(devices[1:], "avx2 x", "here", None)
    with pytest.raises(DataError, match="no measurements for neon code"):
        find_device(devices, "neon y", "here", None)
    with pytest.raises(DataError, match="no measurements of a device 'three' for avx2"):
        find_device(devices, "avx2 x", "here", "three")
