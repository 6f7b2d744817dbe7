"""One profile: rounds on a device, each kept when it ends, and how they can be relied on."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.devices.base import Deployment, Device
from octavo.compiler.devices.conditions import Conditions, read_conditions
from octavo.compiler.devices.cores import ALL, find_cpus
from octavo.compiler.devices.measurement import Measurement, Round
from octavo.compiler.devices.noise import Noise, Surroundings, judge
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds
from octavo.compiler.example_inputs import example_inputs
from octavo.compiler.measurements.kept_rounds import Keeper, KeptRounds, profile_key
from octavo.compiler.roofline.machine import Machine
from octavo.errors import DeviceError


@dataclass(frozen=True)
class MeasuredProfile:
    """What was measured of an artifact on a device.

    Attributes:
        manifest: Of the artifact.
        measured: All rounds, those of an interrupted profile first.
        num_earlier: Rounds of that.
        machine: That ran them.
        cpus: That the program was kept on; empty: all.
        before: The device when this process began to measure.
        after: The same when it ended; as before, where the device was gone.
        noise: Whether it can be repeated.
    """

    manifest: Mapping[str, Any]
    measured: Measurement
    num_earlier: int
    machine: Machine
    cpus: tuple[int, ...]
    before: Conditions
    after: Conditions
    noise: Noise


def measure_profile(
    device: Device,
    artifact: Path,
    plan: RoundPlan,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    cores: str = ALL,
    keeper: Keeper | None = None,
    on_round: Callable[[Round], None] | None = None,
) -> MeasuredProfile:
    """Measure an artifact's runs and steps where it is meant to run.

    Args:
        device: Where.
        artifact: Folder that the compiler wrote.
        plan: How; its CPUs are those of ``cores``.
        inputs: As ``checked_inputs`` gives them; None: see ``example_inputs``.
        cores: As ``find_cpus`` takes it.
        keeper: Keeps every round when it ends; None: nothing is kept.
        on_round: Called with every round when it was kept.

    Returns:
        What was measured; ``measured.failure`` says why it ended early.

    Raises:
        ArtifactError: It is no artifact, or was changed after it was built.
        DeviceError: The device does not answer.
        TargetError: The device does not run code for the artifact's target, or has not these
            cores.
    """
    manifest = read_manifest(artifact)
    with device.deploy(artifact) as deployment:
        machine = deployment.machine()
        plan = replace(plan, cpus=find_cpus(cores, deployment, plan.num_threads))
        key = profile_key(manifest, device.name, machine, plan, inputs)
        run = KeptRounds(manifest, machine, plan, keeper, key)

        def end_round(_: int, measured_round: Round) -> None:
            run.keep(measured_round)
            if on_round is not None:
                on_round(measured_round)

        before = read_conditions(deployment)
        start_s = time.monotonic()
        (measured,) = measure_rounds(
            [deployment], plan, inputs or example_inputs(manifest),
            earlier=[run.earlier], on_round=end_round)
        elapsed_s = time.monotonic() - start_s
        after = before if measured.failure else _conditions_after(deployment, before)
    if not measured.failure:
        run.finish()
    around = Surroundings(
        before, after, elapsed_s, plan.num_threads, plan.cpus, run.best_reference_us())
    num_earlier = len(run.earlier.rounds)
    noise = judge(measured, around, plan.tolerance)
    return MeasuredProfile(
        manifest, measured, num_earlier, machine, plan.cpus, before, after, noise)


def _conditions_after(deployment: Deployment, before: Conditions) -> Conditions:
    try:
        return read_conditions(deployment)
    except DeviceError:
        return before  # all rounds are there; only what was around them is not known
