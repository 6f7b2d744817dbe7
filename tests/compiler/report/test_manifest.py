import pytest

from octavo.compiler.report.manifest import report_from_manifest
from octavo.compiler.report.page import render_page
from octavo.compiler.report.records import error_entries
from octavo.compiler.report.summary import summarize
from octavo.errors import ArtifactError


def test_shares_are_of_the_multiply_accumulates(manifest):
    summary = summarize(report_from_manifest(manifest))
    assert [(p.placement, p.num_steps, p.macs_share) for p in summary.placements] == [
        ("int8", 1, 0.9),
        ("float32", 1, 0.1),
    ]
    assert summary.int8_macs_share == 0.9


def test_a_model_without_multiplications_is_placed_by_its_steps(manifest):
    for step in manifest["steps"]:
        step["macs"] = 0
    assert summarize(report_from_manifest(manifest)).int8_macs_share == 0.5


def test_each_float_step_keeps_its_reason(manifest):
    (step,) = summarize(report_from_manifest(manifest)).float_steps
    assert (step.name, step.reason) == ("head/softmax", "no integer kernel for axis 1")


def test_the_worst_layer_is_the_one_that_is_worst_alone(manifest, layer_errors):
    summary = summarize(report_from_manifest(manifest, errors=layer_errors))
    assert [e.layer for e in summary.worst_layers] == ["head/fc"]
    assert summary.output_sqnr_db == 10.5


def test_worst_layers_are_ordered_and_an_exact_layer_is_never_one(manifest, layer_errors):
    summary = summarize(report_from_manifest(manifest, errors=layer_errors * 3))
    assert [e.layer for e in summary.worst_layers] == ["head/fc"] * 3


def test_the_outputs_own_error_counts_when_it_is_known(manifest, layer_errors):
    manifest["metadata"] = {"output_sqnr_db": {"a": 33.0, "b": 21.0, "c": None}}
    report = report_from_manifest(manifest, errors=layer_errors)
    assert report.output_sqnr_db == 21.0


def test_errors_survive_the_manifest(manifest, layer_errors):
    records = report_from_manifest(manifest, errors=layer_errors).errors
    manifest["metadata"] = {"layer_errors": error_entries(records)}
    assert report_from_manifest(manifest).errors == records
    assert records[-1].sqnr_isolated_db == float("inf")


def test_latency_of_a_run_is_the_median_of_the_runs_sums(manifest):
    samples_us = [[10.0, 20.0, 90.0], [1.0, 30.0, 1.0]]
    report = report_from_manifest(manifest, samples_us=samples_us)
    assert report.run.median_us == 50.0  # of 11, 50 and 91
    measured = report_from_manifest(manifest, samples_us=samples_us, runs_us=[7.0, 9.0])
    assert measured.run.median_us == 8.0
    assert [latency.median_us for latency in report.latencies] == [20.0, 1.0]
    assert sum(latency.share for latency in report.latencies) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda m: m.pop("steps"),
        lambda m: m["steps"][0].pop("macs"),
        lambda m: m["steps"].append(3),
        lambda m: m.update(memory=None),
        lambda m: m["memory"].update(arena_bytes="many"),
        lambda m: m["memory"]["buffers"][0].pop("offset_bytes"),
    ],
)
def test_a_damaged_manifest_is_refused_in_one_line(manifest, damage):
    damage(manifest)
    with pytest.raises(ArtifactError, match=r"^manifest\.json is malformed .*compile again$"):
        report_from_manifest(manifest)


def test_timings_of_another_program_are_refused(manifest):
    with pytest.raises(ArtifactError, match="1 timings for 2 steps"):
        report_from_manifest(manifest, samples_us=[[1.0]])


def test_the_memory_of_weights_is_told_where_they_are_packed(manifest):
    assert report_from_manifest(manifest).weights_memory_bytes == 0
    manifest["memory"] |= {"weights_memory_bytes": 4000, "num_packed_weights": 0}
    assert report_from_manifest(manifest).weights_memory_bytes == 0
    manifest["memory"]["num_packed_weights"] = 2
    report = report_from_manifest(manifest)
    assert (report.weights_bytes, report.weights_memory_bytes) == (2048, 4000)
    assert "3.91 KiB in memory" in render_page(report)
