"""Artifacts measured in turns on one device, so that what changes there meets all of them."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.devices.base import Device
from octavo.compiler.devices.measurement import Measurement
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds
from octavo.compiler.example_inputs import example_inputs
from octavo.compiler.roofline.machine import Machine
from octavo.errors import DeviceError


@dataclass(frozen=True)
class SideBySide:
    """What was measured.

    Attributes:
        manifests: Of the artifacts.
        measured: Their rounds, equally many and at least one of each.
        machine: That ran them.
    """

    manifests: tuple[Mapping[str, Any], ...]
    measured: tuple[Measurement, ...]
    machine: Machine


def measure_side_by_side(
    device: Device,
    artifacts: Sequence[Path],
    plan: RoundPlan,
    inputs: Mapping[str, NDArray[Any]] | None = None,
) -> SideBySide:
    """Measure artifacts in turns.

    Args:
        device: Where.
        artifacts: Folders that the compiler wrote, at least one.
        plan: How.
        inputs: Of all of them, as ``checked_inputs`` gives them; None: those
            of the first, see ``example_inputs``.

    Raises:
        ArtifactError: One is no artifact, or was changed after it was built.
        DeviceError: The device does not answer, or a program failed.
        TargetError: The device does not run code for the target of one.
    """
    manifests = tuple(read_manifest(artifact) for artifact in artifacts)
    with ExitStack() as stack:
        deployments = [stack.enter_context(device.deploy(path)) for path in artifacts]
        machine = deployments[0].machine()
        measured = measure_rounds(
            deployments, plan, inputs or example_inputs(manifests[0]))
    for artifact, found in zip(artifacts, measured, strict=True):
        if found.failure:
            raise DeviceError(f"{artifact}: {found.failure}")
    return SideBySide(manifests, tuple(measured), machine)
