"""What a search measured, in words."""

from collections.abc import Mapping

from octavo.compiler.report.search_objectives import Objective
from octavo.compiler.report.search_record import Reference, SearchedPoint, SearchRecord
from octavo.compiler.report.units import count_text, size_text, time_text

MS = 1000.0  # microseconds
DIFFERENCES = {"points": 2, "dB": 1}  # units whose differences are no shares; decimals
NUM_NAMES = 5  # layers that are named of a format


def value_text(objective: Objective, value: float) -> str:
    """A value with its unit: "1.93 ms"."""
    if objective.is_exact(value):
        return "exact"
    if objective.unit in DIFFERENCES:
        return f"{_signed(value, objective.unit).removeprefix('+')} {objective.unit}"
    if objective.unit == "ms":
        return time_text(MS * value)
    if objective.unit == "B":
        return size_text(round(value))
    return f"{count_text(round(value))} {objective.unit}"


def difference_text(objective: Objective, value: float, reference: float) -> str:
    """How far a value is from another one: "-12.3%", or "+0.28 points"; "" for no telling."""
    if objective.is_exact(reference):
        return ""
    if objective.unit in DIFFERENCES:
        return f"{_signed(value - reference, objective.unit)} {objective.unit}"
    return (
        f"{_without_zero_sign(f'{100 * (value / reference - 1):+.1f}')}%" if reference else ""
    )


def _signed(value: float, unit: str) -> str:
    return _without_zero_sign(f"{value:+.{DIFFERENCES[unit]}f}")


def _without_zero_sign(text: str) -> str:
    """What is rounded to nothing has no sign."""
    return text if text.strip("+-0.") else text[1:]


def values_text(record: SearchRecord, values: Mapping[str, float]) -> str:
    """All objectives: "accuracy lost 0.28 points, latency 1.93 ms"."""
    return ", ".join(
        f"{o.title} {value_text(o, values[o.name])}"
        for o in record.objectives
        if o.name in values
    )


def against_text(record: SearchRecord, point: SearchedPoint, reference: Reference) -> str:
    """All differences from a reference."""
    pairs = [
        (o, point.objectives[o.name], reference.objectives[o.name])
        for o in record.objectives
        if o.name in reference.objectives
    ]
    texts = [(o.title, difference_text(o, *values)) for o, *values in pairs]
    return ", ".join(f"{title} {text}" for title, text in texts if text)


def counts_text(point: SearchedPoint) -> str:
    """How many layers are in which format: "9 w8a8, 5 w4a8"."""
    return ", ".join(f"{count} {name}" for name, count in point.counts().items())


def formats_text(point: SearchedPoint) -> str:
    """Which layers are in which format, but for those in the most frequent one."""
    counts = point.counts()
    parts = []
    for name, count in list(counts.items())[1:]:
        layers = [layer for layer, taken in point.formats.items() if taken == name]
        more = f" and {count - NUM_NAMES} more" if count > NUM_NAMES else ""
        parts.append(f"{name}: {', '.join(layers[:NUM_NAMES])}{more}")
    usual = next(iter(counts), "nothing to choose")
    return "; ".join([*parts, f"the others {usual}" if parts else f"all {usual}"])


def origin_text(record: SearchRecord) -> str:
    """Where latencies come from."""
    if not record.device:
        return "without a device"
    if any(o.name == "latency" and o.unit != "ms" for o in record.objectives):
        return f"counted under {record.device}, which is no time"
    return f"measured on {record.device}"


def judging_text(record: SearchRecord) -> str:
    """How many samples losses were measured on, and how fine that makes accuracy."""
    count = record.num_judging
    text = f"losses on {count} sample{'s' if count != 1 else ''}"
    if record.objectives[0].name == "drop" and count:
        text += f", one of which is {100 / count:.2g} points"
    return text


def limits_text(record: SearchRecord) -> str:
    """The limits: "accuracy lost 0.50 points, latency 3.00 ms"; "" for none."""
    return values_text(record, record.limits)


def nearest_text(record: SearchRecord) -> str:
    """The least measured value of each objective that has a limit; "" without any."""
    points = record.front or record.measured
    parts = []
    for objective in record.objectives if points else ():
        if objective.name in record.limits:
            least = min(points, key=lambda point: point.objectives[objective.name])
            text = value_text(objective, least.objectives[objective.name])
            parts.append(f"{objective.title} {text} (#{least.id})")
    return ", ".join(parts)


def refusals(record: SearchRecord) -> list[str]:
    """What cannot be taken, and why, in sentences without their ends."""
    found = []
    by_error: dict[str, list[int]] = {}
    for point in record.failed:
        by_error.setdefault(point.error, []).append(point.id)
    for error, ids in by_error.items():
        found.append(f"{numbered(len(ids), 'point')} failed: {error}")
    missed = [(p, record.missed_limits(p)) for p in record.front if not p.meets_limits]
    for objective in record.objectives:
        over = [p for p, objectives in missed if objective in objectives]
        if not over:
            continue
        limit = value_text(objective, record.limits[objective.name])
        found.append(
            f"{numbered(len(over), 'point')} of the front above the limit of {limit} for"
            f" {objective.title}"
        )
    return found


def numbered(count: int, noun: str) -> str:
    """A count of something: "1 point", "2 points"."""
    return f"{count} {noun}{'s' if count > 1 else ''}"
