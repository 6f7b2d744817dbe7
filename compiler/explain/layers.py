"""From measured programs to one explanation for each layer."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from octavo.compiler.explain.alternatives import selected_from
from octavo.compiler.explain.causes import step_causes
from octavo.compiler.explain.edges import edges_of
from octavo.compiler.explain.explanation import LayerExplanation
from octavo.compiler.explain.float_answer import FloatAnswer, answer
from octavo.compiler.explain.program_steps import ProgramStep, layer_groups
from octavo.compiler.explain.step_times import StepTime, total
from octavo.compiler.explain.unfriendly import step_widths
from octavo.compiler.roofline.bounds import step_bound
from octavo.compiler.roofline.peaks import Peaks
from octavo.compiler.roofline.traffic import Traffic
from octavo.targets.base import Target


@dataclass(frozen=True)
class MeasuredPrograms:
    """The artifact and its float twins, with times.

    Attributes:
        steps, times: Of the artifact.
        float_steps, float_times: Of the float network; empty where there is none.
        rounded_steps, rounded_times: Of the float network that rounds between layers.
    """

    steps: Sequence[ProgramStep]
    times: Sequence[StepTime]
    float_steps: Sequence[ProgramStep]
    float_times: Sequence[StepTime]
    rounded_steps: Sequence[ProgramStep]
    rounded_times: Sequence[StepTime]


def explain_layers(
    manifest: Mapping[str, Any],
    graph: ir.Graph,
    programs: MeasuredPrograms,
    peaks: Sequence[Peaks],
    target: Target,
) -> list[LayerExplanation]:
    """Explain every layer, the most expensive first.

    Args:
        manifest: Of the artifact.
        graph: Of its model.
        programs: The artifact and its twins.
        peaks: Of the machine; empty where they are not known.
        target: What the artifact was compiled for.

    Raises:
        KeyError, TypeError, ValueError: The manifest is malformed.
    """
    all_us = sum(time.latency_us for time in programs.times)
    memory = manifest["memory"]
    program_bytes = int(memory["weights_bytes"]) + int(memory["arena_bytes"])
    float_nodes = {
        node for step in programs.steps if step.placement != "int8" for node in step.nodes
        if not step.is_conversion}
    layers = []
    for ours, theirs in layer_groups(programs.steps, programs.float_steps):
        time = total(programs.times, ours)
        main = max(ours, key=lambda step: programs.times[step.index].latency_us)
        entry = manifest["steps"][main.index]
        nodes = tuple(dict.fromkeys(node for step in ours for node in step.nodes))
        float_answer, conversions_us = _float_answer(
            graph, programs, ours, theirs, nodes, float_nodes)
        bound = None
        if peaks:
            bound = step_bound(
                int(entry["macs"]), main.placement, _traffic(entry), program_bytes, peaks)
        causes = step_causes(
            entry, programs.times[main.index].latency_us, program_bytes, peaks)
        layers.append(LayerExplanation(
            name=main.name,
            nodes=nodes,
            op_types=tuple(op for step in ours for op in step.op_types),
            steps=tuple(step.index for step in ours),
            functions=tuple(str(manifest["steps"][step.index]["kernel"]) for step in ours),
            placement=main.placement,
            variant=main.variant,
            latency_us=time.latency_us,
            share=time.latency_us / all_us if all_us else 0.0,
            macs=sum(int(manifest["steps"][step.index]["macs"]) for step in ours),
            roof_us=None if bound is None else bound.roof_us,
            bound_by="" if bound is None else bound.bound_by,
            causes=tuple(causes),
            float_answer=float_answer,
            conversions_us=conversions_us,
            widths=step_widths(entry, target),
            alternatives=selected_from(manifest, nodes),
        ))
    return sorted(layers, key=lambda layer: (-layer.latency_us, layer.steps))


def _traffic(entry: Mapping[str, Any]) -> Traffic:
    return Traffic(
        int(entry["read_bytes"]), int(entry["weight_bytes"]), int(entry["written_bytes"]))


def _float_answer(
    graph: ir.Graph,
    programs: MeasuredPrograms,
    ours: Sequence[ProgramStep],
    theirs: Sequence[ProgramStep],
    nodes: Collection[str],
    float_nodes: Collection[str],
) -> tuple[FloatAnswer | None, float]:
    """The comparison with float, and what conversions at the layer's edges cost now."""
    edges = edges_of(graph, nodes, float_nodes)
    saved = total(programs.times, _conversions(programs.steps, edges.saved))
    if not theirs or all(step.placement != "int8" for step in ours):
        needed_now = total(programs.times, _conversions(programs.steps, edges.needed))
        return None, needed_now.latency_us
    needed = total(programs.rounded_times, _conversions(programs.rounded_steps, edges.needed))
    found = answer(
        total(programs.times, ours), total(programs.float_times, theirs), needed, saved)
    return found, saved.latency_us


def _conversions(
    steps: Iterable[ProgramStep], nodes: Collection[str]
) -> list[ProgramStep]:
    return [
        step for step in steps
        if step.is_conversion and not set(nodes).isdisjoint(step.nodes)]
