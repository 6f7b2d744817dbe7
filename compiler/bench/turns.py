"""Contestants in turns, round after round, until their medians are known well."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic

from octavo.compiler.bench.contestant_process import Turn
from octavo.compiler.bench.entrant import Entrant, Lost
from octavo.compiler.devices.measurement import TOLERANCE
from octavo.compiler.devices.median import MIN_VALUES

SECONDS = 20.0
TRIAL_TURNS = 3
TURN_S = 0.06
# With several threads a turn begins with a pause: worker threads of ONNX Runtime and OpenVINO
# spin for some 50 ms after a run, and take the cores of whoever is next.
THREADED_TURN_S, SETTLE_S = 0.12, 0.15


@dataclass(frozen=True, kw_only=True)
class TurnPlan:
    """How to measure.

    Attributes:
        rounds: Of every contestant; None: until every median is known to ``tolerance``.
        seconds: Without ``rounds``, none begins after so many seconds.
        warmup: Runs of every contestant before the first round.
        tolerance: Half of the interval of the median, as a part of the median.
    """

    rounds: int | None = None
    seconds: float = SECONDS
    warmup: int = 3
    tolerance: float = TOLERANCE


def turn_of(num_threads: int) -> Turn:
    """How long a turn is."""
    if num_threads == 1:
        return Turn(turn_s=TURN_S)
    return Turn(turn_s=THREADED_TURN_S, settle_s=SETTLE_S)


def leave_out_slower(groups: Iterable[Sequence[Entrant]], num_threads: int) -> None:
    """Let entrants of one kind try, leave the fastest in and end the others.

    Args:
        groups: Of entrants, loaded or not.
        num_threads: Of each.
    """
    turn = turn_of(num_threads)
    for group in groups:
        fastest_us: dict[int, float] = {}
        going = [entrant for entrant in group if entrant.is_going]
        for _ in range(TRIAL_TURNS if len(going) > 1 else 0):
            for index, entrant in enumerate(going):
                tried = entrant.take_turn(turn, is_kept=False)
                if tried is not None:
                    time_us = float(tried.times.runs_us.min())
                    fastest_us[index] = min(time_us, fastest_us.get(index, time_us))
        best_us = min(fastest_us.values(), default=0.0)
        for index, time_us in fastest_us.items():
            if time_us > best_us and going[index].is_going:
                going[index].lost = Lost(time_us, time_us / best_us)
                going[index].close()


def measure_in_turns(
    entrants: Sequence[Entrant],
    plan: TurnPlan,
    num_threads: int,
    on_round: Callable[[int], None] | None = None,
) -> None:
    """Measure entrants that are loaded; what they answer stays with them.

    The order alternates: who comes after a large program finds the caches full of it, and
    that should not always be the same one. One that fails drops out.

    Args:
        entrants: Who takes part.
        plan: How.
        num_threads: Of each.
        on_round: Called with the number of rounds that have ended.
    """
    turn = turn_of(num_threads)
    if plan.warmup:
        for entrant in filter(_is_going, entrants):
            entrant.take_turn(Turn(burst=plan.warmup), is_kept=False)
    order, num_rounds, end_s = list(entrants), 0, monotonic() + plan.seconds
    while num_rounds == 0 or not _is_enough(entrants, plan, num_rounds, end_s):
        for entrant in filter(_is_going, order):
            entrant.take_turn(turn)
        order.reverse()
        num_rounds += 1
        if on_round is not None:
            on_round(num_rounds)


def _is_going(entrant: Entrant) -> bool:
    return entrant.is_going


def _is_enough(
    entrants: Sequence[Entrant], plan: TurnPlan, num_rounds: int, end_s: float
) -> bool:
    going = [entrant for entrant in entrants if entrant.is_going]
    if not going:
        return True
    if plan.rounds is not None:
        return num_rounds >= plan.rounds
    if monotonic() >= end_s:
        return True
    # Half of the time at least: intervals of few rounds are narrow by chance.
    is_early = monotonic() < end_s - plan.seconds / 2
    return (
        not is_early
        and num_rounds >= MIN_VALUES
        and all(entrant.measurement.is_tight(plan.tolerance) for entrant in going)
    )
