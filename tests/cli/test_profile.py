"""profile and doctor --peaks: what they print, for people and for programs."""

import dataclasses
import json

import numpy as np
import pytest

from octavo.compiler.cli import steps_table as steps
from octavo.compiler.cli.fitting_table import NAME_COLUMNS
from octavo.compiler.report.manifest import report_from_manifest
from octavo.compiler.report.measured_steps import measured_steps
from octavo.compiler.report.units import shorten
from octavo.errors import DeviceError

LAYER = "/model/features/stage3/block11/attention/projection/Conv + Relu"
NAMES = ("image_quantize", LAYER, LAYER.replace("11", "12"), "logits.dequantize")

# 1,000,000 products take 2.5 us at 400 a nanosecond, and a call 0.1: 65% of 4.0 us.
ROOMY = """\
#  step                                      kernel                   p50      p95  share \
 cum.  GMAC/s  GB/s  roof  bound by
1  …lock11/attention/projection/Conv + Relu  conv_gemm.avx2.6x16  4.00 us  4.00 us  57.1%  \
 57%     250   0.8   65%  compute
2  …lock12/attention/projection/Conv + Relu  conv_gemm.avx2.6x16  2.00 us  2.00 us  28.6%  \
 86%     500   1.5  130%  compute
0  image_quantize                            move.quantize        0.90 us  0.90 us  12.9%  \
 99%           1.7   13%  overhead
3  logits.dequantize                         move.dequantize      0.10 us  0.10 us   1.4% \
 100%          20.0  120%  overhead
"""
NARROW = """\
#  step                                          p50      p95  share  cum.  GMAC/s  GB/s  roof\
  bound by
1  …lock11/attention/projection/Conv + Relu  4.00 us  4.00 us  57.1%   57%     250   0.8   65%\
  compute
   conv_gemm.avx2.6x16
2  …lock12/attention/projection/Conv + Relu  2.00 us  2.00 us  28.6%   86%     500   1.5  130%\
  compute
   conv_gemm.avx2.6x16
0  image_quantize                            0.90 us  0.90 us  12.9%   99%           1.7   13%\
  overhead
   move.quantize
3  logits.dequantize                         0.10 us  0.10 us   1.4%  100%          20.0  120%\
  overhead
   move.dequantize
"""


@pytest.fixture
def report(make_peaks):
    def step(name, macs, variant, read_bytes):
        return {
            "name": name, "kernel": variant, "op_types": ["Conv"], "placement": "int8",
            "variant": variant, "macs": macs, "read_bytes": read_bytes, "weight_bytes": 1000,
            "written_bytes": 500,
        }  # fmt: skip

    manifest = {
        "name": "tiny",
        "target": "host",
        "steps": [
            step(NAMES[0], 0, "move.quantize", 0),
            step(NAMES[1], 1_000_000, "conv_gemm.avx2.6x16", 1500),
            step(NAMES[2], 1_000_000, "conv_gemm.avx2.6x16", 1500),
            step(NAMES[3], 0, "move.dequantize", 500),
        ],
        "memory": {"arena_bytes": 9000, "lower_bound_bytes": 0, "weights_bytes": 900},
    }
    samples_us = [[0.9], [4.0], [2.0], [0.1]]
    return report_from_manifest(manifest, samples_us=samples_us, peaks=[make_peaks()])


def printed(table, width):
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(table)
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def steps_table(report, *, order="time", is_wide=False):
    return steps.steps_table(measured_steps(report, order), is_wide=is_wide)


def test_one_line_for_each_step_where_there_is_room(report):
    text = printed(steps_table(report), 140)
    assert text == ROOMY
    assert printed(steps_table(report), 130) == ROOMY


def test_kernels_go_below_the_names_where_there_is_less(report):
    text = printed(steps_table(report), 106)
    assert text == NARROW
    assert max(map(len, text.splitlines())) <= 106


def test_on_a_narrow_terminal_names_break_and_numbers_stay(report):
    lines = printed(steps_table(report), 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(lines[0].split()) == "# step p50 p95 share cum. GMAC/s GB/s roof"
    assert lines[1].endswith("4.00 us  4.00 us  57.1%   57%     250   0.8   65%")
    before_numbers = lines[1].index("4.00 us")
    names = "".join(line[3:before_numbers].strip() for line in lines[1:3])
    assert names.replace(" ", "") == shorten(LAYER, NAME_COLUMNS).replace(" ", "")
    assert lines[3].strip() == "conv_gemm.avx2.6x16"


def test_steps_come_by_time_or_in_run_order(report):
    def first_columns(order):
        lines = printed(steps_table(report, order=order), 140).splitlines()
        return [line.split()[0] for line in lines[1:]]

    assert first_columns("time") == ["1", "2", "0", "3"]
    assert first_columns("order") == ["0", "1", "2", "3"]


def test_the_wide_table_has_whole_names_and_the_work(report):
    lines = printed(steps_table(report, order="order", is_wide=True), 220).splitlines()
    assert all(name in line for name, line in zip(NAMES, lines[1:], strict=True))
    assert "conv_gemm.avx2.6x16  int8        1.00 M  2.93 KiB" in lines[2]


def test_profile_prints_the_next_bottleneck(octavo, model, samples, tmp_path, make_peaks):
    artifact = tmp_path / "out"
    command = ["compile", model, "--target", "host", "--data", samples, "-o", artifact]
    assert octavo(*command).code == 0
    lines = octavo("profile", artifact, "--runs", 3).out.splitlines()
    peaks = [i for i, line in enumerate(lines) if line.startswith("peaks, 1 thread: int8 400")]
    assert len(peaks) == 1
    assert lines[peaks[0] + 1].startswith("all steps together: ")
    assert lines[peaks[0] + 2].startswith("next bottleneck: ")

    payload = octavo("profile", artifact, "--runs", 3, "--num-threads", 2, "--json").json
    assert [p["num_threads"] for p in payload["peaks"]] == [1, 2]
    known = dataclasses.replace(make_peaks(), call_us=0.0)
    assert payload["peaks"][0] == json.loads(json.dumps(dataclasses.asdict(known)))
    numbers = {
        "num_bytes", "macs_per_byte", "gmacs_per_s", "gbytes_per_s", "peak_share", "roof_us",
        "roof_share", "gain_us", "median_us", "share", "macs",
    }  # fmt: skip
    for step in payload["steps"]:
        assert all(np.isfinite(step[name]) for name in numbers)
        assert step["bound_by"] in ("compute", "overhead", "L1", "L2", "memory")
        assert set(step["traffic"]) == {"read_bytes", "weight_bytes", "written_bytes"}
    groups = payload["bottlenecks"]
    assert sorted(i for g in groups for i in g["steps"]) == list(range(len(payload["steps"])))
    assert [g["gain_us"] for g in groups] == sorted(
        (g["gain_us"] for g in groups), reverse=True
    )

    plain = octavo("profile", artifact, "--runs", 3, "--no-roofline")
    assert "peaks" not in plain.out
    assert "cum." in plain.out
    assert (
        octavo("profile", artifact, "--runs", 3, "--no-roofline", "--json").json["peaks"] == []
    )


def test_without_peaks_there_are_times_and_a_warning(
    octavo, model, samples, tmp_path, monkeypatch
):
    def fail(*_):
        raise DeviceError("measuring the machine's peaks failed: gone")

    artifact = tmp_path / "out"
    command = ["compile", model, "--target", "host", "--data", samples, "-o", artifact]
    assert octavo(*command).code == 0
    monkeypatch.setattr("octavo.compiler.roofline.artifact_peaks.find_peaks", fail)
    outcome = octavo("profile", artifact, "--runs", 3)
    assert outcome.code == 0
    assert "warning: no roofline: measuring the machine's peaks failed: gone" in outcome.err
    assert "cum." in outcome.out


def test_doctor_shows_peaks_with_their_spread(octavo, monkeypatch, make_peaks):
    from octavo.compiler.doctor import Check, Status

    monkeypatch.setattr(
        "octavo.compiler.doctor.run_checks", lambda: [Check("python", Status.OK, "3")]
    )
    monkeypatch.setattr(
        "octavo.compiler.roofline.measure.find_peaks",
        lambda _target, num_threads, *, again: make_peaks(num_threads),
    )
    text = octavo("doctor", "--peaks").out
    assert "int8, GMAC/s" in text
    assert "an empty call" in text
    payload = octavo("doctor", "--peaks", "--json").json
    assert payload["peaks"][0]["int8"] == {"best": 400.0, "median": 400.0}
    assert "peaks" not in octavo("doctor", "--json").json
