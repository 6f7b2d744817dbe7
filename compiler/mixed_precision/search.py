"""``octavo search``: from a float model to a front of measured configurations."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from octavo.compiler.mixed_precision.ablation import ablate
from octavo.compiler.mixed_precision.accuracy import DROP, NOISE
from octavo.compiler.mixed_precision.choices import Table, bytes_table, make_problem
from octavo.compiler.mixed_precision.evaluator import (
    LATENCY,
    TURNS,
    EvaluatorMaker,
    question,
)
from octavo.compiler.mixed_precision.finalists import (
    Finalist,
    choose_best,
    pick_finalists,
)
from octavo.compiler.mixed_precision.journal import Journal
from octavo.compiler.mixed_precision.measuring import AnswerWorkers, Measuring, Mixed
from octavo.compiler.mixed_precision.network import Formats
from octavo.compiler.mixed_precision.options import BUFFER, BYTES, SearchOptions, latency_unit
from octavo.compiler.mixed_precision.record import Found
from octavo.compiler.mixed_precision.sensitivities import (
    Couplings,
    measure_couplings,
    measure_latencies,
    measure_losses,
)
from octavo.compiler.mixed_precision.solvers import levels_of, make_solver
from octavo.compiler.mixed_precision.verdict import nearest_to_limits
from octavo.compiler.search.ask_tell import AskTell
from octavo.compiler.search.front import nondominated
from octavo.compiler.search.integer_program import solve_program
from octavo.compiler.search.problem import Problem
from octavo.errors import DeviceError, GateError
from octavo.passes.layer_format import LayerFormat
from octavo.targets import get_target

FLOAT_REFERENCE = "float32"

# Stage, steps done, steps in all, and the front so far where there is one.
SearchProgress = Callable[[str, int, int, Sequence[Mapping[str, float]] | None], None]


@dataclass
class Search:
    """One search, from the journal on.

    Attributes:
        maker: What evaluations have in common.
        options: What the user wants.
        journal: Open.
        workers: Measure accuracy.
        on_device: Measures latency, where a device is given.
        resource: What a latency occupies of a cluster.
        progress: Told of every step.
    """

    maker: EvaluatorMaker
    options: SearchOptions
    journal: Journal
    workers: AnswerWorkers
    on_device: AnswerWorkers | None
    resource: str | None = None
    progress: SearchProgress = field(default=lambda stage, done, total, front: None)

    def __post_init__(self) -> None:
        self.network = self.maker.network()
        self._front: list[dict[str, float]] = []
        self._measuring = Measuring(
            self.journal, self.workers, self.on_device, self.resource, self._advance)

    def run(self) -> Found:
        """Search, measure the front again, choose.

        Raises:
            DeviceError: The device does not answer; the journal keeps what was measured.
            GateError: No configuration can meet the limit on bytes, whatever is measured.
        """
        formats = self.options.formats
        self._check_bytes()
        losses = measure_losses(self.network, formats, self._measuring)
        problem = self._problem(losses)
        ablation = ablate(self.network, problem.objectives[0], self._measuring)
        evaluations = self._search(problem, losses)
        finalists, references = self._measure_again(problem, evaluations)
        evaluations = self._on_one_scale(evaluations, references)
        best = choose_best(problem, finalists)
        unit = ""
        if self.options.device is not None:
            unit = latency_unit(self.options.device.device, get_target(self.maker.target))
        return Found(
            problem, evaluations, finalists, references, best, losses, unit, ablation)

    def _check_bytes(self) -> None:
        """Refuse a limit on bytes that no configuration meets, before anything is measured."""
        formats, limits = self.options.formats, self.options.limits
        if BYTES in limits:
            choices = dict.fromkeys(self.network.layers, formats)
            tables = {BYTES: bytes_table(self.network, formats)}
            only = Problem(choices, (BYTES,), {BYTES: limits[BYTES]}, tables)
            solve_program(only, minimize=BYTES)

    def _problem(self, losses: Table) -> Problem[LayerFormat]:
        loss = self._loss_name()
        tables = {loss: losses, BYTES: bytes_table(self.network, self.options.formats)}
        problem = make_problem(self.network, self.options, loss, tables)
        latencies = measure_latencies(self.network, self.options.formats, self._measuring)
        if latencies is None:
            return problem
        return replace(problem, tables={**problem.tables, LATENCY: latencies})

    def _loss_name(self) -> str:
        """Points of accuracy where the samples have labels, else noise."""
        first = dict.fromkeys(self.network.layers, self.options.formats[0])
        (measured,) = self._measuring.losses([first])
        return DROP if DROP in measured.values else NOISE

    def _search(self, problem: Problem[LayerFormat], losses: Table) -> list[Mixed]:
        couplings: Couplings = {}
        if self.options.solver == "bisection":
            levels = levels_of(self.options.formats)
            couplings = measure_couplings(
                self.network, self.options.formats, levels, losses, self._measuring)
        search = AskTell(make_solver(problem, self.options, losses, couplings))
        search.replay(list(self._measuring.evaluations(problem)))
        total = min(self.options.budget, problem.size)
        while asked := search.ask():
            self._front = _values(problem, search.evaluations)
            self.progress("evaluations", len(search.evaluations), total, self._front)
            search.tell(self._measuring.evaluate(problem, asked))
        self._front = _values(problem, search.evaluations)
        self.progress("evaluations", len(search.evaluations), total, self._front)
        first = dict.fromkeys(problem.choices, self.options.formats[0])
        base = self._measuring.evaluate(problem, [first])
        known = [e.configuration for e in search.evaluations]
        return [*search.evaluations, *(e for e in base if e.configuration not in known)]

    def _measure_again(
        self, problem: Problem[LayerFormat], evaluations: Sequence[Mixed]
    ) -> tuple[list[Finalist], dict[str, dict[str, float]]]:
        """Finalists and references, in turns where a device measures."""
        first = dict.fromkeys(problem.choices, self.options.formats[0])
        uniform = next(e for e in evaluations if e.configuration == first)
        picked = pick_finalists(problem, evaluations)
        chosen: list[Formats] = [{}, first, *(e.configuration for e in picked)]
        latencies, spreads = self._turns(chosen)
        finalists = []
        for number, evaluation in enumerate(picked, 2):
            again = {LATENCY: latencies[number]} if latencies else {}
            spread = {LATENCY: spreads[number]} if latencies else {}
            values = {**evaluation.objectives, **again}
            finalists.append(Finalist(replace(evaluation, objectives=values), spread))
        float_bytes = 4.0 * sum(self.network.weight(n).size for n in self.network.layers)
        lost = {problem.objectives[0]: 0.0} if problem.objectives[0] == DROP else {}
        buffer = {}
        if self.network.components:
            buffer[BUFFER] = float(self.network.live_bytes({}))
        references = {
            FLOAT_REFERENCE: {**lost, BYTES: float_bytes, **buffer},
            str(self.options.formats[0]): dict(uniform.objectives),
        }
        if latencies:
            references[FLOAT_REFERENCE][LATENCY] = latencies[0]
            references[str(self.options.formats[0])][LATENCY] = latencies[1]
        # What the second measurement found dominated is no front.
        front = nondominated([f.evaluation for f in finalists], problem.objectives)
        return [f for f in finalists if f.evaluation in front], references

    def _on_one_scale(
        self, evaluations: Sequence[Mixed], references: Mapping[str, Mapping[str, float]]
    ) -> list[Mixed]:
        """Latencies of the search, ratios to the first format's, times its last measurement.

        What changed on the machine since the search began is out of them.
        """
        if self.on_device is None:
            return list(evaluations)
        formats = self.options.formats[0]
        first = dict.fromkeys(self.network.layers, formats)
        (before,) = [e for e in evaluations if e.configuration == first]
        factor = references[str(formats)][LATENCY] / before.objectives[LATENCY]
        return [
            e
            if e.error is not None
            else replace(
                e, objectives={**e.objectives, LATENCY: factor * e.objectives[LATENCY]})
            for e in evaluations
        ]

    def _turns(self, chosen: Sequence[Formats]) -> tuple[list[float], list[float]]:
        if self.on_device is None:
            return [], []
        self.progress("measure the front again", 0, 1, self._front)
        asked = question(TURNS, *chosen)
        ((_, outcome),) = self.on_device.run([asked], resource=self.resource)
        if outcome.value is None:
            raise DeviceError(outcome.error or "")
        self.progress("measure the front again", 1, 1, self._front)
        count = range(len(chosen))
        return (
            [outcome.value[f"latency {n}"] for n in count],
            [outcome.value[f"spread {n}"] for n in count],
        )

    def _advance(self, kind: str, done: int, total: int) -> None:
        self.progress(f"measure {kind}", done, total, self._front)


def check_limits(found: Found) -> None:
    """Refuse limits that nothing meets.

    Raises:
        GateError: With the nearest that was measured.
    """
    if found.best is None:
        raise GateError(nearest_to_limits(found.problem, found.evaluations, found.unit))


def settings_of(maker: EvaluatorMaker, options: SearchOptions) -> dict[str, Any]:
    """What must not change between a search and its resumption."""
    arrays = hashlib.sha256()
    for samples in (maker.calibration, maker.judging):
        for sample in samples:
            for name, array in sample.items():
                arrays.update(f"{name} {array.dtype} {array.shape}".encode())
                arrays.update(array.tobytes())
    if maker.labels is not None:
        arrays.update(maker.labels.tobytes())
    return {
        "model": hashlib.sha256(maker.model).hexdigest(),
        "samples": arrays.hexdigest(),
        "target": maker.target,
        "requantize": maker.requantize,
        "recipe": json.loads(json.dumps(asdict(maker.recipe), default=str)),
        "overrides": [str(override) for override in maker.overrides],
        "formats": [str(chosen) for chosen in options.formats],
        "solver": options.solver,
        "seed": options.seed,
        "by_component": options.by_component,
        "limits": dict(options.limits),
        "device": None if options.device is None else asdict(options.device),
    }


def _values(
    problem: Problem[LayerFormat], evaluations: Sequence[Mixed]
) -> list[dict[str, float]]:
    front = nondominated(evaluations, problem.objectives)
    return [{name: e.objectives[name] for name in problem.objectives} for e in front]
