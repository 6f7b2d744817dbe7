"""Rounds of a profile on their way into the database."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from numpy.typing import NDArray

from octavo.compiler.devices.measurement import Measurement, Round
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.measurements.key import device_text, json_text, toolchain_of
from octavo.compiler.measurements.profile_rows import profile_rows
from octavo.compiler.measurements.profiles import (
    ProfileKey,
    ProfileStore,
    StoredProfile,
)
from octavo.compiler.roofline.machine import Machine
from octavo.errors import ArtifactError, StoreError

_PAGE = "report.html"  # may be replaced at any time: no part of what an artifact computes


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


class KeptRounds:
    """Rounds of one profile, each kept when it ends.

    Attributes:
        earlier: What an interrupted profile of the same key has measured.
    """

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
        """See ``ProfileStore.best_reference_us``; None without a database too."""
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


def profile_key(
    manifest: Mapping[str, Any],
    device: str,
    machine: Machine,
    plan: RoundPlan,
    inputs: Mapping[str, NDArray[Any]] | None,
) -> ProfileKey:
    """What two profiles must have in common for one to go on with the other.

    Args:
        manifest: Of the artifact.
        device: As the user names it.
        machine: That runs it.
        plan: How it is measured.
        inputs: Of the model; None: zeros.

    Raises:
        ArtifactError: The manifest lacks an entry.
    """
    try:
        code = f"{manifest['target_details']['triple']} {toolchain_of(manifest['versions'])}"
    except (KeyError, TypeError) as error:
        raise ArtifactError(
            f"manifest.json is malformed ({type(error).__name__}: {error}); compile again"
        ) from error
    return ProfileKey(
        _digest(manifest), device, f"{device_text(machine)} {code}", _options(plan, inputs))


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
