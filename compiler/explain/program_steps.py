"""The steps of a program, from a manifest or before it is built: what explaining needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from octavo.compiler.lowering.program import Program
from octavo.compiler.measurements.key import json_text, operation_text

CONVERSIONS = frozenset({("QuantizeLinear",), ("DequantizeLinear",)})
LAYOUT = ".layout"  # ends the name of a step that only reorders a tensor


@dataclass(frozen=True)
class ProgramStep:
    """One kernel call.

    Attributes:
        index: Position in run order, from 0.
        name: What a person calls it.
        op_types: ONNX operators.
        nodes: Names of the ONNX nodes.
        placement: "int8" or "float32".
        variant: The implementation.
        operation: The operation record as canonical JSON; "" where there is none.
        schedule: The loop decisions as canonical JSON.
    """

    index: int
    name: str
    op_types: tuple[str, ...]
    nodes: tuple[str, ...]
    placement: str
    variant: str
    operation: str
    schedule: str

    @property
    def is_conversion(self) -> bool:
        """Whether it only brings a tensor into another form, and computes no layer."""
        is_layout = self.op_types == ("Transpose",) and self.name.endswith(LAYOUT)
        return self.op_types in CONVERSIONS or is_layout


def manifest_steps(manifest: Mapping[str, Any]) -> tuple[ProgramStep, ...]:
    """Steps of an artifact.

    Raises:
        KeyError, TypeError: The manifest is malformed.
    """
    return tuple(
        ProgramStep(
            index, str(s["name"]), tuple(s["op_types"]), tuple(n for n in s["nodes"] if n),
            str(s["placement"]), str(s["variant"]),
            "" if s["operation"] is None else json_text(s["operation"]),
            json_text(s["schedule"]))
        for index, s in enumerate(manifest["steps"]))


def program_steps(program: Program) -> tuple[ProgramStep, ...]:
    """Steps of a program."""
    return tuple(
        ProgramStep(
            index, s.name, s.op_types, tuple(n for n in s.nodes if n), s.placement, s.variant,
            "" if s.op is None else operation_text(s.op), json_text(s.schedule))
        for index, s in enumerate(program.steps))


@dataclass
class _Group:
    """Nodes that at least one step of either program computes together."""

    nodes: set[str] = field(default_factory=set)
    sides: tuple[list[ProgramStep], list[ProgramStep]] = field(
        default_factory=lambda: ([], []))

    def take_over(self, other: "_Group") -> None:
        self.nodes |= other.nodes
        for mine, others in zip(self.sides, other.sides, strict=True):
            mine.extend(others)


def layer_groups(
    steps: Iterable[ProgramStep], twin: Iterable[ProgramStep]
) -> list[tuple[tuple[ProgramStep, ...], tuple[ProgramStep, ...]]]:
    """Match the steps of two programs by the nodes that they compute.

    Args:
        steps: Of the artifact.
        twin: Of the same network, perhaps fused otherwise.

    Returns:
        Groups of steps that compute the same nodes in both programs, in run order; conversions
        are in none.
    """
    groups: list[_Group] = []
    for side, program in enumerate((steps, twin)):
        for step in program:
            if step.is_conversion or not step.nodes:
                continue
            group = _Group(set(step.nodes))
            group.sides[side].append(step)
            touching = [g for g in groups if not g.nodes.isdisjoint(step.nodes)]
            for other in touching:
                group.take_over(other)
                groups.remove(other)
            groups.append(group)
    by_index = [
        tuple(tuple(sorted(side, key=lambda s: s.index)) for side in group.sides)
        for group in groups if group.sides[0]]
    return sorted(
        ((ours, theirs) for ours, theirs in by_index), key=lambda pair: pair[0][0].index)
