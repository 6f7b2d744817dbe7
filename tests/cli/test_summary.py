from dataclasses import replace
from pathlib import Path

from octavo.compiler.cli.summary import summary_lines
from octavo.compiler.report.records import ErrorRecord, Report, StepRecord
from octavo.compiler.report.summary import summarize
from octavo.compiler.roofline.traffic import Traffic


def _step(index, name, op_types, placement, macs, reason):
    traffic = Traffic(0, 0, 0)
    return StepRecord(index, name, op_types, placement, "v", "f", macs, reason, traffic)


def make_report(num_float, reason="no integer kernel", **fields):
    steps = [_step(0, "stem", ("Conv", "Relu"), "int8", 100, "")]
    steps += [
        _step(i + 1, f"head{i}", ("Softmax",), "float32", 0, reason) for i in range(num_float)
    ]
    return Report("tiny", "host", tuple(steps), 2048, 1024, 3 << 20, **fields)


def test_each_float_step_is_listed_with_its_reason():
    lines = summary_lines(summarize(make_report(2)), Path("out"))
    assert "  in float: head0 (Softmax): no integer kernel" in lines
    assert "  in float: head1 (Softmax): no integer kernel" in lines


def test_many_float_steps_are_listed_by_reason():
    lines = summary_lines(summarize(make_report(30)), Path("out"))
    assert "  in float: head0, head1, head2, head3 and 26 more: no integer kernel" in lines
    assert len(lines) < 20


def test_costs_and_losses_are_in_the_summary():
    errors = (ErrorRecord("stem", "Conv+Relu", 31.25, 30.0),)
    report = make_report(0, errors=errors, output_sqnr_db=29.94)
    text = "\n".join(summary_lines(summarize(report), Path("out")))
    assert "int8            1 steps (100.0%), 100 MACs (100.0%)" in text
    assert "weights         3.00 MiB" in text
    assert "arena           2.00 KiB (at least 1.00 KiB are live at once)" in text
    assert "output error    29.9 dB" in text
    assert "worst layers    stem 31.2 dB" in text
    assert text.endswith("artifact        out")


def test_the_memory_of_packed_weights_is_told():
    packed = summarize(make_report(0, weights_memory_bytes=6 << 20))
    line = "weights         3.00 MiB stored, 6.00 MiB in memory"
    assert line in summary_lines(packed, Path("out"))


def test_names_cannot_steer_the_terminal():
    text = "\n".join(summary_lines(summarize(make_report(1, reason="\x1b[2J")), Path("out")))
    assert "\x1b" not in text


def test_the_summary_says_how_many_kernels_were_tuned():
    steps = tuple(
        replace(_step(i, f"conv{i}", ("Conv",), "int8", 100, ""), is_tuned=is_tuned)
        for i, is_tuned in enumerate([True, True, False, None])
    )
    tuned = replace(make_report(0), steps=steps)
    line = "schedules       2 of 3 kernels tuned on this machine"
    assert line in summary_lines(summarize(tuned), Path("out"))
    untuned = replace(tuned, steps=steps[2:])
    assert "tuned" not in "\n".join(summary_lines(summarize(untuned), Path("out")))


def test_the_summary_says_what_the_accelerator_leaves_to_the_cpu():
    report = make_report(1)
    stem, head = report.steps
    mixed = replace(
        report, accelerator="mali", steps=(replace(stem, on_accelerator=True), head))
    lines = summary_lines(summarize(mixed), Path("out"))
    assert "accelerator     1 of 2 steps" in lines
    assert "  on the CPU: head0 (Softmax)" in lines
    # Not a word less where it computes nothing at all.
    idle = summary_lines(summarize(replace(report, accelerator="mali")), Path("out"))
    assert "accelerator     0 of 2 steps" in idle
    assert "head0 (Softmax)" in "\n".join(idle)
    assert "accelerator" not in "\n".join(summary_lines(summarize(report), Path("out")))
