"""A comparison of two profiles in words and as a document."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from octavo.compiler.report.bottlenecks import kernel_name
from octavo.compiler.report.comparison import Comparison, LayerChange, Span, Verdict
from octavo.compiler.report.profile_document import Profile
from octavo.compiler.report.records import StepRecord
from octavo.compiler.report.units import added_text, time_text

NUM_NAMES = 3  # kernels that are named of a layer that has more


def change_text(layer: LayerChange, *, is_brief: bool = False) -> str:
    """What is different about a layer: arithmetic and kernels.

    Args:
        layer: Before and after.
        is_brief: Kernels without instructions and tiles, where that tells enough.
    """
    sides = [side for side in (layer.before, layer.after) if side]
    arithmetic = _changes([_names(step.placement for step in side) for side in sides])
    kernels = [_names(map(kernel_name, side)) for side in sides]
    is_enough = len(set(kernels)) > 1 or " → " in arithmetic or len(sides) == 1
    if not (is_brief and is_enough):
        kernels = [_names(s.variant or kernel_name(s) for s in side) for side in sides]
    changed = _changes(kernels)
    schedules = [[step.schedule for step in side] for side in sides]
    is_other = " → " not in changed and len(sides) == 2 and schedules[0] != schedules[1]
    return f"{arithmetic}, {changed}{' with another schedule' if is_other else ''}"


def _changes(texts: list[str]) -> str:
    """Both, or the one that has not changed."""
    return " → ".join(dict.fromkeys(texts))


def _names(names: Iterable[str]) -> str:
    """Each name once, a few of many."""
    found = list(dict.fromkeys(names))
    more = f" and {len(found) - NUM_NAMES} more" if len(found) > NUM_NAMES else ""
    return " + ".join(found[:NUM_NAMES]) + more


def run_text(comparison: Comparison) -> str:
    """The whole run before and after."""
    before, after = comparison.run_before, comparison.run_after
    ratio = comparison.speedup
    return (
        f"whole run: {_span_text(before)} before, {_span_text(after)} after:"
        f" {_verdict_text(comparison.verdict, ratio)}"
    )


def _span_text(span: Span) -> str:
    limits = f"{time_text(span.low_us)} to {time_text(span.high_us)}"
    return f"{time_text(span.latency_us)} ({limits})"


def _verdict_text(verdict: Verdict, ratio: Span) -> str:
    limits = f"{ratio.low_us:.2f} to {ratio.high_us:.2f}"
    if verdict is Verdict.FASTER:
        return f"{ratio.latency_us:.2f} times as fast ({limits})"
    if verdict is Verdict.SLOWER:
        return f"slower, {ratio.latency_us:.2f} times as fast ({limits})"
    return f"within noise ({limits} times as fast)"


def layers_text(comparison: Comparison) -> str:
    """How many layers have changed which way, and what that is together."""
    parts = []
    for verdict in Verdict:
        layers = [layer for layer in comparison.layers if layer.verdict is verdict]
        if layers:
            won_us = sum(layer.won_us for layer in layers)
            parts.append(f"{len(layers)} {verdict} ({added_text(won_us)})")
    turns = f"; measured in turns, {comparison.num_turns} rounds each"
    return f"layers: {', '.join(parts)}; + is time won{turns if comparison.num_turns else ''}"


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """Everything that a comparison found, as JSON values but for infinite numbers."""
    return {
        "before": _side(comparison.before, comparison.run_before),
        "after": _side(comparison.after, comparison.run_after),
        "verdict": comparison.verdict,
        "speedup": comparison.speedup.latency_us,
        "speedup_low": comparison.speedup.low_us,
        "speedup_high": comparison.speedup.high_us,
        "turns": comparison.num_turns,
        "warnings": list(comparison.warnings),
        "layers": list(_layers(comparison)),
    }


def _side(profile: Profile, run: Span) -> dict[str, Any]:
    facts = {"name": profile.name, "target": profile.target, "digest": profile.digest}
    return facts | asdict(profile.origin) | {"runs": profile.num_runs, "run": asdict(run)}


def _layers(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for layer in comparison.layers:
        yield {
            "name": layer.name,
            "verdict": layer.verdict,
            "won_us": layer.won_us,
            "before": None if layer.before_time is None else asdict(layer.before_time),
            "after": None if layer.after_time is None else asdict(layer.after_time),
            "steps_before": [_step(step) for step in layer.before],
            "steps_after": [_step(step) for step in layer.after],
        }


def _step(step: StepRecord) -> dict[str, Any]:
    return {
        "index": step.index,
        "name": step.name,
        "arithmetic": step.placement,
        "kernel": step.variant,
    }
