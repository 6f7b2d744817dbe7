"""How ``octavo profile`` measures: its options, and what it says while it does."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from octavo.compiler.cli.console import Console, to_json_value
from octavo.compiler.cli.device_option import chosen_device
from octavo.compiler.cli.progress import progress_bar
from octavo.errors import DeviceError, StoreError

if TYPE_CHECKING:
    from octavo.compiler.devices.measurement import Round
    from octavo.compiler.measurements.kept_rounds import Keeper
    from octavo.compiler.measurements.profiles import ProfileStore, StoredProfile
    from octavo.compiler.measurements.profiling import MeasuredProfile

SECONDS = 10.0
MAX_SECONDS = 86_400.0
TIMES_ONLY = ("runs", "seconds", "warmup", "cool_down", "cores", "fresh")  # parameters


@dataclass(frozen=True)
class Measuring:
    """The user's choices.

    Attributes:
        runs: Measured runs; None: until the median is known.
        seconds: Without a number of runs, no round begins after so many.
        warmup: Runs before those of each round.
        cool_down_s: Rest between rounds.
        cores: CPUs of the device.
        is_fresh: Leave an interrupted profile alone.
        is_kept: Keep what is measured in the database.
    """

    runs: int | None
    seconds: float
    warmup: int
    cool_down_s: float
    cores: str
    is_fresh: bool
    is_kept: bool


def checked_cores(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> str | None:
    """Refuse what has no known form; whether the device has them is asked later."""
    # octavo.compiler.devices, which has these names, imports for long
    if text is not None and text not in ("all", "big", "little"):
        from octavo.compiler.devices.cores import FORMS, parse_cpus

        try:
            parse_cpus(text)
        except ValueError as error:
            message = f"{error}; allowed: {FORMS}"
            raise click.BadParameter(message, context, parameter) from None
    return text


def measuring_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options of ``Measuring``, given to the verb as ``measuring``."""

    @wraps(function)
    def with_measuring(
        *arguments: Any,
        runs: int | None,
        seconds: float,
        warmup: int,
        cool_down: float,
        cores: str,
        fresh: bool,
        no_save: bool,
        **others: Any,
    ) -> None:
        measuring = Measuring(
            runs, seconds, warmup, cool_down, cores, is_fresh=fresh, is_kept=not no_save)
        function(*arguments, measuring=measuring, **others)

    options = (
        click.option(
            "--seconds", type=click.FloatRange(0, MAX_SECONDS), default=SECONDS,
            show_default=True, metavar="S",
            help="Measure until the median is known to 2%, but begin no round after S.",
        ),
        click.option(
            "--runs", type=click.IntRange(min=1), metavar="N",
            help="Measure so many runs instead.",
        ),
        click.option(
            "--warmup", type=click.IntRange(min=0), default=5, show_default=True, metavar="N",
            help="Runs at the beginning of each round, not measured.",
        ),
        click.option(
            "--cool-down", type=click.FloatRange(0, MAX_SECONDS), default=0.0, metavar="S",
            help="Seconds of rest between rounds, for devices that become warm.",
        ),
        click.option(
            "--cores", callback=checked_cores, default="all", show_default=True,
            metavar="CORES",
            help="CPUs of the device: all; big, the fastest; little, the slowest; or a list"
            " such as 4-7 or 0,2.",
        ),
        click.option(
            "--fresh", is_flag=True,
            help="Begin anew, also when the same command was interrupted.",
        ),
        click.option(
            "--no-save", is_flag=True,
            help="Leave the database of measurements as it is (octavo db).",
        ),
    )  # fmt: skip
    for option in reversed(options):
        with_measuring = option(with_measuring)
    return with_measuring


def measure_artifact(
    console: Console,
    device: str,
    artifact: Path,
    input_file: Path | None,
    num_threads: int,
    measuring: Measuring,
) -> "MeasuredProfile":
    """Measure where the artifact is meant to run, this machine or another: in rounds.

    Raises:
        DeviceError: It went away or failed; what was measured before is kept.
    """
    from octavo.compiler.cli.tensors import read_tensors
    from octavo.compiler.devices.inference import checked_inputs, input_names
    from octavo.compiler.devices.round_program import RoundPlan
    from octavo.compiler.measurements.profiling import measure_profile

    inputs = None
    if input_file is not None:
        inputs = checked_inputs(artifact, read_tensors(input_file, input_names(artifact)))
    plan = RoundPlan(
        runs=measuring.runs, seconds=measuring.seconds, warmup=measuring.warmup,
        num_threads=num_threads, cool_down_s=measuring.cool_down_s)
    lost: list[str] = []  # why rounds are not kept
    ended: list[Round] = []
    with (
        _opened(console) if measuring.is_kept else nullcontext() as store,
        progress_bar(console) as advance,
    ):

        def count(measured_round: "Round") -> None:
            ended.append(measured_round)
            if advance is not None:
                advance("rounds", len(ended), 0)

        keeper = None if store is None else _keeper(console, store, measuring, lost)
        profile = measure_profile(
            chosen_device(device), artifact, plan, inputs,
            cores=measuring.cores, keeper=keeper, on_round=count)
    for line in lost:
        console.warn(line)
    if profile.measured.failure:
        num_rounds = len(profile.measured.rounds)
        raise DeviceError(
            profile.measured.failure
            + (f"; {_count(num_rounds)} kept, and the same command goes on from there"
               if num_rounds and keeper is not None and not lost else ""))
    return profile


def _count(num_rounds: int) -> str:
    return f"{num_rounds} round{'s' if num_rounds > 1 else ''}"


def conditions_record(profile: "MeasuredProfile") -> dict[str, Any]:
    """What is known of the measurement beside its times, for the JSON document."""
    measured = profile.measured
    return {
        "conditions": {
            "cpus": list(profile.cpus),
            "before": to_json_value(profile.before),
            "after": to_json_value(profile.after),
        },
        "rounds": [
            {"median_us": r.latency_us, "runs": r.times.runs_us.size}
            | to_json_value(r.disturbance)
            for r in measured.rounds
        ],
        "interval_us": measured.interval_us,
        "is_steady": profile.noise.is_steady,
        "noise": list(profile.noise.reasons),
    }


def _opened(console: Console) -> "AbstractContextManager[ProfileStore | None]":
    """The database; without it a profile is measured and shown all the same."""
    from octavo.compiler.cli.database import open_database

    try:
        return open_database(console)
    except StoreError as error:
        console.warn(f"not kept: {error}")
        return nullcontext()


def _keeper(
    console: Console, store: "ProfileStore", measuring: Measuring, lost: list[str]
) -> "Keeper":
    """Keeps rounds in a database; what it cannot keep is told in ``lost``."""
    from octavo.compiler.measurements.kept_rounds import Keeper

    def resume(stored: "StoredProfile") -> None:
        console.note(
            f"going on with the profile that was interrupted after"
            f" {_count(len(stored.measured.rounds))}, begun at {stored.begun_at[:19]} UTC"
            " (--fresh begins anew)")

    return Keeper(store, measuring.is_fresh, lost.append, resume)
