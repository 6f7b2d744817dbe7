"""What a search found, in words."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from octavo.compiler.cli.ablation_lines import ablation_lines
from octavo.compiler.report.search_document import search_record
from octavo.compiler.report.search_record import SearchedPoint, SearchRecord
from octavo.compiler.report.search_text import (
    against_text,
    counts_text,
    difference_text,
    formats_text,
    judging_text,
    limits_text,
    nearest_text,
    numbered,
    origin_text,
    refusals,
    value_text,
    values_text,
)
from octavo.compiler.report.units import printable

NUM_FRONT = 12  # more do not fit one screen; report.html has all of them
UNIFORM = "w8a8"  # what the table compares with, where it was measured
REPORT = "report.html"


def search_lines(record: Mapping[str, Any], directory: Path) -> list[str]:
    """What was chosen, what it costs against float and INT8, the front, what was refused.

    Args:
        record: The content of ``search.json``.
        directory: Where the search keeps it, with its artifacts.

    Returns:
        Lines without line ends.

    Raises:
        DataError: The record is malformed.
    """
    found = search_record(record)
    return [
        f"{printable(found.model)} for {printable(found.target)}",
        f"search          {_effort(found)}",
        *_chosen_lines(found),
        *(f"why not better  {printable(line)}" for line in found.why_not_better),
        *_front_lines(found),
        *ablation_lines(record),
        *(f"refused         {printable(line)}" for line in refusals(found)),
        *(f"note            {printable(line)}" for line in found.notes),
        *([f"artifact        {directory / found.best.artifact}"] if found.best else []),
        f"report          {directory / REPORT}",
    ]


def _effort(record: SearchRecord) -> str:
    num_failed = len(record.failed)
    failed = f", {num_failed} failed" if num_failed else ""
    return (
        f"{printable(record.solver)}, seed {record.seed}: {len(record.points)} of"
        f" {record.budget} evaluations{failed}; {printable(origin_text(record))};"
        f" {judging_text(record)}"
    )


def _chosen_lines(record: SearchRecord) -> Iterator[str]:
    limits = limits_text(record)
    best = record.best
    if best is None:
        why = f"no point meets the limits ({limits})" if limits else "there is no front"
        yield f"chosen          nothing: {why}"
        if nearest := nearest_text(record):
            yield f"  least of each that was measured: {nearest}"
        return
    yield f"chosen          #{best.id}: {values_text(record, best.objectives)}"
    for reference in record.references:
        differences = against_text(record, best, reference)
        if differences:
            yield f"  against {printable(reference.name)}: {differences}"
    if limits:
        yield f"  within the limits: {limits}"
    yield f"  formats: {printable(formats_text(best))}"


def _front_lines(record: SearchRecord) -> Iterator[str]:
    shown = _shown(record)
    more = len(record.front) - len(shown)
    if not shown:
        return
    count = numbered(len(record.front), "point")
    rest = f"; {len(shown)} of them, the report has all" if more else ""
    yield f"front           {count} (* chosen, ! above a limit){rest}"
    uniform = next((r for r in record.references if r.name == UNIFORM), None)
    rows = [["", *_headers(record, uniform is not None), "layers"]]
    for point in shown:
        cells = []
        for objective in record.objectives:
            value = point.objectives[objective.name]
            cells.append(value_text(objective, value))
            if uniform is not None:
                known = uniform.objectives.get(objective.name)
                cells.append("" if known is None else difference_text(objective, value, known))
        rows.append([_name(record, point), *cells, printable(counts_text(point))])
    yield from _aligned(rows)


def _headers(record: SearchRecord, is_compared: bool) -> Iterator[str]:
    for objective in record.objectives:
        yield objective.title
        if is_compared:
            yield f"vs {UNIFORM}"


def _shown(record: SearchRecord) -> Sequence[SearchedPoint]:
    """A few of the front: those within the limits before others, in its order."""
    ranked = sorted(record.front, key=lambda p: (not p.meets_limits, record.front.index(p)))
    kept = {p.id for p in ranked[:NUM_FRONT]}
    return [p for p in record.front if p.id in kept]


def _name(record: SearchRecord, point: SearchedPoint) -> str:
    is_chosen = record.best is not None and record.best.id == point.id
    mark = "*" if is_chosen else "" if point.meets_limits else "!"
    return f"{mark}#{point.id}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns to the right, but for the last one."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [text.rjust(width) for text, width in zip(row[:-1], widths, strict=False)]
        yield "  " + "  ".join([*cells, row[-1]]).rstrip()
