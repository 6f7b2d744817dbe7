"""Whether the verdict on noise is right: many profiles of one artifact, alone and under load.

    python -m benchmarks.repeatability [NETWORK]

Profiles are measured as ``octavo profile`` does, in random order: alone, beside programs that
compute, that stream through memory, or that come and go. Of every pair whose p50 differ by
more than 5%, the verdict must call one too noisy to be repeated. Writes
benchmarks/results/repeatability.json and repeatability.md.
"""

import json
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import click
import numpy as np

import octavo
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.devices.local import LocalDevice
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.measurements.kept_rounds import Keeper
from octavo.compiler.measurements.profiles import ProfileStore
from octavo.compiler.measurements.profiling import measure_profile
from octavo.compiler.roofline.machine import this_machine

RESULTS = Path(__file__).parent / "results"
LIMIT = 0.05
NUM_CALIBRATION = 16
SECONDS = 2.5
ALONE, COMPUTING, STREAMING, BURSTS = "alone", "computing", "streaming", "coming and going"
KINDS = (ALONE,) * 8 + (COMPUTING,) * 4 + (STREAMING,) * 4 + (BURSTS,) * 4
EVIDENCE = {"the rounds": "of_rounds", "the program": "of_program", "the system": "of_system"}
BURST_S = (0.1, 0.8)
STREAM_BYTES = 256 << 20


@dataclass(frozen=True)
class Outcome:
    """One profile.

    Attributes:
        kind: What ran beside it.
        latency_us: p50 of the whole run.
        interval_us: Where the median is with 95% confidence, if that can be said.
        num_rounds: Rounds behind it.
        noise: Why it is too noisy, by kind of evidence.
        others: CPUs that other programs kept at work, by the system's own account.
        waited_share: Part of the runs' time without a processor.
    """

    kind: str
    latency_us: float
    interval_us: tuple[float, float] | None
    num_rounds: int
    noise: dict[str, tuple[str, ...]]
    others: float
    waited_share: float

    def is_noisy(self, without: str = "") -> bool:
        """Whether any evidence says so, but for one kind."""
        return any(lines for kind, lines in self.noise.items() if kind != without)


def compute() -> None:
    """Keep a CPU at work, in its registers."""
    while True:
        sum(range(100_000))


def stream() -> None:
    """Read and write memory."""
    data = np.zeros(STREAM_BYTES // 8)
    while True:
        data += 1.0


def come_and_go() -> None:
    """Compute for a while, sleep for a while."""
    generator = random.Random(os.getpid())
    while True:
        end = time.monotonic() + generator.uniform(*BURST_S)
        while time.monotonic() < end:
            sum(range(100_000))
        time.sleep(generator.uniform(*BURST_S))


LOADS = {ALONE: (), COMPUTING: (compute, compute), STREAMING: (stream,),
         BURSTS: (come_and_go, come_and_go)}  # fmt: skip


@contextmanager
def beside(kind: str) -> Iterator[None]:
    """Run the programs of a kind, on any CPU."""
    processes = [multiprocessing.Process(target=load, daemon=True) for load in LOADS[kind]]
    for process in processes:
        process.start()
        os.sched_setaffinity(process.pid or 0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def profile(artifact: Path, store: ProfileStore, kind: str) -> Outcome:
    """Measure once beside programs of a kind."""
    with beside(kind):
        start_s = time.monotonic()
        found = measure_profile(
            LocalDevice(), artifact, RoundPlan(seconds=SECONDS), keeper=Keeper(store))
        elapsed_s = time.monotonic() - start_s
    measured = found.measured
    busy_s = found.after.busy_s - found.before.busy_s - measured.computed_s
    return Outcome(
        kind=kind,
        latency_us=float(np.median(measured.runs_us)),
        interval_us=measured.interval_us,
        num_rounds=len(measured.rounds),
        noise={kind: getattr(found.noise, name) for kind, name in EVIDENCE.items()},
        others=busy_s / elapsed_s,
        waited_share=float(np.mean([r.disturbance.waited_share for r in measured.rounds])),
    )


def pair_counts(outcomes: list[Outcome], without: str = "") -> dict[str, int]:
    """How many pairs agree, and of how many the verdict warns without a kind of evidence."""
    counts = dict.fromkeys(
        ("agree, both steady", "agree, warned of", "differ, warned of", "differ, missed"), 0)
    for first, second in combinations(outcomes, 2):
        low, high = sorted((first.latency_us, second.latency_us))
        agreement = "agree" if high <= low * (1 + LIMIT) else "differ"
        is_warned = first.is_noisy(without) or second.is_noisy(without)
        unwarned = "both steady" if agreement == "agree" else "missed"
        counts[f"{agreement}, {'warned of' if is_warned else unwarned}"] += 1
    return counts


def text(network: str, outcomes: list[Outcome], counts: dict[str, int]) -> str:
    """The page of results."""
    lines = [
        "# Repeated profiles", "",
        f"{len(outcomes)} profiles of {network} (INT8, one thread) of {SECONDS:g} s each on"
        f" {this_machine().cpu}, in random order. Made by"
        " `python -m benchmarks.repeatability`. Alone is without programs of this script; what"
        " else ran is in the last table.",
        "", "| beside | profiles | p50 from | to | called noisy |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for kind in LOADS:
        found = [outcome for outcome in outcomes if outcome.kind == kind]
        times = [outcome.latency_us for outcome in found]
        noisy = sum(outcome.is_noisy() for outcome in found)
        lines.append(
            f"| {kind} | {len(found)} | {min(times):.0f} us | {max(times):.0f} us"
            f" | {noisy} of {len(found)} |")
    lines += ["", f"All pairs; they agree when their p50 are within {LIMIT:.0%}:", "",
              "| pairs | number |", "|---|---|"]  # fmt: skip
    lines += [f"| {name} | {number} |" for name, number in counts.items()]
    lines += ["", "Pairs that differ and would be missed without one kind of evidence:", "",
              "| without | missed |", "|---|---|"]  # fmt: skip
    lines += [
        f"| {kind} | {pair_counts(outcomes, kind)['differ, missed']} |" for kind in EVIDENCE]
    lines += ["", "Every profile, in the order that they were measured:", "",
              "| beside | p50 | rounds | CPUs of others | waited | why noisy |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| {o.kind} | {o.latency_us:.0f} us | {o.num_rounds} | {o.others:.2f}"
        f" | {o.waited_share:.1%} | {'; '.join(sum(o.noise.values(), ()))} |"
        for o in outcomes
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.argument("network", default="mobilenet_v2")
@click.option("--seed", default=0, help="Of the order.")
@click.option("--artifact", type=click.Path(path_type=Path), help="Compiled before.")
def main(network: str, seed: int, artifact: Path | None) -> None:
    """Measure, and write the results."""
    kinds = list(KINDS)
    random.Random(seed).shuffle(kinds)
    with tempfile.TemporaryDirectory() as folder:
        if artifact is None:
            artifact = Path(folder) / "artifact"
            samples = find_entry(network).samples(NUM_CALIBRATION)
            data = {key: np.concatenate([s[key] for s in samples]) for key in samples[0]}
            octavo.compile(model_path(network), "host", artifact, samples=data)
        with ProfileStore(Path(folder) / "measurements.sqlite") as store:
            outcomes = [profile(artifact, store, kind) for kind in kinds]
    counts = pair_counts(outcomes)
    record = {"network": network, "machine": asdict(this_machine()), "pairs": counts,
              "profiles": [asdict(outcome) for outcome in outcomes]}  # fmt: skip
    RESULTS.joinpath("repeatability.json").write_text(json.dumps(record, indent=1) + "\n")
    page = text(network, outcomes, counts)
    RESULTS.joinpath("repeatability.md").write_text(page)
    click.echo(page)


if __name__ == "__main__":
    main()
