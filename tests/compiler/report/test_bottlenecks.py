"""What to do next, in numbers and in words."""

import copy

import pytest

from octavo.compiler.report.bottlenecks import (
    equal_steps_by_gain,
    kernels_by_gain,
    next_bottleneck,
    peaks_text,
    steps_by_gain,
    total_gain,
)
from octavo.compiler.report.manifest import report_from_manifest

PROGRAM_BYTES = 4096 + 2048  # arena and weights: the second level holds them


@pytest.fixture
def report(manifest, make_peaks):
    """Two equal convolutions and a softmax that multiplies."""
    again = copy.deepcopy(manifest["steps"][0]) | {"name": "again/conv"}
    manifest["steps"].append(again)
    return report_from_manifest(
        manifest, samples_us=[[5.0], [4.0], [3.0]], peaks=[make_peaks()]
    )


def least_us(macs, peak, activation_bytes, weight_bytes):
    """A call, and the longer of products and bytes; the first level holds 1000 bytes."""
    rate = 200 if activation_bytes + weight_bytes <= 1000 else 100
    return 0.1 + 1e-3 * max(macs / peak, activation_bytes / rate + weight_bytes / 100)


CONV_US, SOFTMAX_US = least_us(900, 400, 1500, 300), least_us(100, 100, 600, 0)


def test_steps_are_sorted_by_what_they_could_win(report):
    assert [step.index for step, *_ in steps_by_gain(report)] == [0, 1, 2]
    gains = [found.gain_us for *_, found in steps_by_gain(report)]
    assert gains == pytest.approx([5 - CONV_US, 4 - SOFTMAX_US, 3 - CONV_US])


def test_equal_layers_win_together(report):
    convs, softmax = equal_steps_by_gain(report)
    assert convs.steps == (0, 2)
    assert convs.kernel == "conv_gemm"
    assert convs.latency_us == pytest.approx(8.0)
    assert convs.share == pytest.approx(8 / 12)
    assert convs.gmacs_per_s == pytest.approx(1800 / 8 / 1000)
    assert convs.roof_share == pytest.approx(2 * CONV_US / 8)
    assert convs.gain_us == pytest.approx(8 - 2 * CONV_US)
    assert softmax.steps == (1,)


def test_kernels_without_a_name_go_by_their_arithmetic(report):
    assert [k.kernel for k in kernels_by_gain(report)] == ["conv_gemm", "float32"]


def test_the_next_bottleneck_in_words(report):
    assert next_bottleneck(report) == (
        "next bottleneck: stem/conv and 1 more like it (conv_gemm), 66.7% of the time at 3% of"
        " their roofs (overhead): 7.76 us could be won"
    )
    assert total_gain(report) == "all steps together: 11.7 us of 12.0 us above their roofs"


def test_nothing_to_win_is_said_by_silence(manifest, make_peaks):
    done = report_from_manifest(manifest, samples_us=[[0.01], [0.01]], peaks=[make_peaks()])
    assert next_bottleneck(done) == ""
    unknown = report_from_manifest(manifest, samples_us=[[0.01], [0.01]])
    assert (next_bottleneck(unknown), total_gain(unknown)) == ("", "")
    assert steps_by_gain(unknown) == kernels_by_gain(unknown) == []


def test_peaks_in_words(make_peaks):
    assert peaks_text(make_peaks(2)) == (
        "peaks, 2 threads: int8 800, float32 200 GMAC/s; L1 400, L2 200, memory 20 GB/s;"
        " call 2.00 us"
    )
