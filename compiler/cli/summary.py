"""The one-screen summary of a compilation, in words."""

from collections.abc import Iterator
from pathlib import Path

from octavo.compiler.cli.selection_lines import selection_lines
from octavo.compiler.report.records import StepRecord
from octavo.compiler.report.summary import Summary
from octavo.compiler.report.units import (
    count_text,
    decibel_text,
    printable,
    size_text,
    time_text,
)

# More do not fit one screen; report.html has all of them.
NUM_FLOAT_STEPS = 8
NUM_NAMES = 4  # of the steps that share a reason


def summary_lines(summary: Summary, directory: Path) -> list[str]:
    """What was made, where it runs, what it costs and what it lost.

    Args:
        summary: The facts.
        directory: The artifact folder.

    Returns:
        Lines without line ends.
    """
    return [
        f"{printable(summary.name)} for {printable(summary.target)}",
        *_placement_lines(summary),
        *_accelerator_lines(summary),
        *_schedule_lines(summary),
        *(selection_lines(summary.selection) if summary.selection else ()),
        *_memory_lines(summary),
        *_accuracy_lines(summary),
        *_latency_lines(summary),
        f"artifact        {directory}",
    ]


def _placement_lines(summary: Summary) -> Iterator[str]:
    for p in summary.placements:
        yield (
            f"{p.placement:<15} {p.num_steps} steps ({p.steps_share:.1%}),"
            f" {count_text(p.macs)} MACs ({p.macs_share:.1%})"
        )
    if len(summary.float_steps) <= NUM_FLOAT_STEPS:
        for step in summary.float_steps:
            operators = "+".join(step.op_types)
            yield f"  in float: {printable(f'{step.name} ({operators})')}: {_reason(step)}"
        return
    by_reason: dict[str, list[str]] = {}
    for step in summary.float_steps:
        by_reason.setdefault(_reason(step), []).append(printable(step.name))
    for reason, names in by_reason.items():
        more = f" and {len(names) - NUM_NAMES} more" if len(names) > NUM_NAMES else ""
        yield f"  in float: {', '.join(names[:NUM_NAMES])}{more}: {reason}"


def _reason(step: StepRecord) -> str:
    return printable(step.reason) or "no reason recorded"


def _accelerator_lines(summary: Summary) -> Iterator[str]:
    if not summary.accelerator:
        return
    num_steps = summary.num_accelerated + len(summary.cpu_steps)
    yield f"accelerator     {summary.num_accelerated} of {num_steps} steps"
    if summary.cpu_steps:
        names = [
            printable(f"{step.name} ({'+'.join(step.op_types)})") for step in summary.cpu_steps
        ]
        rest = len(names) - NUM_FLOAT_STEPS
        more = f" and {rest} more" if rest > 0 else ""
        yield f"  on the CPU: {', '.join(names[:NUM_FLOAT_STEPS])}{more}"


def _schedule_lines(summary: Summary) -> Iterator[str]:
    if summary.num_tuned:
        yield (
            f"schedules       {summary.num_tuned} of {summary.num_scheduled} kernels tuned"
            " on this machine"
        )


def _memory_lines(summary: Summary) -> Iterator[str]:
    expanded = summary.weights_memory_bytes
    memory = f" stored, {size_text(expanded)} in memory" if expanded else ""
    yield f"weights         {size_text(summary.weights_bytes)}{memory}"
    yield (
        f"arena           {size_text(summary.arena_bytes)}"
        f" (at least {size_text(summary.arena_lower_bound_bytes)} are live at once)"
    )


def _accuracy_lines(summary: Summary) -> Iterator[str]:
    if summary.output_sqnr_db is None:
        return
    yield f"output error    {decibel_text(summary.output_sqnr_db)} signal to noise"
    worst = ", ".join(
        f"{printable(e.layer)} {decibel_text(e.sqnr_isolated_db)}"
        for e in summary.worst_layers
    )
    if worst:
        yield f"worst layers    {worst}"


def _latency_lines(summary: Summary) -> Iterator[str]:
    if summary.latency_us is not None:
        yield f"latency         {time_text(summary.latency_us)} (median)"
