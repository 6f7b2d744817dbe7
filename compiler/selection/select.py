"""Measure candidates, choose for every layer, measure the choice, and choose again."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from octavo.compiler.devices.measurement import Measurement
from octavo.compiler.lowering.program import Program
from octavo.compiler.selection.candidates import INT8, Candidate, uniform
from octavo.compiler.selection.costs import (
    DEQUANTIZE,
    QUANTIZE,
    Assignment,
    CostTable,
)
from octavo.compiler.selection.forecast import Forecast
from octavo.compiler.selection.layers import LayerGraph
from octavo.compiler.selection.solve import Conversion, Option, Solution, solve
from octavo.compiler.selection.trials import Bench, Trial, fastest
from octavo.errors import DeviceError, LoweringError, ToolchainError

MAX_CHOICES = 4  # each is built and measured; one that came before ends the search
MAX_FINALISTS = 6
HOPELESS = "not measured: predicted to be slower for every layer"
SELECTED = "selected"  # and a number: a choice of the integer program
# A layer leaves the first candidate for more than this part of its time.
MIN_GAIN = 0.01


@dataclass(frozen=True, eq=False)
class Selection:
    """What was chosen, and why.

    Attributes:
        chosen: The fastest of the finalists; the first candidate's program where it is not
            surely slower than that, unless the float build is the fastest.
        finalists: The last choices, the fastest programs with one candidate for all layers and
            the float build: measured side by side in the end.
        uniform: Programs with one candidate for all layers, as they were measured first.
        costs: Of layers and conversions.
        candidates: Those that work.
        solution: The last choice of the integer program.
    """

    chosen: Trial
    finalists: tuple[Trial, ...]
    uniform: tuple[Trial, ...]
    costs: CostTable
    candidates: tuple[Candidate, ...]
    solution: Solution


@dataclass
class Selector:
    """Carries out a selection.

    Attributes:
        graph: Layers of the model.
        candidates: The first is what all others are compared with.
        lower: Lowers the model with a candidate for each layer.
        bench: Builds and measures.
        builds: Other programs for the same model, by name, which the choice has to beat.
        forecast: Called once the first candidate is built; what it gives tells which of the
            others need no measurement. None: all are measured.
        progress: Called with what is being done, steps done and steps in all.
    """

    graph: LayerGraph
    candidates: Sequence[Candidate]
    lower: Callable[[Assignment], Program]
    bench: Bench
    builds: Mapping[str, Callable[[], Program]] = field(default_factory=dict)
    forecast: Callable[[], Forecast | None] = lambda: None
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None

    def __post_init__(self) -> None:
        self._names = [layer.name for layer in self.graph.layers]
        self._costs = CostTable(self.graph)

    def run(self) -> Selection:
        """Select.

        Raises:
            DeviceError: The first candidate could not be measured, or nothing in the end.
        """
        builds = [self._build(name, None, make) for name, make in self.builds.items()]
        uniform_trials = self._first_trials()
        names = {trial.name for trial in uniform_trials if math.isfinite(trial.latency_us)}
        working = tuple(c for c in self.candidates if c.name in names)
        if self.candidates[0] not in working:
            raise DeviceError(f"nothing was measured: {uniform_trials[0].measurement.failure}")
        choices, solution = self._choose(working, uniform_trials)
        finalists = self._measured_again((*choices, *uniform_trials), builds)
        chosen = fastest(finalists, uniform_trials[0])
        if not math.isfinite(chosen.latency_us):
            raise DeviceError(f"the choice was not measured: {chosen.measurement.failure}")
        return Selection(
            chosen, finalists, uniform_trials, self._costs, working, solution)

    def _first_trials(self) -> tuple[Trial, ...]:
        trials: list[Trial] = []
        lowest_us: Forecast | None = None
        for done, candidate in enumerate(self.candidates):
            self.progress("build candidates", done, len(self.candidates))
            trials.append(self._trial(candidate, lowest_us))
            if not done and (lowest_us := self.forecast()) is not None:
                trials = self._measure(trials, with_steps=True)
                self._learn(trials[0])
        self.progress("measure candidates", 0, 1)
        measured = self._measure(trials, with_steps=True)
        self.progress("measure candidates", 1, 1)
        self._learn(*measured)
        return tuple(measured)

    def _trial(self, candidate: Candidate, lowest_us: Forecast | None) -> Trial:
        """Build a candidate, unless it is sure to be slower than the first for every layer."""
        assignment = uniform(self._names, candidate)
        try:
            program = self.lower(assignment)
        except LoweringError as error:
            return Trial(candidate.name, None, assignment, -1, Measurement(failure=str(error)))
        if lowest_us is not None and self._is_hopeless(program, lowest_us):
            return Trial(candidate.name, None, assignment, -1, Measurement(failure=HOPELESS))
        return self._build(candidate.name, assignment, lambda: program)

    def _is_hopeless(self, program: Program, lowest_us: Forecast) -> bool:
        steps_us, first = lowest_us(program), self.candidates[0]
        if steps_us is None or not self._costs.is_known(first):
            return False
        layers_us, _ = self._costs.shares(program.steps, steps_us)
        return all(
            layers_us[name] > self._costs.layer_us(name, first) for name in self._names
        )

    def _choose(
        self, working: Sequence[Candidate], uniform_trials: Sequence[Trial]
    ) -> tuple[list[Trial], Solution]:
        """Choices in their order, each built and measured, and the last solution."""
        by_name = {candidate.name: candidate for candidate in working}
        reference, choices = uniform_trials[0], list[Trial]()
        seen = {self._key(uniform(self._names, candidate)) for candidate in working}
        while True:
            solution = self._solve(working)
            assignment = {n: by_name[solution.options[n]] for n in self._names}
            key = self._key(assignment)
            if key in seen or len(choices) == MAX_CHOICES:
                return choices, solution
            seen.add(key)
            self.progress("measure choices", len(choices), MAX_CHOICES)
            built = self._build(f"{SELECTED} {len(choices) + 1}", assignment)
            again, measured = self._measure([reference, built], with_steps=True)
            self._learn(again, measured)
            choices.append(measured)

    def _solve(self, working: Sequence[Candidate]) -> Solution:
        costs = self._costs
        options = {}
        for name in self._names:
            # Of several that are the same code for this layer, the first stands for all.
            distinct = {costs.signature(name, c): c for c in reversed(working)}
            options[name] = [
                Option(c.name, c.placement == INT8, self._cost(name, c, working[0]))
                for c in reversed(distinct.values())
            ]
        conversions = [
            Conversion(
                tensor,
                costs.conversion_us(tensor, DEQUANTIZE),
                costs.conversion_us(tensor, QUANTIZE),
            )
            for tensor in self.graph.tensors
        ]
        return solve(options, conversions)

    def _cost(self, layer: str, candidate: Candidate, first: Candidate) -> float:
        own_us, first_us = (self._costs.layer_us(layer, c) for c in (candidate, first))
        if candidate is first:
            return first_us
        if own_us < first_us * (1 - MIN_GAIN) and self._costs.is_faster(layer, candidate):
            return own_us
        return max(own_us, first_us) * (1 + MIN_GAIN)

    def _measured_again(
        self, trials: Sequence[Trial], builds: Sequence[Trial]
    ) -> tuple[Trial, ...]:
        """The best of what is known and the other builds, side by side."""
        known = sorted(trials, key=lambda trial: trial.latency_us)
        best = [trial for trial in known if math.isfinite(trial.latency_us)][:MAX_FINALISTS]
        first = next(t for t in trials if t.name == self.candidates[0].name)
        best = [first, *(trial for trial in best if trial is not first)]
        self.progress("measure finalists", 0, 1)
        measured = self._measure([*best, *builds], with_steps=False)
        self.progress("measure finalists", 1, 1)
        return tuple(measured)

    def _build(
        self,
        name: str,
        assignment: Assignment | None,
        make: Callable[[], Program] | None = None,
    ) -> Trial:
        """A trial that is not measured yet; that it cannot be built is kept as its failure."""
        try:
            program = make() if make is not None else self.lower(assignment or {})
            return Trial(name, program, assignment, self.bench.add(program), Measurement())
        except (LoweringError, ToolchainError) as error:
            return Trial(name, None, assignment, -1, Measurement(failure=str(error)))

    def _measure(self, trials: Sequence[Trial], *, with_steps: bool) -> list[Trial]:
        built = [trial for trial in trials if trial.number >= 0]
        records = self.bench.measure([t.number for t in built], with_steps=with_steps)
        measured = dict(zip((t.number for t in built), records, strict=True))
        return [
            replace(trial, measurement=measured.get(trial.number, trial.measurement))
            for trial in trials
        ]

    def _learn(self, reference: Trial, *others: Trial) -> None:
        """Take over what was measured in turns."""
        first = reference.measured
        if first is not None:
            self._costs.add(first, *(m for t in others if (m := t.measured) is not None))

    def _key(self, assignment: Assignment) -> tuple[str, ...]:
        """Equal for assignments that are the same code."""
        return tuple(
            "/".join(self._costs.signature(name, assignment[name])) for name in self._names
        )
