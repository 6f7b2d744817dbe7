"""What operator selection chose and rejected, in words."""

from collections.abc import Iterator, Sequence

from octavo.compiler.report.selection import (
    MeasuredProgram,
    SelectedLayer,
    Selection,
    SelectionOption,
)
from octavo.compiler.report.units import added_text, printable, time_text

NUM_LAYERS = 8  # more do not fit one screen; report.html has all of them
NUM_REJECTED = 3  # of a layer


def selection_lines(selection: Selection) -> Iterator[str]:
    """The programs that were measured, what the layers take, and what was rejected."""
    threads = f"{selection.num_threads} thread{'s' if selection.num_threads > 1 else ''}"
    yield (
        f"selection       {_program(selection.chosen)}, measured on"
        f" {printable(selection.device)} with {threads}"
    )
    others = [program for program in selection.programs if not program.is_chosen]
    yield from _programs("  rejected programs: ", others, selection.chosen)
    counts = ", ".join(f"{count} {printable(n)}" for n, count in selection.counts.items())
    if counts:
        yield f"  layers: {counts}{_conversions(selection)}"
    changed = selection.changed_layers
    for layer in changed[:NUM_LAYERS]:
        yield f"  {_layer(layer)}"
    if len(changed) > NUM_LAYERS:
        yield f"  and {len(changed) - NUM_LAYERS} layers more; report.html has all"


def _program(program: MeasuredProgram) -> str:
    if program.latency_us is None:
        return f"{printable(program.name)} failed ({printable(program.failure)})"
    text = f"{printable(program.name)} {time_text(program.latency_us)}"
    if program.interval_us is None:
        return text
    low, high = map(time_text, program.interval_us)
    return f"{text} ({low} to {high})"


def _programs(
    label: str, programs: Sequence[MeasuredProgram], chosen: MeasuredProgram
) -> Iterator[str]:
    if programs:
        yield label + ", ".join(f"{_program(p)}{_more(p, chosen)}" for p in programs)


def _more(program: MeasuredProgram, chosen: MeasuredProgram) -> str:
    if program.latency_us is None or not chosen.latency_us:
        return ""
    return f" {program.latency_us / chosen.latency_us - 1:+.1%}"


def _conversions(selection: Selection) -> str:
    found = selection.conversions
    if not found:
        return ""
    total_us = sum(conversion.latency_us or 0.0 for conversion in found)
    return f"; {len(found)} conversion{'s' if len(found) > 1 else ''} ({time_text(total_us)})"


def _layer(layer: SelectedLayer) -> str:
    assert layer.chosen is not None
    rejected = ", ".join(_rejected(o, layer.chosen) for o in layer.rejected[:NUM_REJECTED])
    more = len(layer.rejected) - NUM_REJECTED
    rest = f" and {more} more" if more > 0 else ""
    against = f"; rejected {rejected}{rest}" if rejected else ""
    name, chosen = printable(layer.name), layer.chosen
    return f"{name} takes {printable(chosen.candidate)}{_cost(chosen)}{against}"


def _cost(option: SelectionOption) -> str:
    return "" if option.latency_us is None else f", {time_text(option.latency_us)}"


def _rejected(option: SelectionOption, chosen: SelectionOption) -> str:
    name = printable(option.candidate)
    if option.latency_us is None or chosen.latency_us is None:
        return name
    # A layer alone may be cheaper: the conversions around it decide.
    return f"{name} ({added_text(option.latency_us - chosen.latency_us)})"
