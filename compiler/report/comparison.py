"""Two profiles side by side: what has become faster, what slower, and what is only noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from octavo.compiler.report.layer_groups import LayerGroup, layer_groups
from octavo.compiler.report.profile_document import Profile
from octavo.compiler.report.records import LatencyRecord, StepRecord

if TYPE_CHECKING:
    from octavo.compiler.report.turns import Turns

NOISE = 0.05  # of a median: profiles of one artifact, minutes apart, differ by so much
BEFORE, AFTER = "before", "after"  # how warnings say which profile they are about
CLOCK_US = 0.05  # that calls of the clock take on x86; elsewhere it ticks more coarsely


class Verdict(StrEnum):
    """What a difference means."""

    FASTER = "faster"
    SLOWER = "slower"
    NOISE = "within noise"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True)
class Span:
    """A time and where it may really be, microseconds."""

    latency_us: float
    low_us: float
    high_us: float


@dataclass(frozen=True)
class LayerChange:
    """A layer before and after.

    Attributes:
        name: Of its largest step.
        before: Its steps before, none for a layer that is new.
        after: Its steps after, none for one that is gone.
        before_time: Sum of their medians; None without steps.
        after_time: The same after.
        verdict: What the difference means.
    """

    name: str
    before: tuple[StepRecord, ...]
    after: tuple[StepRecord, ...]
    before_time: Span | None
    after_time: Span | None
    verdict: Verdict

    @property
    def won_us(self) -> float:
        """Time that was won; negative where it was lost."""
        return _latency(self.before_time) - _latency(self.after_time)


@dataclass(frozen=True)
class Comparison:
    """Two profiles of a model.

    Attributes:
        before: The first.
        after: The second.
        run_before: A whole run before.
        run_after: After.
        verdict: Of the whole run.
        speedup: Time before over time after, and its limits; above 1 is faster.
        layers: In run order.
        warnings: Why the two may not be comparable, in sentences.
        num_turns: Rounds of each, where they were measured in turns; 0: one after the other.
    """

    before: Profile
    after: Profile
    run_before: Span
    run_after: Span
    verdict: Verdict
    speedup: Span
    layers: tuple[LayerChange, ...]
    warnings: tuple[str, ...]
    num_turns: int = 0

    @property
    def by_won(self) -> list[LayerChange]:
        """Layers, the largest differences first, whichever way."""
        return sorted(self.layers, key=lambda layer: -abs(layer.won_us))


def compare_profiles(
    before: Profile, after: Profile, turns: "Turns | None" = None
) -> Comparison:
    """Compare two profiles, layer by layer.

    Args:
        before: Of one build of a model.
        after: Of another one, or of the same one at another time.
        turns: The rounds behind both, where they were measured in turns.
    """
    run_before, run_after = _span([before.run]), _span([after.run])
    speedup = Span(
        _ratio(run_before.latency_us, run_after.latency_us),
        _ratio(run_before.low_us, run_after.high_us),
        _ratio(run_before.high_us, run_after.low_us),
    )
    return Comparison(
        before=before,
        after=after,
        run_before=run_before,
        run_after=run_after,
        verdict=turns.run_verdict() if turns else _verdict(run_before, run_after),
        speedup=(turns and turns.speedup()) or speedup,
        layers=tuple(
            _change(before, after, group, turns)
            for group in layer_groups(before.steps, after.steps)
        ),
        warnings=tuple(_warnings(before, after)),
        num_turns=turns.num_rounds if turns else 0,
    )


def _change(
    before: Profile, after: Profile, group: LayerGroup, turns: "Turns | None"
) -> LayerChange:
    steps_before = tuple(before.steps[i] for i in group.before)
    steps_after = tuple(after.steps[i] for i in group.after)
    time_before = _span([before.latencies[i] for i in group.before]) if group.before else None
    time_after = _span([after.latencies[i] for i in group.after]) if group.after else None
    if time_before is None or time_after is None:
        verdict = Verdict.NEW if time_before is None else Verdict.GONE
    elif turns is not None:
        verdict = turns.layer_verdict(group.before, group.after)
    else:
        verdict = _verdict(time_before, time_after)
    profile, indices = (after, group.after) if group.after else (before, group.before)
    largest = max(indices, key=lambda i: profile.latencies[i].median_us)
    name = profile.steps[largest].name
    return LayerChange(name, steps_before, steps_after, time_before, time_after, verdict)


def _span(latencies: Sequence[LatencyRecord]) -> Span:
    """The sum of medians, and of the limits: steps may all be slow together."""
    limits = [_limits(record) for record in latencies]
    return Span(
        latency_us=sum(r.median_us for r in latencies),
        low_us=sum(low for low, _ in limits),
        high_us=sum(high for _, high in limits),
    )


def _limits(record: LatencyRecord) -> tuple[float, float]:
    """The spread of the runs around the median, and the interval of the median.

    Rounds that follow each other closely share the state of the machine, so the interval alone
    promises too much; the runs alone would not see that processes differ. Other work makes
    runs longer, never shorter: the quarter below the median tells the spread on both sides.
    """
    median = record.median_us
    low, high = record.interval_us or (median, median)
    spread_us = median - record.low_us
    return min(low, record.low_us), max(high, min(record.high_us, median + spread_us))


def _verdict(before: Span, after: Span) -> Verdict:
    """A difference counts when the limits are apart and it is more than profiles differ by."""
    difference_us = abs(before.latency_us - after.latency_us)
    largest_us = max(before.latency_us, after.latency_us)
    is_small = difference_us <= max(CLOCK_US, NOISE * largest_us)
    if is_small or (before.low_us <= after.high_us and after.low_us <= before.high_us):
        return Verdict.NOISE
    return Verdict.FASTER if after.latency_us < before.latency_us else Verdict.SLOWER


def _warnings(before: Profile, after: Profile) -> list[str]:
    origins = before.origin, after.origin
    pairs = {
        "models": (before.name, after.name),
        "targets": (before.target, after.target),
        "devices": tuple(origin.device for origin in origins),
        "machines": tuple(origin.machine for origin in origins),
        "numbers of threads": tuple(str(origin.num_threads) for origin in origins),
        "inputs": tuple(origin.inputs for origin in origins),
    }
    found = [
        f"different {what}: {one or 'unknown'} before, {other or 'unknown'} after"
        for what, (one, other) in pairs.items()
        if one != other
    ]
    if before.digest == after.digest:
        found.append("the same artifact twice: what differs is the machine, not the program")
    for when, origin in zip((BEFORE, AFTER), origins, strict=True):
        found += [f"{when}: {note}" for note in origin.notes]
    return found


def _latency(time: Span | None) -> float:
    return 0.0 if time is None else time.latency_us


def _ratio(one: float, other: float) -> float:
    return one / other if other else float("inf")
