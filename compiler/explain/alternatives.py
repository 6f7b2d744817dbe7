"""Other ways to compute a layer that were measured: by selection, in other builds."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from octavo.compiler.explain.explanation import Alternative, LayerExplanation
from octavo.compiler.explain.program_steps import ProgramStep
from octavo.compiler.measurements.key import Context, json_text
from octavo.compiler.measurements.latencies import KernelLatency, LatencyStore
from octavo.compiler.report.units import MICROSECONDS

EXPLAIN_ID = "explain-"


@dataclass(frozen=True)
class Alternatives:
    """What the database knows of the operations of a program.

    Attributes:
        by_step: Index of a step to what was measured of its operation, fastest first.
    """

    by_step: dict[int, tuple[Alternative, ...]]

    def added_to(self, layer: LayerExplanation) -> LayerExplanation:
        """The layer with those of its step, unless a selection has told more."""
        if layer.alternatives:
            return layer
        return replace(layer, alternatives=self.by_step.get(layer.step, ()))


def selected_from(
    manifest: Mapping[str, Any], nodes: Collection[str]
) -> tuple[Alternative, ...]:
    """What operator selection measured of a layer, fastest first; empty without a selection.

    Args:
        manifest: Of the artifact.
        nodes: Of the layer.

    Raises:
        KeyError, TypeError: The manifest is malformed.
    """
    selection = manifest.get("metadata", {}).get("selection")
    if not selection or selection["unit"] != MICROSECONDS:
        return ()
    layers = [x for x in selection["layers"] if not set(nodes).isdisjoint(x["nodes"])]
    if len(layers) != 1:
        return ()
    (layer,) = layers
    found = [(way, False) for way in layer["rejected"]]
    if layer["chosen"] is not None:
        found.append((layer["chosen"], True))
    ways = [
        Alternative(
            str(way["variant"]), str(way["candidate"]), float(way["cost"]), is_chosen,
            str(way["placement"]))
        for way, is_chosen in found]
    return tuple(sorted(ways, key=lambda way: way.latency_us))


def alternatives_of(
    store: LatencyStore, steps: Sequence[ProgramStep], context: Context
) -> Alternatives:
    """Look up other implementations and schedules of the operations of some steps.

    Args:
        store: The database.
        steps: Of an artifact.
        context: In which it was measured; only what was measured there is comparable.
    """
    newest: dict[tuple[str, str, str], KernelLatency] = {}
    wanted = {step.operation for step in steps if step.operation}
    for row in store.latencies():
        # Rows of explanations are of layers among others in float.
        if row.id.startswith(EXPLAIN_ID):
            continue
        if row.key.context == context and row.key.operation in wanted:
            place = (row.key.operation, row.key.kernel, json_text(row.schedule))
            known = newest.get(place)
            if known is None or known.measured_at <= row.measured_at:
                newest[place] = row
    found: dict[str, list[tuple[str, str, float]]] = defaultdict(list)
    for (operation, variant, schedule), row in newest.items():
        found[operation].append((variant, schedule, row.latency_us))
    by_step = {}
    for step in steps:
        ways = sorted(found.get(step.operation, ()), key=lambda way: way[2])
        if len(ways) > 1:
            by_step[step.index] = tuple(
                Alternative(
                    variant, schedule, latency_us,
                    is_chosen=(variant, schedule) == (step.variant, step.schedule),
                    placement=step.placement)
                for variant, schedule, latency_us in ways)
    return Alternatives(by_step)
