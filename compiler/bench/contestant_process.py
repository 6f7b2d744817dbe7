"""The process of one contestant: it loads, runs once for each input, and takes its turns.

Each has a process of its own, so that one that crashes or hangs is one line of the table, its
memory can be told from that of the others, and libraries do not share pools of threads.
"""

import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.bench.contestant import Contestant, import_runtime, load_program
from octavo.compiler.bench.memory import added_bytes, watch_memory
from octavo.compiler.bench.program import Inputs, Run
from octavo.compiler.bench.turn import time_turn
from octavo.compiler.devices.latency import DeviceTimes, Disturbance
from octavo.compiler.devices.measurement import Round
from octavo.compiler.workers.child import Pipe, picklable

SCHEDSTAT = Path("/proc/thread-self/schedstat")
WAITED = 1  # field: nanoseconds that the thread was ready and had no processor


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What loading and the first runs showed.

    Attributes:
        version: Of the runtime.
        load_us: From the file to a program that can run, the runtime imported before.
        first_run_us: The first inference.
        peak_bytes: What loading and running add to the memory of the process; None where
            the system does not tell.
        outputs: For each of the inputs, output names to arrays.
    """

    version: str
    load_us: float
    first_run_us: float
    peak_bytes: int | None
    outputs: tuple[dict[str, NDArray[Any]], ...]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """How a turn goes, see ``time_turn``."""

    burst: int = 1
    turn_s: float = 0.0
    settle_s: float = 0.0


def serve(
    pipe: Pipe,
    contestant: Contestant,
    num_threads: int,
    cpus: Sequence[int],
    inputs: Sequence[Inputs],
) -> None:
    """Be a contestant: answer with ``Loaded``, then to each ``Turn`` with a ``Round``.

    Args:
        pipe: To the parent. An exception is an answer too, the last one.
        contestant: Which.
        num_threads: Threads of the runtime.
        cpus: That the process stays on; empty: all.
        inputs: The first one is timed.
    """
    try:
        if cpus:  # before the runtime counts them
            os.sched_setaffinity(0, cpus)
        version = import_runtime(contestant.runtime)
        before, start_ns = watch_memory(), time.perf_counter_ns()
        program = load_program(contestant, num_threads)
        loaded_ns = time.perf_counter_ns()
        outputs = [program.run(inputs[0])]
        ran_ns, added = time.perf_counter_ns(), added_bytes(before)
        outputs += [program.run(arrays) for arrays in inputs[1:]]
        run = program.bind(inputs[0])
        pipe.send(
            Loaded(
                version=version,
                load_us=(loaded_ns - start_ns) / 1e3,
                first_run_us=(ran_ns - loaded_ns) / 1e3,
                peak_bytes=added,
                outputs=tuple(outputs),
            )
        )
        computed_s = time.process_time()
        while True:
            turn: Turn = pipe.recv()
            pipe.send(_round(run, turn, computed_s))
            computed_s = time.process_time()
    except EOFError:  # the parent needs no more
        return
    except Exception as error:  # whatever somebody else's runtime raises
        pipe.send(picklable(error))


def _round(run: Run, turn: Turn, computed_s: float) -> Round:
    """A turn; ``computed_s`` is of its beginning, with what threads did since the last."""
    waited_ns, preempted = _waited_ns(), _preemptions()
    times_us = time_turn(run, burst=turn.burst, turn_s=turn.turn_s, settle_s=turn.settle_s)
    disturbance = Disturbance(
        num_preemptions=_preemptions() - preempted,
        waited_share=min(1.0, (_waited_ns() - waited_ns) / max(sum(times_us) * 1e3, 1.0)),
        computed_s=time.process_time() - computed_s,
    )
    return Round(DeviceTimes(np.array(times_us), np.empty((0, 0))), disturbance)


def _preemptions() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


def _waited_ns() -> int:
    """Of this thread; 0 where the system does not tell.

    Source: Linux, Documentation/scheduler/sched-stats.rst.
    """
    try:
        return int(SCHEDSTAT.read_text(encoding="ascii").split()[WAITED])
    except (OSError, ValueError, IndexError):
        return 0
