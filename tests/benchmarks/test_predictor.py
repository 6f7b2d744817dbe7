import onnx
import pytest
from benchmarks.predictor.__main__ import DATA
from benchmarks.predictor.collect import networks
from benchmarks.predictor.data import read_caches, read_programs
from benchmarks.predictor.evaluate import HELD_OUT, kernel_summary
from benchmarks.predictor.networks import FAMILIES


@pytest.mark.parametrize("family", [f for f, _ in FAMILIES], ids=lambda f: f.__name__)
def test_random_networks_are_valid_and_the_same_every_time(family):
    model = family(0)
    onnx.checker.check_model(model, full_check=True)
    assert model.SerializeToString() == family(0).SerializeToString()
    assert model.SerializeToString() != family(1).SerializeToString()


def test_every_network_has_a_name_of_its_own_and_families_stay_together():
    found = list(networks())
    assert len({network.name for network in found}) == len(found)
    families = {network.name: network.family for network in found}
    assert families["resnet18"] == families["resnet50"]
    assert families["mobile_0"] != families["mobile_1"]


def test_the_latencies_that_were_kept_are_readable():
    programs = read_programs(DATA)
    assert set(HELD_OUT) < {program.network for program in programs}
    assert all(m.latency_us > 0 for program in programs for m in program.calls)
    _, caches = read_caches(DATA)
    assert caches.l1_bytes < caches.l2_bytes


def test_a_summary_counts_errors_and_coverage():
    kernels = [
        {"error": error, "covered": error < 0.25, "half_width": 0.2}
        for error in (0.0, 0.1, 0.2, 0.3)]
    facts = kernel_summary(kernels)
    assert facts["median_error"] == pytest.approx(0.15)
    assert facts["covered"] == 0.75
