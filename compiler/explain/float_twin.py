"""The same network in float: what an artifact's layers are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.compiler.importer import import_model
from octavo.compiler.lowering.kernel_call import Scheduler, model_choice
from octavo.compiler.lowering.lower import lower
from octavo.compiler.lowering.program import Program
from octavo.compiler.measurements.key import code_text
from octavo.compiler.roofline.artifact_peaks import manifest_target
from octavo.errors import TargetError
from octavo.passes.join_float_layers import JoinFloatLayers
from octavo.passes.prepare import prepare
from octavo.passes.wiring import is_op
from octavo.targets import get_target
from octavo.targets.base import Target

MODEL = "model.int8.onnx"
QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True, eq=False)
class FloatTwins:
    """Two float programs of one quantized model.

    Attributes:
        network: Nothing is rounded between layers.
        rounded: What lies between layers is rounded to integers and back, step by step: its
            conversions are those that a float layer among integer ones needs.
    """

    network: Program
    rounded: Program


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
    """The quantized model of an artifact, as it was lowered."""
    model = import_model(artifact / MODEL)
    prepare(model)
    return model


def float_twins(
    artifact: Path, target: Target, mode: str, scheduler: Scheduler = model_choice
) -> FloatTwins:
    """Lower the model of an artifact in float, with the weights that it has.

    Args:
        artifact: Folder that the compiler wrote.
        target: What it was compiled for.
        mode: How its conversions round, "float32" or "dyadic".
        scheduler: Asked for the implementation of every kernel call.
    """
    programs = []
    for joins in (True, False):
        model = read_model(artifact)
        names = {
            node.name for node in model.graph if node.name and not is_op(node, *QUANTIZERS)}
        if joins:
            JoinFloatLayers([])(model)
            RemoveUnusedNodesPass()(model)
        programs.append(
            lower(model, target, mode=mode, scheduler=scheduler, float_nodes=names))
    return FloatTwins(*programs)
