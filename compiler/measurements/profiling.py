"""One profile: rounds on a device, each kept when it ends, and how they can be relied on."""

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
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
from octavo.compiler.measurements.key import device_text, json_text
from octavo.compiler.measurements.profile_rows import profile_rows
from octavo.compiler.measurements.profiles import (
    ProfileKey,
    ProfileStore,
    StoredProfile,
)
from octavo.compiler.roofline.machine import Machine
from octavo.errors import DeviceError, StoreError

_PAGE = "report.html"  # may be replaced at any time: no part of what an artifact computes


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


@dataclass
class Keeper:
    """Where the rounds of profiles are kept.

    Attributes:
        store: An open database.
        is_fresh: Give up an unfinished profile instead of going on with it.
        warn: Told in one line why rounds are not kept; nothing is lost of what is shown.
        resume: Told how many rounds are there already, and since when.
    """

    store: ProfileStore
    is_fresh: bool = False
    warn: Callable[[str], None] = field(default=lambda _: None)
    resume: Callable[[StoredProfile], None] = field(default=lambda _: None)


def measure_profile(
    device: Device,
    artifact: Path,
    plan: RoundPlan,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    cores: str = ALL,
    keeper: Keeper | None = None,
) -> MeasuredProfile:
    """Measure an artifact's runs and steps where it is meant to run.

    Args:
        device: Where.
        artifact: Folder that the compiler wrote.
        plan: How; its CPUs are those of ``cores``.
        inputs: As ``checked_inputs`` gives them; None: zeros.
        cores: As ``find_cpus`` takes it.
        keeper: Keeps every round when it ends; None: nothing is kept.

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
        key = ProfileKey(
            _digest(manifest), device.name, device_text(machine), _options(plan, inputs))
        run = _Run(manifest, machine, plan, keeper, key)
        before = read_conditions(deployment)
        start_s = time.monotonic()
        (measured,) = measure_rounds(
            [deployment], plan, inputs, earlier=[run.earlier],
            on_round=lambda _, measured_round: run.keep(measured_round))
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


class _Run:
    """Rounds of one profile on their way into the database."""

    def __init__(
        self, manifest: Mapping[str, Any], machine: Machine, plan: RoundPlan,
        keeper: Keeper | None, key: ProfileKey,
    ) -> None:  # fmt: skip
        self._manifest, self._machine, self._plan = manifest, machine, plan
        self._keeper, self._key = keeper, key
        self._profile = ""
        self.earlier = Measurement()
        if keeper is not None:
            try:
                stored = keeper.store.begin(key, is_fresh=keeper.is_fresh)
            except StoreError as error:
                self._give_up(error)
            else:
                self._profile, self.earlier = stored.id, stored.measured
                if stored.measured.rounds:
                    keeper.resume(stored)
        self._measured = self.earlier

    def keep(self, measured_round: Round) -> None:
        """Keep a round that has ended, and what all of them say of the kernels."""
        number = len(self._measured.rounds)
        self._measured = Measurement((*self._measured.rounds, measured_round))
        if self._keeper is None:
            return
        rows = profile_rows(
            self._manifest, self._measured.steps_us, self._machine,
            self._plan.num_threads, self._profile)
        try:
            self._keeper.store.add_round(self._profile, number, measured_round, rows)
        except StoreError as error:
            self._give_up(error)

    def finish(self) -> None:
        """Say that there will be no more rounds."""
        if self._keeper is not None:
            try:
                self._keeper.store.finish(self._profile)
            except StoreError as error:
                self._give_up(error)

    def best_reference_us(self) -> float | None:
        """Least time of the loop of fixed work in all profiles of the device."""
        if self._keeper is None:
            return None
        with suppress(StoreError):
            return self._keeper.store.best_reference_us(self._key.device, self._key.machine)
        return None

    def _give_up(self, error: StoreError) -> None:
        """What cannot be kept takes nothing from what is shown."""
        if self._keeper is not None:
            self._keeper.warn(f"not kept: {error}")
        self._keeper = None


def _conditions_after(deployment: Deployment, before: Conditions) -> Conditions:
    try:
        return read_conditions(deployment)
    except DeviceError:
        return before  # all rounds are there; only what was around them is not known


def _digest(manifest: Mapping[str, Any]) -> str:
    """Of all files that decide what an artifact computes."""
    files = {name: record for name, record in manifest["files"].items() if name != _PAGE}
    return hashlib.sha256(json_text(files).encode()).hexdigest()


def _options(plan: RoundPlan, inputs: Mapping[str, NDArray[Any]] | None) -> str:
    """What makes rounds of one kind; when enough of them are there is left out."""
    options = asdict(plan)
    for name in ("seconds", "tolerance", "timeout_s"):
        del options[name]
    data = {
        name: hashlib.sha256(array.tobytes()).hexdigest()
        for name, array in (inputs or {}).items()
    }
    return json_text(options | {"inputs": data if inputs is not None else None})
