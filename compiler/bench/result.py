"""What a comparison found, with the numbers that follow from the rounds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from octavo.compiler.bench.agreement import MIN_SQNR_DB, Agreement
from octavo.compiler.bench.contestant import Contestant
from octavo.compiler.bench.contestant_process import Loaded
from octavo.compiler.bench.entrant import Lost
from octavo.compiler.devices.measurement import Measurement
from octavo.compiler.report.comparison import Span, Verdict
from octavo.compiler.report.turns import RoundMedians, Turns

LOW, HIGH = 10, 90  # percentiles of all runs


@dataclass(frozen=True, kw_only=True)
class Row:
    """One contestant with one number of threads.

    Attributes:
        contestant: Which.
        model_bytes: Of the files that it loads.
        loaded: What loading showed; None where it failed.
        agreement: Of its outputs with the reference's; None where either has none.
        measurement: Its rounds.
        problem: Why there are no times, or no more of them; empty where there are.
        lost: How it lost a trial; None where it is in.
        speedup: How many times as fast the first row is, with 95% confidence; without limits
            (both equal to the value) where rounds are too few. None for what cannot be
            compared: the first row, one that failed, and one whose outputs are others.
        verdict: What ``speedup`` means: FASTER says that the first row is.
        noise: Why its times may not be repeatable, in sentences.
    """

    contestant: Contestant
    model_bytes: int
    loaded: Loaded | None
    agreement: Agreement | None
    measurement: Measurement
    problem: str = ""
    lost: Lost | None = None
    speedup: Span | None = None
    verdict: Verdict | None = None
    noise: tuple[str, ...] = ()

    @property
    def latency_us(self) -> float | None:
        """Median of the rounds' medians, microseconds."""
        return self.measurement.latency_us if self.measurement.rounds else None

    @property
    def spread_us(self) -> tuple[float, float] | None:
        """10th and 90th percentile of all runs, microseconds."""
        if not self.measurement.rounds:
            return None
        low, high = np.percentile(self.measurement.runs_us, (LOW, HIGH))
        return float(low), float(high)

    @property
    def is_same_network(self) -> bool | None:
        """Whether its outputs are what its precision may cost; None where nothing tells."""
        if self.agreement is None:
            return None
        return self.agreement.is_same_network(self.contestant.precision)


@dataclass(frozen=True, kw_only=True)
class BenchTable:
    """All contestants with one number of threads.

    Attributes:
        num_threads: Of each.
        rows: The first is what the others are held against.
        reference: Who said what is right; None where it failed too.
        noise: What the system counted meanwhile, in sentences.
    """

    num_threads: int
    rows: tuple[Row, ...]
    reference: Contestant | None
    noise: tuple[str, ...] = ()

    @property
    def in_rows(self) -> tuple[Row, ...]:
        """Those that were not beaten by one of their own kind."""
        return tuple(row for row in self.rows if row.lost is None)

    @property
    def num_rounds(self) -> int:
        """Of those that were not lost on the way."""
        return max((len(row.measurement.rounds) for row in self.rows), default=0)


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """A comparison.

    Attributes:
        inputs: ``given``, ``samples`` or ``synthetic``.
        machine: Name of the processor.
        tables: One for each number of threads.
        notes: One line for each thing that the user should know.
    """

    inputs: str
    machine: str
    tables: tuple[BenchTable, ...]
    notes: tuple[str, ...] = ()

    def warnings(self, *, is_brief: bool = False) -> list[str]:
        """What the user must not miss: failures, other outputs, and noise, in sentences.

        Args:
            is_brief: One sentence for each number of threads on what is noise, not one for
                each sign of it.
        """
        found = []
        for table in self.tables:
            for row in table.rows:
                lines = [*_faults(row), *(() if is_brief else row.noise)]
                found += [f"{row.contestant.full_title}: {line}" for line in lines]
            threads = f"{table.num_threads} thread{'s' if table.num_threads > 1 else ''}"
            found += [f"{threads}: {line}" for line in table.noise]
            noisy = [row for row in table.rows if row.noise]
            if is_brief and noisy:
                found.append(
                    f"{threads}: {len(noisy)} of {len(table.in_rows)} times, marked ~, may not"
                    " be repeatable within 5%; -v says why"
                )
        return list(dict.fromkeys(found))


def speedup(base: Measurement, other: Measurement) -> tuple[Span, Verdict] | tuple[None, None]:
    """Say how many times as fast the base is, from rounds that are neighbours.

    Args:
        base: What is held against.
        other: Another contestant, measured in turns with it.

    Returns:
        The ratio with 95% confidence, and what it means; None where one has no round.
    """
    if not base.rounds or not other.rounds:
        return None, None
    turns = Turns(_medians(other.medians_us), _medians(base.medians_us))
    ratio = other.latency_us / base.latency_us
    return turns.speedup() or Span(ratio, ratio, ratio), turns.run_verdict()


def _faults(row: Row) -> Iterator[str]:
    if row.problem:
        yield row.problem
    if row.is_same_network is False and row.agreement is not None:
        limit = MIN_SQNR_DB[row.contestant.precision]
        yield (
            f"its outputs are others, {row.agreement.sqnr_db:.1f} dB where"
            f" {row.contestant.precision} has at least {limit:.0f}: its times say nothing"
        )


def _medians(values: Sequence[float]) -> RoundMedians:
    return RoundMedians(tuple(values), ())
