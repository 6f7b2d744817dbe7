"""What a page shows of a comparison: its words, charts and rows."""

from dataclasses import dataclass

from octavo.compiler.report.charts import Chart
from octavo.compiler.report.comparison import Comparison, LayerChange
from octavo.compiler.report.comparison_chart import SpanChart, layers_chart, run_chart
from octavo.compiler.report.comparison_text import layers_text, run_text
from octavo.compiler.report.profile_document import Profile


@dataclass(frozen=True)
class ComparisonFacts:
    """A comparison, ready to be shown.

    Attributes:
        comparison: What is shown.
        run: The whole run in words.
        layers: How many layers have changed, in words.
        run_chart: The whole run before and after.
        layers_chart: Each layer before and after.
        by_won: Layers, the largest differences first.
        top_us: The largest difference, microseconds.
        origins: (what, before, after) of each fact about the two profiles.
    """

    comparison: Comparison
    run: str
    layers: str
    run_chart: SpanChart
    layers_chart: Chart
    by_won: tuple[LayerChange, ...]
    top_us: float
    origins: tuple[tuple[str, str, str], ...]


def comparison_facts(comparison: Comparison) -> ComparisonFacts:
    """Gather what a page shows."""
    by_won = tuple(comparison.by_won)
    sides = [_facts(profile) for profile in (comparison.before, comparison.after)]
    return ComparisonFacts(
        comparison=comparison,
        run=run_text(comparison),
        layers=layers_text(comparison),
        run_chart=run_chart(comparison),
        layers_chart=layers_chart(comparison),
        by_won=by_won,
        top_us=abs(by_won[0].won_us) if by_won else 0.0,
        origins=tuple((label, sides[0][label], sides[1][label]) for label in sides[0]),
    )


def _facts(profile: Profile) -> dict[str, str]:
    origin = profile.origin
    return {
        "model": profile.name,
        "target": profile.target,
        "device": origin.device,
        "machine": origin.machine or "unknown",
        "threads": str(origin.num_threads),
        "inputs": origin.inputs,
        "measured at": origin.measured_at,
        "runs": str(profile.num_runs),
        "steps": str(len(profile.steps)),
        "digest of the artifact": profile.digest[:12],
    }
