"""A contestant's process, seen from the one that compares: its answers, or why it has none."""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic

from octavo.compiler.bench.contestant import Contestant
from octavo.compiler.bench.contestant_process import Loaded, Turn, serve
from octavo.compiler.bench.program import Inputs
from octavo.compiler.devices.measurement import Measurement, Round
from octavo.compiler.workers.child import Child
from octavo.errors import OctavoError

LOAD_LIMIT_S = 600.0  # compilers inside of runtimes take minutes for large networks
SLOWDOWN, GRACE_S = 20, 10.0  # a turn that takes so much longer than those before it hangs
MAX_PROBLEM = 400  # characters of somebody else's message


@dataclass(frozen=True)
class Lost:
    """A trial against others of the same runtime and precision.

    Attributes:
        fastest_us: Fastest run, microseconds.
        ratio: That over the winner's, above 1.
    """

    fastest_us: float
    ratio: float


class Entrant:
    """A contestant with a process.

    Attributes:
        contestant: Which.
        loaded: What loading showed; None before, or where it failed.
        measurement: Its rounds so far.
        problem: Why it has no more answers, one line; empty while it has.
        error: What the process raised, if that ended it.
        lost: How it lost a trial, after which it takes no more turns; None where it is in.
    """

    def __init__(
        self,
        contestant: Contestant,
        num_threads: int,
        inputs: Sequence[Inputs],
        *,
        cpus: Sequence[int] = (),
        is_silent: bool = True,
    ) -> None:
        """Start the process.

        Args:
            contestant: Which.
            num_threads: Threads of the runtime.
            inputs: The first one is timed, all are run once.
            cpus: That the process stays on; empty: all.
            is_silent: What the runtime prints is dropped.
        """
        self.contestant = contestant
        self.loaded: Loaded | None = None
        self.measurement = Measurement()
        self.problem = ""
        self.error: Exception | None = None
        self.lost: Lost | None = None
        self._longest_s = 0.0
        self._is_closed = False
        arguments = (contestant, num_threads, tuple(cpus), tuple(dict(i) for i in inputs))
        self._child = Child(serve, *arguments, is_silent=is_silent)

    @property
    def is_going(self) -> bool:
        """Whether it can take turns."""
        return self.loaded is not None and not self.problem and self.lost is None

    @property
    def run_s(self) -> float:
        """A typical run, seconds; that of the first one before it had a turn."""
        if self.measurement.rounds:
            return self.measurement.latency_us * 1e-6
        return self.loaded.first_run_us * 1e-6 if self.loaded else math.inf

    def load(self, limit_s: float = LOAD_LIMIT_S) -> None:
        """Wait until it is loaded, or keep why it is not."""
        answer = self._answer(limit_s)
        if isinstance(answer, Loaded):
            self.loaded = answer

    def take_turn(self, turn: Turn, *, is_kept: bool = True) -> Round | None:
        """Let it run; keep the round, or why there is none.

        Args:
            turn: How.
            is_kept: Else it only warms up.
        """
        start_s = monotonic()
        with contextlib.suppress(OSError):  # it died: the answer will say so
            self._child.pipe.send(turn)
        expected_s = max(
            self._longest_s, turn.settle_s + turn.turn_s + (turn.burst + 1) * self.run_s
        )
        answer = self._answer(SLOWDOWN * expected_s + GRACE_S)
        if not isinstance(answer, Round):
            return None
        self._longest_s = max(self._longest_s, monotonic() - start_s)
        known = self.measurement
        computed_s = known.computed_s + answer.disturbance.computed_s
        rounds = (*known.rounds, answer) if is_kept else known.rounds
        self.measurement = replace(known, rounds=rounds, computed_s=computed_s)
        return answer

    def close(self) -> None:
        """End the process; the second time, do nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._child.kill()

    def _answer(self, limit_s: float) -> object:
        try:
            if not self._child.pipe.poll(limit_s):
                self.close()
                self.problem = f"it did not answer within {limit_s:.0f} s"
                return None
            answer = self._child.pipe.recv()
        except (EOFError, OSError):
            self._is_closed = True
            self.problem = f"its process ended {self._child.bury()}"
            return None
        if isinstance(answer, Exception):
            self.error, self.problem = answer, _in_one_line(answer)
        return answer


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:MAX_PROBLEM] or "no message"
    return text if isinstance(error, OctavoError) else f"{type(error).__name__}: {text}"
