"""``octavo profile --device qemu``: counted work of each step, which is no time."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from octavo.compiler.cli.console import Console, to_json_value
from octavo.compiler.cli.fitting_table import Column, FittingTable, Named
from octavo.compiler.cli.profile_output import ProfileOutput
from octavo.compiler.counting.counts import CountedRun, Counts
from octavo.compiler.report.measured_steps import BY_ORDER
from octavo.compiler.report.records import Report, StepRecord
from octavo.compiler.report.units import count_text

NUM_LARGEST = 15  # rows without -v


@dataclass(frozen=True)
class _Row:
    """A step, what it executed, and its part of one inference, alone and with those above."""

    step: StepRecord
    counts: Counts
    share: float
    cumulative: float


_STEP = Named[_Row](
    header="step",
    name=lambda row: row.step.name,
    detail_header="kernel",
    detail=lambda row: row.step.variant,
    number=lambda row: row.step.index,
)


def profile_counts(
    console: Console, artifact: Path, input_file: Path | None, output: ProfileOutput
) -> None:
    """Count the steps of an artifact under its target's emulator, and show them.

    Args:
        console: Where they are printed.
        artifact: The artifact's folder.
        input_file: The inputs; zeros when None.
        output: The order of the table, and a page that shows them too.
    """
    from octavo.compiler.artifact.manifest import read_manifest, verify_files
    from octavo.compiler.cli.report_page import write_page
    from octavo.compiler.cli.tensors import read_tensors
    from octavo.compiler.counting.steps import count_steps
    from octavo.compiler.devices.inference import input_names
    from octavo.compiler.devices.qemu import manifest_target
    from octavo.compiler.example_inputs import examples_note
    from octavo.compiler.report.manifest import report_from_manifest

    manifest = read_manifest(artifact)
    verify_files(artifact, manifest)
    facts = report_from_manifest(manifest)
    inputs = None
    if input_file is None:
        console.note(examples_note(manifest))
    else:
        inputs = read_tensors(input_file, input_names(artifact))
    counted = count_steps(artifact, manifest, manifest_target(manifest), inputs)
    if output.report is not None:
        write_page(replace(facts, counted=counted), artifact, output.report)
    in_order = output.sort == BY_ORDER
    is_wide = console.verbosity > 0
    limit = None if is_wide or in_order else NUM_LARGEST
    console.result(
        _payload(facts, counted),
        counts_table(facts, counted, limit=limit, in_order=in_order, is_wide=is_wide),
        total_line(facts, counted),
        f"counted by {counted.emulator}: how long they take depends on the device",
    )


def _payload(facts: Report, counted: CountedRun) -> dict[str, Any]:
    total = counted.total
    steps = [
        to_json_value(step) | to_json_value(counts) | _relative(step, counts, total)
        for step, counts in zip(facts.steps, counted.steps, strict=True)
    ]
    return {
        "device": "qemu",
        "emulator": counted.emulator,
        "unit": counted.unit,
        "num_threads": 1,
        "total": total,
        "runtime": counted.runtime,
        "steps": steps,
    }


def _relative(step: StepRecord, counts: Counts, total: Counts) -> dict[str, Any]:
    return {
        "share": counts.instructions / total.instructions,
        "instructions_per_mac": counts.instructions / step.macs if step.macs else None,
    }


def counts_table(
    facts: Report, counted: CountedRun, *, limit: int | None, in_order: bool, is_wide: bool
) -> "FittingTable[_Row]":
    """Steps by instructions, most first.

    Args:
        facts: Says what the steps are.
        counted: One record for each of them.
        limit: Rows; None for all of them.
        in_order: As they run instead.
        is_wide: With whole names.
    """
    rows = list(zip(facts.steps, counted.steps, strict=True))
    if not in_order:
        rows.sort(key=lambda row: (-row[1].instructions, row[0].index))
    total, so_far, counted_rows = counted.total.instructions, 0, []
    for step, counts in rows[:limit]:
        so_far += counts.instructions
        share, cumulative = counts.instructions / total, so_far / total
        counted_rows.append(_Row(step, counts, share, cumulative))
    numbers: tuple[Column[_Row], ...] = (
        Column("MACs", lambda row: count_text(row.step.macs)),
        Column(counted.unit, lambda row: count_text(row.counts.instructions)),
        Column("share", lambda row: f"{row.share:.1%}"),
        Column("cum.", lambda row: f"{row.cumulative:.0%}"),
        Column("per MAC", lambda row: _per_mac_text(row.step, row.counts)),
    )
    accesses: tuple[Column[_Row], ...] = (
        Column("loads", lambda row: count_text(row.counts.loads)),
        Column("stores", lambda row: count_text(row.counts.stores)),
    )
    layouts = ((*numbers, *accesses), numbers)
    return FittingTable(counted_rows, _STEP, layouts, is_wide=is_wide)


def _per_mac_text(step: StepRecord, counts: Counts) -> str:
    return f"{counts.instructions / step.macs:.3f}" if step.macs else ""


def total_line(facts: Report, counted: CountedRun) -> str:
    """All steps and the runtime together."""
    total, macs = counted.total, sum(step.macs for step in facts.steps)
    per_mac = f", {total.instructions / macs:.3f} per MAC" if macs else ""
    return (
        f"one inference: {count_text(total.instructions)} {counted.unit}{per_mac},"
        f" {count_text(total.loads)} loads, {count_text(total.stores)} stores;"
        f" between the steps {count_text(counted.runtime.instructions)} {counted.unit}"
    )
