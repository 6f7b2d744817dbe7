"""Compile candidates and time them: many at once, and one by one where that fails."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.tuning.trial_program import Candidate, TrialProgram
from octavo.errors import DeviceError, LoweringError, ToolchainError
from octavo.targets.base import Target

SECONDS_PER_BATCH = 2.0
TIMEOUT_S = 60.0  # of a batch, which takes a few seconds
DISPLACED_CACHES = 2  # so many times the second level is read to displace what it holds


@dataclass(frozen=True, eq=False)
class Timing:
    """What became of one candidate.

    Attributes:
        latencies_us: One per run, microseconds, (runs,); the same runs for the candidates of
            one call of ``Trials``. Empty where it failed.
        error: Why it failed, or "".
    """

    latencies_us: NDArray[np.float64]
    error: str = ""


# Compiles candidates and times them side by side, one timing each.
RunTrials = Callable[[Sequence[Candidate]], list[Timing]]


@dataclass(frozen=True)
class Trials:
    """Runs candidates on this machine, one thread.

    Attributes:
        target: What to generate code for.
        network_bytes: What one run of the network touches, weights included: so much memory
            passes between two runs of a layer, as far as it matters.
        seconds: How long a batch is timed.
    """

    target: Target
    network_bytes: int
    seconds: float = SECONDS_PER_BATCH

    def __call__(self, candidates: Sequence[Candidate]) -> list[Timing]:
        """Time candidates side by side; a failure is a value.

        Args:
            candidates: At least one.
        """
        try:
            return self._time(candidates)
        except (DeviceError, LoweringError, ToolchainError) as error:
            if len(candidates) == 1:
                return [Timing(np.empty(0), str(error))]
        # One of them fails: find out which, then time the others side by side again.
        alone = [self([candidate])[0] for candidate in candidates]
        healthy = [c for c, t in zip(candidates, alone, strict=True) if not t.error]
        if len(healthy) == len(candidates) or not healthy:
            return alone
        again = iter(self(healthy))
        return [timing if timing.error else next(again) for timing in alone]

    def _time(self, candidates: Sequence[Candidate]) -> list[Timing]:
        displaced_bytes = min(DISPLACED_CACHES * self.target.l2_bytes, self.network_bytes)
        trial = TrialProgram(self.target, displaced_bytes)
        program = trial.build(candidates)
        with tempfile.TemporaryDirectory(prefix="octavo-tune-") as name:
            folder, result = Path(name) / "artifact", Path(name) / "latencies.npy"
            write_artifact(program, self.target, None, folder)
            _run(folder, self.seconds, result)
            latencies_us = np.load(result, allow_pickle=False)
        return [Timing(latencies_us[step]) for step in trial.steps]


def _run(folder: Path, seconds: float, result: Path) -> None:
    module = "octavo.compiler.tuning.trial_process"
    command = [sys.executable, "-m", module, str(folder), str(seconds), str(result)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace",
            timeout=TIMEOUT_S + seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"no end after {error.timeout:.0f} s") from error
    except OSError as error:
        raise DeviceError(f"cannot start a process: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise DeviceError(lines[-1] if lines else f"ended with {done.returncode}")
