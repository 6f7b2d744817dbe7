"""Comparisons tell what has changed from what is noise, and what cannot be compared."""

import dataclasses

import pytest

from octavo.compiler.report.comparison import Verdict, compare_profiles
from octavo.compiler.report.comparison_text import (
    change_text,
    comparison_document,
    layers_text,
    run_text,
)
from octavo.compiler.report.manifest import report_from_manifest
from octavo.compiler.report.origin import Origin
from octavo.compiler.report.profile_document import profile_of

ORIGIN = Origin("local", "a CPU", 1, "given", "2026-01-01T00:00:00+00:00")


@pytest.fixture
def profile(manifest):
    def make(conv_us, softmax_us, **changes):
        """Times of the runs of both steps; changes of the origin."""
        report = report_from_manifest(manifest, samples_us=[conv_us, softmax_us])
        return profile_of(report, dataclasses.replace(ORIGIN, **changes))

    return make


def verdicts(comparison):
    return [layer.verdict for layer in comparison.layers]


def test_a_difference_counts_when_the_runs_are_apart(profile):
    before = profile([10, 10, 11, 12], [5, 5, 5, 5])
    after = profile([5, 5, 6, 6], [5.1, 5.1, 5.1, 5.1])
    found = compare_profiles(before, after)
    assert verdicts(found) == [Verdict.FASTER, Verdict.NOISE]  # 2% is too little
    assert found.verdict is Verdict.FASTER
    assert found.layers[0].won_us == 5.0
    assert verdicts(compare_profiles(after, before)) == [Verdict.SLOWER, Verdict.NOISE]


def test_what_overlaps_is_noise_however_far_the_medians_are_apart(profile):
    before = profile([4, 6, 20, 22], [5] * 4)
    after = profile([4, 5, 8, 9], [5] * 4)
    assert verdicts(compare_profiles(before, after)) == [Verdict.NOISE, Verdict.NOISE]


def test_runs_that_other_work_made_longer_hide_no_difference(profile):
    before = profile([10] * 6 + [50] * 2, [5] * 8)
    after = profile([6] * 6 + [50] * 2, [5] * 8)
    assert verdicts(compare_profiles(before, after)) == [Verdict.FASTER, Verdict.NOISE]


def test_less_than_the_clock_takes_is_noise(profile):
    found = compare_profiles(profile([0.10] * 4, [5] * 4), profile([0.14] * 4, [5] * 4))
    assert verdicts(found)[0] is Verdict.NOISE


def test_processes_that_differ_widen_the_limits(manifest):
    def of(rounds):
        """Two runs in each round: quiet inside, but rounds differ."""
        samples = [float(time) for time in rounds for _ in range(2)]
        report = report_from_manifest(
            manifest, samples_us=[samples, samples], round_sizes=[2] * len(rounds)
        )
        return profile_of(report, ORIGIN)

    steady = of([10] * 7)
    assert verdicts(compare_profiles(steady, of([12] * 7)))[0] is Verdict.SLOWER
    # The median of one process in seven was below what it was before.
    assert verdicts(compare_profiles(steady, of([9, 12, 12, 12, 12, 12, 12])))[0] is (
        Verdict.NOISE
    )


def test_layers_that_are_new_or_gone_are_told_apart(manifest, profile):
    before = profile([10] * 4, [5] * 4)
    step = manifest["steps"].pop()
    after = profile_of(report_from_manifest(manifest, samples_us=[[10] * 4]), ORIGIN)
    gone = compare_profiles(before, after).layers[1]
    assert (gone.name, gone.verdict, gone.won_us) == (step["name"], Verdict.GONE, 5.0)
    new = compare_profiles(after, before).layers[1]
    assert (new.verdict, new.won_us) == (Verdict.NEW, -5.0)


def test_the_whole_run_has_limits(profile):
    found = compare_profiles(profile([20] * 4, [10] * 4), profile([10] * 4, [5] * 4))
    assert found.speedup.latency_us == pytest.approx(2.0)
    assert "30.0 us (30.0 us to 30.0 us) before, 15.0 us" in run_text(found)
    assert run_text(found).endswith("2.00 times as fast (2.00 to 2.00)")
    assert layers_text(found) == "layers: 2 faster (+15.0 us); + is time won"


def test_what_changed_names_arithmetic_and_kernels(manifest, profile):
    before = profile([10] * 4, [5] * 4)
    manifest["steps"][0].update(placement="float32", variant="conv_gemm.portable_f32.4x4")
    after = profile([10] * 4, [5] * 4)
    conv, softmax = compare_profiles(before, after).layers
    full = "int8 → float32, conv_gemm.portable.1x1 → conv_gemm.portable_f32.4x4"
    assert change_text(conv) == full
    assert change_text(conv, is_brief=True) == "int8 → float32, conv_gemm"
    assert change_text(softmax) == "float32, float32"
    manifest["steps"][0].update(placement="int8", variant="conv_gemm.portable.2x2")
    tile = compare_profiles(before, profile([10] * 4, [5] * 4)).layers[0]
    assert change_text(tile, is_brief=True) == (
        "int8, conv_gemm.portable.1x1 → conv_gemm.portable.2x2"
    )


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"device": "adb:X"}, "different devices: local before, adb:X after"),
        ({"machine": "other"}, "different machines: a CPU before, other after"),
        ({"num_threads": 2}, "different numbers of threads: 1 before, 2 after"),
        ({"inputs": "zeros"}, "different inputs: given before, zeros after"),
        ({"notes": ("busy",)}, "after: busy"),
    ],
)
def test_what_cannot_be_compared_is_said(profile, changes, warning):
    before, after = profile([1] * 2, [1] * 2), profile([1] * 2, [1] * 2, **changes)
    assert warning in compare_profiles(before, after).warnings


def test_another_schedule_of_the_same_kernel_is_said(manifest, profile):
    manifest["steps"][0]["schedule"] = {"pixels": 4}
    before = profile([10] * 4, [5] * 4)
    manifest["steps"][0]["schedule"] = {"pixels": 8}
    layer = compare_profiles(before, profile([10] * 4, [5] * 4)).layers[0]
    assert change_text(layer, is_brief=True) == (
        "int8, conv_gemm.portable.1x1 with another schedule"
    )


def test_the_same_artifact_twice_is_said(profile):
    before = profile([1] * 2, [1] * 2)
    assert compare_profiles(before, before).warnings == (
        "the same artifact twice: what differs is the machine, not the program",
    )


def test_the_document_has_every_layer_and_step(profile):
    found = compare_profiles(profile([20] * 4, [10] * 4), profile([10] * 4, [5] * 4))
    document = comparison_document(found)
    assert [layer["name"] for layer in document["layers"]] == ["stem/conv", "head/softmax"]
    assert document["layers"][0]["won_us"] == 10.0
    assert document["layers"][0]["steps_after"][0]["kernel"] == "conv_gemm.portable.1x1"
    assert document["before"]["run"]["latency_us"] == 30.0
    assert document["speedup"] == pytest.approx(2.0)
