"""A profile as one JSON document: what ``--json`` prints, and what a comparison reads."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from reprlib import repr as brief
from typing import Any

from octavo.compiler.report.bottlenecks import equal_steps_by_gain
from octavo.compiler.report.measured_steps import BY_TIME, MeasuredStep, measured_steps
from octavo.compiler.report.origin import Origin
from octavo.compiler.report.records import LatencyRecord, Report, StepRecord
from octavo.compiler.roofline.traffic import Traffic
from octavo.errors import DataError

FORMAT = "octavo-profile-1"
_MAX_BYTES = 256 << 20
_MALFORMED = (
    LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
_MAX_US = 1e15  # thirty years
_MAX_COUNT = 1 << 63
_PAGE = "report.html"  # may be replaced at any time: no part of what an artifact computes
_TIMES = ("median_us", "low_us", "high_us", "p95_us", "min_us", "max_us")


@dataclass(frozen=True)
class Profile:
    """What a comparison needs of a profile.

    Attributes:
        name: The model.
        target: What it was compiled for.
        digest: Of the artifact's files.
        origin: Where it comes from.
        num_runs: Runs behind the times.
        run: Latency of a whole run.
        steps: Kernel calls in run order.
        latencies: One for each step.
    """

    name: str
    target: str
    digest: str
    origin: Origin
    num_runs: int
    run: LatencyRecord
    steps: tuple[StepRecord, ...]
    latencies: tuple[LatencyRecord, ...]


def profile_of(report: Report, origin: Origin) -> Profile:
    """The profile in a report.

    Raises:
        ValueError: Nothing was measured.
    """
    if report.run is None:
        raise ValueError("the report has no latencies")
    return Profile(
        name=report.name,
        target=report.target,
        digest=_digest(report),
        origin=origin,
        num_runs=report.num_runs,
        run=report.run,
        steps=report.steps,
        latencies=report.latencies,
    )


def profile_document(
    report: Report, origin: Origin, conditions: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Everything that a profile found, as JSON values but for infinite numbers.

    Args:
        report: With latencies.
        origin: Where they come from.
        conditions: Further facts about the measurement, by name.
    """
    rows = measured_steps(report)
    cumulative = {row.step.index: row.cumulative for row in measured_steps(report, BY_TIME)}
    return {
        "format": FORMAT,
        "name": report.name,
        "target": report.target,
        "digest": _digest(report),
        **asdict(origin),
        **(conditions or {}),
        "runs": report.num_runs,
        "run": None if report.run is None else asdict(report.run),
        "peaks": [asdict(p) for p in report.roofline.peaks] if report.roofline else [],
        "bottlenecks": [asdict(group) for group in equal_steps_by_gain(report)],
        "steps": [_entry(row, cumulative[row.step.index]) for row in rows],
    }


def _entry(row: MeasuredStep, cumulative_by_time: float) -> dict[str, Any]:
    rates = {"gmacs_per_s": row.gmacs_per_s, "gbytes_per_s": row.gbytes_per_s}
    shares = {"cumulative": row.cumulative, "cumulative_by_time": cumulative_by_time}
    roof = asdict(row.roof) if row.roof else {}
    return asdict(row.step) | asdict(row.latency) | shares | rates | roof


def _digest(report: Report) -> str:
    lines = (f"{name} {digest}\n" for name, digest in report.files if name != _PAGE)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_profile(path: Path) -> Profile:
    """Read a document that ``profile_document`` made.

    Raises:
        DataError: The file cannot be read, or is no such document.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if len(text) > _MAX_BYTES:
        raise DataError(f"{path}: larger than {_MAX_BYTES} bytes")
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ValueError(f"format {brief(document['format'])}, readable: {FORMAT}")
        return _profile(document)
    except _MALFORMED as error:
        raise DataError(
            f"{path} is no profile ({type(error).__name__}: {error});"
            " octavo profile --save-profile writes one"
        ) from error


def _profile(document: Mapping[str, Any]) -> Profile:
    steps = tuple(_step(i, entry) for i, entry in enumerate(document["steps"]))
    return Profile(
        name=_text(document["name"]),
        target=_text(document["target"]),
        digest=_text(document["digest"]),
        origin=Origin(
            device=_text(document["device"]),
            machine=_text(document["machine"]),
            num_threads=_count(document["num_threads"]),
            inputs=_text(document["inputs"]),
            measured_at=_text(document["measured_at"]),
            notes=tuple(_text(note) for note in document["notes"]),
        ),
        num_runs=_count(document["runs"]),
        run=_latency(document["run"]),
        steps=steps,
        latencies=tuple(_latency(entry) for entry in document["steps"]),
    )


def _step(index: int, entry: Mapping[str, Any]) -> StepRecord:
    traffic = {name: _count(value) for name, value in entry["traffic"].items()}
    return StepRecord(
        index=index,
        name=_text(entry["name"]),
        op_types=tuple(_text(op) for op in entry["op_types"]),
        placement=_text(entry["placement"]),
        variant=_text(entry["variant"]),
        function=_text(entry["function"]),
        macs=_count(entry["macs"]),
        reason=_text(entry["reason"]),
        traffic=Traffic(**traffic),
        nodes=tuple(_text(node) for node in entry["nodes"]),
        schedule=_text(entry["schedule"]),
    )


def _latency(entry: Mapping[str, Any]) -> LatencyRecord:
    interval = entry["interval_us"]
    return LatencyRecord(
        **{name: _number(entry[name]) for name in _TIMES},
        share=_number(entry["share"]),
        interval_us=None if interval is None else (_number(interval[0]), _number(interval[1])),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{brief(value)} is no text")
    return value


def _number(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= _MAX_US:
        raise ValueError(f"{brief(value)} is no time or share")
    return number


def _count(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < _MAX_COUNT:
        raise ValueError(f"{brief(value)} is no count")
    return value
