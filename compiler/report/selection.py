"""What operator selection measured and chose, from ``manifest.json``."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from octavo.compiler.report.units import MICROSECONDS, added_cost_text, cost_text

# The candidate that a compilation without a device takes everywhere, and its placement.
DEFAULT = "int8"


@dataclass(frozen=True)
class SelectionOption:
    """A way to compute a layer.

    Attributes:
        candidate: What it is called: "int8", "float32", "int8 winograd".
        placement: Its arithmetic.
        variant: Its kernels.
        cost: Measured; None where it could not be.
    """

    candidate: str
    placement: str
    variant: str
    cost: float | None


@dataclass(frozen=True)
class SelectedLayer:
    """A layer and the ways to compute it.

    Attributes:
        name: The layer.
        op_types: Its ONNX operators.
        chosen: What it takes; None where a whole other program was faster.
        rejected: The others, cheapest first.
    """

    name: str
    op_types: tuple[str, ...]
    chosen: SelectionOption | None
    rejected: tuple[SelectionOption, ...]

    @property
    def is_by_default(self) -> bool:
        """Whether it takes what it would have taken without a measurement."""
        return self.chosen is not None and self.chosen.candidate == DEFAULT

    @property
    def is_float(self) -> bool:
        """Whether it was taken out of the integers."""
        return self.chosen is not None and self.chosen.placement != DEFAULT

    @property
    def gain(self) -> float:
        """What the layer alone takes less than by default; 0 where that is not known."""
        default = next((o for o in self.rejected if o.candidate == DEFAULT), None)
        times = [None if o is None else o.cost for o in (default, self.chosen)]
        return 0.0 if times[0] is None or times[1] is None else times[0] - times[1]


@dataclass(frozen=True)
class MeasuredProgram:
    """A program that was measured.

    Attributes:
        name: What it is called.
        cost: Of a whole run: its median time, or its count; None where it failed.
        interval: Of the median, with 95% confidence; None with too few rounds.
        failure: Why it has no latency; "" where it has one.
        is_chosen: It is the artifact.
    """

    name: str
    cost: float | None
    interval: tuple[float, float] | None
    failure: str
    is_chosen: bool


@dataclass(frozen=True)
class SelectedConversion:
    """Numbers that change their arithmetic between two layers.

    Attributes:
        tensor: Their name.
        kind: "quantize" or "dequantize".
        cost: What it costs.
    """

    tensor: str
    kind: str
    cost: float | None


@dataclass(frozen=True)
class Selection:
    """A selection.

    Attributes:
        device: That measured.
        num_threads: That ran.
        unit: Of every cost: "us", or what an emulator counts.
        programs: Measured side by side in the end, by time; one of them is chosen.
        candidates: Programs with one candidate for all layers, as measured first, by time.
        layers: In the order of the model.
        conversions: Between layers of different arithmetic.
    """

    device: str
    num_threads: int
    unit: str
    programs: tuple[MeasuredProgram, ...]
    candidates: tuple[MeasuredProgram, ...]
    layers: tuple[SelectedLayer, ...]
    conversions: tuple[SelectedConversion, ...]

    @property
    def is_counted(self) -> bool:
        """Whether an emulator counted instead of a device measuring."""
        return self.unit != MICROSECONDS

    def text(self, cost: float) -> str:
        """A cost with its unit."""
        return cost_text(cost, self.unit)

    def added(self, cost: float) -> str:
        """A difference of costs."""
        return added_cost_text(cost, self.unit)

    @property
    def chosen(self) -> MeasuredProgram:
        """The program that the artifact is."""
        return next(program for program in self.programs if program.is_chosen)

    @property
    def changed_layers(self) -> tuple[SelectedLayer, ...]:
        """Layers that take something else than by default: those in float, then by gain."""
        changed = [row for row in self.layers if row.chosen and not row.is_by_default]
        return tuple(sorted(changed, key=lambda row: (not row.is_float, -row.gain)))

    @property
    def counts(self) -> dict[str, int]:
        """Layers by what they take, the most first."""
        names = Counter(layer.chosen.candidate for layer in self.layers if layer.chosen)
        return dict(names.most_common())


def selection_from_manifest(manifest: Mapping[str, Any]) -> Selection | None:
    """The selection of an artifact; None where nothing was selected.

    Raises:
        KeyError, TypeError, ValueError: The entry is of the wrong kind.
    """
    record = manifest.get("metadata", {}).get("selection")
    if record is None:
        return None
    chosen = str(record["chosen"])
    programs = tuple(_program(entry, chosen) for entry in record["programs"])
    if not any(program.is_chosen for program in programs):
        raise ValueError(f"the selection has no program {chosen!r}")
    return Selection(
        device=str(record["device"]),
        num_threads=int(record["num_threads"]),
        unit=str(record["unit"]),
        programs=tuple(sorted(programs, key=_rank)),
        candidates=tuple(sorted((_program(c, "") for c in record["candidates"]), key=_rank)),
        layers=tuple(_layer(entry) for entry in record["layers"]),
        conversions=tuple(
            SelectedConversion(str(c["tensor"]), str(c["kind"]), _time(c["cost"]))
            for c in record["conversions"]
        ),
    )


def _program(entry: Mapping[str, Any], chosen: str) -> MeasuredProgram:
    interval = entry["interval"]
    return MeasuredProgram(
        name=str(entry["name"]),
        cost=_time(entry["cost"]),
        interval=None if interval is None else (float(interval[0]), float(interval[1])),
        failure=str(entry["failure"]),
        is_chosen=str(entry["name"]) == chosen,
    )


def _rank(program: MeasuredProgram) -> tuple[bool, float]:
    return program.cost is None, program.cost or 0.0


def _layer(entry: Mapping[str, Any]) -> SelectedLayer:
    chosen = entry["chosen"]
    return SelectedLayer(
        name=str(entry["name"]),
        op_types=tuple(str(op) for op in entry["op_types"]),
        chosen=None if chosen is None else _option(chosen),
        rejected=tuple(_option(option) for option in entry["rejected"]),
    )


def _option(entry: Mapping[str, Any]) -> SelectionOption:
    return SelectionOption(
        candidate=str(entry["candidate"]),
        placement=str(entry["placement"]),
        variant=str(entry["variant"]),
        cost=_time(entry["cost"]),
    )


def _time(value: Any) -> float | None:
    return None if value is None else float(value)
