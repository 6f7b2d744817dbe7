"""How a search goes: a live view on a terminal, a line now and then everywhere else."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from octavo.compiler.cli.console import Console, one_line
from octavo.compiler.report.search_objectives import Objective, objective_of
from octavo.compiler.report.search_text import numbered, value_text

if TYPE_CHECKING:
    from rich.table import Table

    from octavo.compiler.mixed_precision.options import SearchOptions

LINE_SECONDS = 30.0  # between lines where there is no terminal
NUM_ROWS = 8  # of the front
BAR_COLUMNS = 30
Point = Mapping[str, float]


@dataclass
class _Stage:
    """Work that is told of in steps.

    Attributes:
        done: Steps that are done.
        total: Steps there are; 0: nobody knows.
        first_done: Steps that were done when it was first told of, by an earlier run.
        began: When that was, seconds.
    """

    done: int
    total: int
    first_done: int
    began: float

    def remaining(self, now: float) -> float | None:
        """Seconds that it will still take; None where nobody knows, or nothing is left."""
        steps = self.done - self.first_done
        if steps <= 0 or self.done >= self.total:
            return None
        return (self.total - self.done) * (now - self.began) / steps


class SearchProgress:
    """Shows a search while it runs; a context around it.

    Nothing goes to stdout. With -q, and with --json on a terminal, nothing is shown.
    """

    def __init__(
        self,
        console: Console,
        options: "SearchOptions",
        *,
        latency_unit: str = "ms",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Show nothing yet.

        Args:
            console: How much is asked for.
            options: What the search has to keep to.
            latency_unit: "ms", or what an emulator counts.
            clock: Seconds.
        """
        self._console, self._limits, self._unit = console, options.limits, latency_unit
        self._clock = clock
        self._stages: dict[str, _Stage] = {}
        self._stage = ""
        self._front: list[Point] = []
        self._began = self._said = clock()
        self._is_new = False  # something that no line has told of
        self._live: Any = None

    def __enter__(self) -> "SearchProgress":
        is_terminal = sys.stderr.isatty()
        if is_terminal and self._console.verbosity >= 0 and not self._console.json:
            from rich.console import Console as Terminal
            from rich.live import Live

            terminal = Terminal(stderr=True, markup=False, emoji=False, highlight=False)
            self._live = Live(
                get_renderable=self._view, console=terminal, transient=True,
                refresh_per_second=4,
            )  # fmt: skip
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._is_new:
            self._say()

    def update(
        self, stage: str, done: int, total: int, front: Sequence[Point] | None = None
    ) -> None:
        """Take note of a step.

        Args:
            stage: What is being done.
            done: Steps of it that are done.
            total: Steps of it; 0: nobody knows.
            front: Objectives of the points that nothing is better than so far; None: as
                before.
        """
        now = self._clock()
        known = self._stages.get(stage)
        if known is None or done < known.done:  # the next round of the same work
            self._stages[stage] = _Stage(done, total, done, now)
        else:
            known.done, known.total = done, total
        if front is not None:
            self._front = sorted(front, key=lambda p: [*p.values()][1:])
        self._stage, self._is_new = stage, True
        is_due = now - self._said >= LINE_SECONDS
        if self._live is None and (known is None or is_due):
            self._say()

    def _say(self) -> None:
        is_silent = self._console.json and sys.stderr.isatty()
        if not self._stages or is_silent:
            return
        stage = self._stages[self._stage]
        elapsed, left = _duration(self._clock() - self._began), self._left(stage)
        parts = [f"{self._stage} {_steps(stage)}", ", ".join(filter(None, (elapsed, left)))]
        if best := self._best():
            parts.append(f"best so far: {self._text(best)}")
        elif self._front:
            parts.append("nothing within the limits so far")
        self._console.note("; ".join(parts))
        self._said, self._is_new = self._clock(), False

    def _left(self, stage: _Stage) -> str:
        remaining = stage.remaining(self._clock())
        return "" if remaining is None else f"about {_duration(remaining)} left"

    def _view(self) -> "Table":
        """What is on the terminal; rich calls it several times a second."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        bars = Table.grid(padding=(0, 1))
        for name, stage in list(self._stages.items()):
            is_running = not stage.total or stage.done < stage.total
            if is_running or name == self._stage:
                total = stage.total or None
                bar = ProgressBar(total, stage.done, width=BAR_COLUMNS, pulse=total is None)
                bars.add_row(one_line(name), bar, _steps(stage), self._left(stage))
        view = Table.grid()
        view.add_row(bars)
        view.add_row(f"{_duration(self._clock() - self._began)} so far")
        if self._front:
            view.add_row(self._front_table())
        return view

    def _front_table(self) -> "Table":
        from rich.table import Table

        front, best = self._front, self._best()
        within = [point for point in front if self._is_within(point)]
        title = f"front: {numbered(len(front), 'point')}"
        if self._limits:
            title += f", {len(within)} within the limits"
        table = Table(
            box=None, pad_edge=False, title=title, title_justify="left", title_style=""
        )
        objectives = [self._objective(name) for name in front[0]]
        table.add_column("")
        for objective in objectives:
            table.add_column(objective.title, justify="right")
        others = [point for point in front if point not in within]
        kept = [*within, *others][:NUM_ROWS]
        for point in (p for p in front if p in kept):
            cells = [value_text(o, point[o.name]) for o in objectives]
            is_best, style = point is best, "" if point in within else "dim"
            table.add_row(
                "best" if is_best else "", *cells, style="bold" if is_best else style
            )
        if len(front) > len(kept):
            table.caption, table.caption_justify = f"{len(front) - len(kept)} more", "left"
        return table

    def _objective(self, name: str) -> Objective:
        return objective_of(name, self._unit)

    def _text(self, point: Point) -> str:
        found = ((self._objective(name), value) for name, value in point.items())
        return ", ".join(f"{o.title} {value_text(o, value)}" for o, value in found)

    def _is_within(self, point: Point) -> bool:
        return all(point.get(name, 0.0) <= limit for name, limit in self._limits.items())

    def _best(self) -> Point | None:
        """Within the limits, the least of what has none; where all have one, of the last."""
        within = [point for point in self._front if self._is_within(point)]
        return min(within, key=lambda point: [*self._priorities(point)], default=None)

    def _priorities(self, point: Point) -> Iterator[float]:
        yield from (value for name, value in point.items() if name not in self._limits)
        yield from (point[name] for name in reversed([*point]) if name in self._limits)


def _steps(stage: _Stage) -> str:
    return f"{stage.done}/{stage.total}" if stage.total else str(stage.done)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
