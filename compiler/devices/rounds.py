"""The one way to measure: rounds of runs, taken in turns, until the median is known well.

A round is a process of its own: it warms up, times whole runs, then runs with a clock around
each step. Runs of one process share what the process got by chance, where its memory lies
above all, and follow each other so closely that one disturbance hits many. So the median of a
round counts as one value, and rounds as independent ones. Programs that are to be compared
take turns, in alternating order, so that what changes on the machine meets all of them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from octavo.compiler.devices.base import Deployment
from octavo.compiler.devices.measurement import Measurement, Round
from octavo.compiler.devices.round_program import RoundPlan, RoundProgram

# With the index of the program, when its round ends.
OnRound = Callable[[int, Round], None]


def measure_rounds(
    deployments: Sequence[Deployment],
    plan: RoundPlan,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    earlier: Sequence[Measurement] | None = None,
    on_round: OnRound | None = None,
) -> list[Measurement]:
    """Measure programs side by side.

    Args:
        deployments: The programs, on one device or on several.
        plan: How.
        inputs: Of every program, one array per model input, as ``checked_inputs`` gives them;
            None: zeros.
        earlier: What was measured before and counts, one record per deployment; None: nothing.
        on_round: Called when a round ends.

    Returns:
        One record per deployment. A program that fails keeps the rounds that it had and the
        reason, and the others go on without it.
    """
    known = earlier or [Measurement()] * len(deployments)
    # A short time for many programs is for short rounds: enough of them for an interval.
    share = replace(plan, seconds=plan.seconds / max(1, len(deployments)))
    programs = [
        RoundProgram(deployment, share, measured)
        for deployment, measured in zip(deployments, known, strict=True)
    ]
    end_s = time.monotonic() + plan.seconds
    for program in programs:
        program.prepare(inputs or {})
    turns = list(enumerate(programs))
    rest_s, is_first = 0.0, True
    while is_first or not _is_enough(programs, plan, is_late=time.monotonic() >= end_s):
        for index, program in turns:
            if not program.is_wanted:
                continue
            time.sleep(rest_s)
            rest_s = plan.cool_down_s
            measured = program.measure()
            if measured is not None and on_round is not None:
                on_round(index, measured)
        turns.reverse()
        is_first = False
    return [program.measurement for program in programs]


def _is_enough(programs: Sequence[RoundProgram], plan: RoundPlan, *, is_late: bool) -> bool:
    going = [program for program in programs if program.is_wanted]
    if not going or plan.runs is not None:
        return not going
    return is_late or all(p.measurement.is_tight(plan.tolerance) for p in going)
