"""The network in float, and with single layers in float: what layers are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.counted_arrays import counted_dimensions
from octavo.compiler.explain.program_steps import ProgramStep
from octavo.compiler.importer import import_model
from octavo.compiler.lowering.lower import lower
from octavo.compiler.lowering.program import Program
from octavo.compiler.measurements.key import code_text
from octavo.compiler.roofline.artifact_peaks import manifest_target
from octavo.errors import TargetError
from octavo.passes.join_float_layers import QUANTIZERS, JoinFloatLayers
from octavo.passes.wiring import is_op
from octavo.targets import get_target
from octavo.targets.base import Target

MODEL = "model.int8.onnx"
NUM_MIXED = 4  # programs: neighbours in a chain, and around a residual block, are apart


@dataclass(frozen=True, eq=False)
class MixedProgram:
    """The network with some of its layers in float, each among integers as it would be.

    Attributes:
        program: Every such layer has the conversions that it would need alone.
        steps: Indices of the artifact's steps that it computes in float.
    """

    program: Program
    steps: tuple[int, ...]


def artifact_target(manifest: Mapping[str, Any]) -> Target:
    """The whole record of the target that an artifact was compiled for.

    Raises:
        ArtifactError: The manifest does not tell.
        TargetError: The name means something else now: "host", on another machine.
    """
    known, target = manifest_target(manifest), get_target(str(manifest["target"]))
    if code_text(known) != code_text(target):
        raise TargetError(
            f"the artifact was compiled for {code_text(known)}; {target.name} is now"
            f" {code_text(target)}: compile again")
    return target


def read_model(artifact: Path) -> ir.Model:
    """The model of an artifact as it was lowered: preparing it again would rename nodes."""
    counted = counted_dimensions(read_manifest(artifact))
    maxima = {d.dimension: d.maximum for d in counted}
    # as much to be trusted as the code beside it
    return import_model(artifact / MODEL, maxima=maxima, isolated=False)


def float_network(artifact: Path, target: Target, mode: str) -> Program:
    """Lower the whole model of an artifact in float, with the weights that it has.

    Args:
        artifact: Folder that the compiler wrote.
        target: What it was compiled for.
        mode: How conversions round, "float32" or "dyadic".
    """
    model = read_model(artifact)
    names = {node.name for node in model.graph if node.name and not is_op(node, *QUANTIZERS)}
    JoinFloatLayers([])(model)
    RemoveUnusedNodesPass()(model)
    return lower(model, target, mode=mode, float_nodes=names)


def mixed_programs(
    artifact: Path, target: Target, mode: str, steps: Sequence[ProgramStep]
) -> list[MixedProgram]:
    """Lower the model of an artifact with every integer layer once in float.

    A layer that is slow in float because all others' weights are four times as large is not so
    if it is the only one: so there are several programs, and in each only some layers, far
    from each other, are in float.

    Args:
        artifact: Folder that the compiler wrote.
        target: What it was compiled for.
        mode: How conversions round, "float32" or "dyadic".
        steps: Of the artifact.
    """
    layers = [s for s in steps if s.placement == "int8" and s.nodes and not s.is_conversion]
    integer_nodes = {node for step in layers for node in step.nodes}
    float_nodes = {
        node for step in steps if step.placement != "int8" and not step.is_conversion
        for node in step.nodes}
    found = []
    for first in range(min(NUM_MIXED, len(layers))):
        chosen = layers[first::NUM_MIXED]
        model = read_model(artifact)
        for layer in chosen:
            # One by one: two of them that are neighbours convert between them all the same.
            JoinFloatLayers(integer_nodes - set(layer.nodes))(model)
        RemoveUnusedNodesPass()(model)
        names = float_nodes | {node for step in chosen for node in step.nodes}
        program = lower(model, target, mode=mode, float_nodes=names)
        found.append(MixedProgram(program, tuple(step.index for step in chosen)))
    return found
