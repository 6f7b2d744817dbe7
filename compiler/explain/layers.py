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
class MeasuredMixed:
    """A program with some layers in float, with times.

    Attributes:
        chosen: Indices of the artifact's steps that it computes in float.
        steps, times: Its own.
    """

    chosen: Sequence[int]
    steps: Sequence[ProgramStep]
    times: Sequence[StepTime]


@dataclass(frozen=True)
class MeasuredPrograms:
    """The artifact, and programs with its layers in float, with times.

    Attributes:
        steps, times: Of the artifact.
        mixed: Every integer layer is in float in one of them; none for a float network.
    """

    steps: Sequence[ProgramStep]
    times: Sequence[StepTime]
    mixed: Sequence[MeasuredMixed]


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
    weights_bytes = int(memory.get("weights_memory_bytes", memory["weights_bytes"]))
    program_bytes = weights_bytes + int(memory["arena_bytes"])
    float_nodes = {
        node for step in programs.steps if step.placement != "int8" for node in step.nodes
        if not step.is_conversion}
    layers = []
    for step in programs.steps:
        if step.is_conversion or not step.nodes:
            continue
        time_us = programs.times[step.index].latency_us
        entry = manifest["steps"][step.index]
        float_answer, conversions_us = _float_answer(graph, programs, step, float_nodes)
        bound = None
        if peaks:
            bound = step_bound(
                int(entry["macs"]), step.placement, _traffic(entry), program_bytes, peaks)
        layers.append(LayerExplanation(
            name=step.name,
            nodes=step.nodes,
            op_types=step.op_types,
            step=step.index,
            function=str(entry["kernel"]),
            placement=step.placement,
            variant=step.variant,
            latency_us=time_us,
            share=time_us / all_us if all_us else 0.0,
            macs=int(entry["macs"]),
            roof_us=None if bound is None else bound.roof_us,
            bound_by="" if bound is None else bound.bound_by,
            causes=tuple(step_causes(entry, time_us, program_bytes, peaks)),
            float_answer=float_answer,
            conversions_us=conversions_us,
            widths=step_widths(entry, target),
            alternatives=selected_from(manifest, step.nodes),
        ))
    return sorted(layers, key=lambda layer: (-layer.latency_us, layer.step))


def _traffic(entry: Mapping[str, Any]) -> Traffic:
    return Traffic(
        int(entry["read_bytes"]), int(entry["weight_bytes"]), int(entry["written_bytes"]))


def _float_answer(
    graph: ir.Graph,
    programs: MeasuredPrograms,
    step: ProgramStep,
    float_nodes: Collection[str],
) -> tuple[FloatAnswer | None, float]:
    """The comparison with float, and what conversions at the layer's edges cost now."""
    edges = edges_of(graph, step.nodes, float_nodes)
    mixed = next((m for m in programs.mixed if step.index in m.chosen), None)
    if mixed is None:
        needed = total(programs.times, _conversions(programs.steps, edges.needed))
        return None, needed.latency_us
    saved = total(programs.times, _conversions(programs.steps, edges.saved))
    needed = total(mixed.times, _conversions(mixed.steps, edges.needed))
    # What it computes together with others, already in float, is compared together.
    ours, theirs = next(
        (group for group in layer_groups(programs.steps, mixed.steps) if step in group[0]),
        ((), ()))
    if not theirs or any(other.placement == "int8" for other in theirs):
        return None, saved.latency_us
    found = answer(total(programs.times, ours), total(mixed.times, theirs), needed, saved)
    return found, saved.latency_us


def _conversions(
    steps: Iterable[ProgramStep], nodes: Collection[str]
) -> list[ProgramStep]:
    return [
        step for step in steps
        if step.is_conversion and not set(nodes).isdisjoint(step.nodes)]
