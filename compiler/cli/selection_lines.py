"""What operator selection chose and rejected, in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from octavo.compiler.report.selection import (
    MeasuredProgram,
    SelectedLayer,
    Selection,
    SelectionOption,
)
from octavo.compiler.report.units import printable

NUM_LAYERS = 8  # more do not fit one screen; report.html has all of them
NUM_REJECTED = 3  # of a layer


def selection_lines(selection: Selection) -> Iterator[str]:
    """The programs that were measured, what the layers take, and what was rejected."""
    return _Lines(selection).lines()


@dataclass(frozen=True)
class _Lines:
    selection: Selection

    def lines(self) -> Iterator[str]:
        selection = self.selection
        yield f"selection       {self._program(selection.chosen)}, {self._origin()}"
        others = [program for program in selection.programs if not program.is_chosen]
        yield from self._programs("  rejected programs: ", others)
        names = selection.counts.items()
        counts = ", ".join(f"{count} {printable(name)}" for name, count in names)
        if counts:
            yield f"  layers: {counts}{self._conversions()}"
        changed = selection.changed_layers
        for layer in changed[:NUM_LAYERS]:
            yield f"  {self._layer(layer)}"
        if len(changed) > NUM_LAYERS:
            yield f"  and {len(changed) - NUM_LAYERS} layers more; report.html has all"

    def _origin(self) -> str:
        device, count = printable(self.selection.device), self.selection.num_threads
        if self.selection.is_counted:
            return f"counted under {device}, which is no time"
        return f"measured on {device} with {count} thread{'s' if count > 1 else ''}"

    def _program(self, program: MeasuredProgram) -> str:
        if program.cost is None:
            return f"{printable(program.name)} failed ({printable(program.failure)})"
        text = f"{printable(program.name)} {self.selection.text(program.cost)}"
        if program.interval is None:
            return text
        low, high = map(self.selection.text, program.interval)
        return f"{text} ({low} to {high})"

    def _programs(self, label: str, programs: Sequence[MeasuredProgram]) -> Iterator[str]:
        if programs:
            yield label + ", ".join(f"{self._program(p)}{self._more(p)}" for p in programs)

    def _more(self, program: MeasuredProgram) -> str:
        chosen = self.selection.chosen
        if program.cost is None or not chosen.cost:
            return ""
        return f" {program.cost / chosen.cost - 1:+.1%}"

    def _conversions(self) -> str:
        found = self.selection.conversions
        if not found:
            return ""
        total = self.selection.text(sum(conversion.cost or 0.0 for conversion in found))
        return f"; {len(found)} conversion{'s' if len(found) > 1 else ''} ({total})"

    def _layer(self, layer: SelectedLayer) -> str:
        chosen = layer.chosen
        assert chosen is not None
        rejected = ", ".join(self._rejected(o, chosen) for o in layer.rejected[:NUM_REJECTED])
        more = len(layer.rejected) - NUM_REJECTED
        rest = f" and {more} more" if more > 0 else ""
        against = f"; rejected {rejected}{rest}" if rejected else ""
        cost = "" if chosen.cost is None else f", {self.selection.text(chosen.cost)}"
        return f"{printable(layer.name)} takes {printable(chosen.candidate)}{cost}{against}"

    def _rejected(self, option: SelectionOption, chosen: SelectionOption) -> str:
        name = printable(option.candidate)
        if option.cost is None or chosen.cost is None:
            return name
        # A layer alone may be cheaper: the conversions around it decide.
        return f"{name} ({self.selection.added(option.cost - chosen.cost)})"
