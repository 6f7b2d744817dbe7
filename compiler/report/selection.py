"""What operator selection measured and chose, from ``manifest.json``."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The candidate that a compilation without a device takes everywhere, and its placement.
DEFAULT = "int8"


@dataclass(frozen=True)
class SelectionOption:
    """A way to compute a layer.

    Attributes:
        candidate: What it is called: "int8", "float32", "int8 winograd".
        placement: Its arithmetic.
        variant: Its kernels.
        latency_us: Measured; None where it could not be.
    """

    candidate: str
    placement: str
    variant: str
    latency_us: float | None


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
    def gain_us(self) -> float:
        """What the layer alone takes less than by default; 0 where that is not known."""
        default = next((o for o in self.rejected if o.candidate == DEFAULT), None)
        times = [None if o is None else o.latency_us for o in (default, self.chosen)]
        return 0.0 if times[0] is None or times[1] is None else times[0] - times[1]


@dataclass(frozen=True)
class MeasuredProgram:
    """A program that was measured.

    Attributes:
        name: What it is called.
        latency_us: Median of a whole run, microseconds; None where it failed.
        interval_us: Of the median, with 95% confidence; None with too few rounds.
        failure: Why it has no latency; "" where it has one.
        is_chosen: It is the artifact.
    """

    name: str
    latency_us: float | None
    interval_us: tuple[float, float] | None
    failure: str
    is_chosen: bool


@dataclass(frozen=True)
class SelectedConversion:
    """Numbers that change their arithmetic between two layers.

    Attributes:
        tensor: Their name.
        kind: "quantize" or "dequantize".
        latency_us: What it costs.
    """

    tensor: str
    kind: str
    latency_us: float | None


@dataclass(frozen=True)
class Selection:
    """A selection.

    Attributes:
        device: That measured.
        num_threads: That ran.
        programs: Measured side by side in the end, by time; one of them is chosen.
        candidates: Programs with one candidate for all layers, as measured first, by time.
        layers: In the order of the model.
        conversions: Between layers of different arithmetic.
    """

    device: str
    num_threads: int
    programs: tuple[MeasuredProgram, ...]
    candidates: tuple[MeasuredProgram, ...]
    layers: tuple[SelectedLayer, ...]
    conversions: tuple[SelectedConversion, ...]

    @property
    def chosen(self) -> MeasuredProgram:
        """The program that the artifact is."""
        return next(program for program in self.programs if program.is_chosen)

    @property
    def changed_layers(self) -> tuple[SelectedLayer, ...]:
        """Layers that take something else than by default: those in float, then by gain."""
        changed = [row for row in self.layers if row.chosen and not row.is_by_default]
        return tuple(sorted(changed, key=lambda row: (not row.is_float, -row.gain_us)))

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
        programs=tuple(sorted(programs, key=_rank)),
        candidates=tuple(sorted((_program(c, "") for c in record["candidates"]), key=_rank)),
        layers=tuple(_layer(entry) for entry in record["layers"]),
        conversions=tuple(
            SelectedConversion(str(c["tensor"]), str(c["kind"]), _time(c["latency_us"]))
            for c in record["conversions"]
        ),
    )


def _program(entry: Mapping[str, Any], chosen: str) -> MeasuredProgram:
    interval = entry["interval_us"]
    return MeasuredProgram(
        name=str(entry["name"]),
        latency_us=_time(entry["latency_us"]),
        interval_us=None if interval is None else (float(interval[0]), float(interval[1])),
        failure=str(entry["failure"]),
        is_chosen=str(entry["name"]) == chosen,
    )


def _rank(program: MeasuredProgram) -> tuple[bool, float]:
    return program.latency_us is None, program.latency_us or 0.0


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
        latency_us=_time(entry["latency_us"]),
    )


def _time(value: Any) -> float | None:
    return None if value is None else float(value)
