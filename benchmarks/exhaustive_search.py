"""Searches of the digits network against all 729 configurations of formats and kernels.

Each of six layers takes 8, 4 bits or float, which are two kernels: programs differ in which
layers are in float, and all 64 of them are measured. Every configuration is evaluated once.
The search then runs as ``octavo search`` runs it, with workers that answer from this table.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np

from benchmarks.front_shares import SEEDS, Volume
from octavo.compiler.closing import Closing
from octavo.compiler.importer import import_model
from octavo.compiler.mixed_precision.choices import bytes_table
from octavo.compiler.mixed_precision.evaluator import (
    ACCURACY,
    LATENCY,
    TURNS,
    EvaluatorMaker,
    Question,
    question,
    serialize,
)
from octavo.compiler.mixed_precision.journal import FILE_NAME, Journal
from octavo.compiler.mixed_precision.options import BYTES, SearchOptions
from octavo.compiler.mixed_precision.run import DEFAULT_ROUNDING
from octavo.compiler.mixed_precision.search import Search
from octavo.compiler.recipes import get_recipe
from octavo.compiler.samples import open_samples
from octavo.compiler.search.front import nondominated
from octavo.compiler.search.problem import Evaluation
from octavo.compiler.selection.options import SelectionOptions
from octavo.compiler.workers import Outcome
from octavo.passes.layer_format import LayerFormat
from octavo.targets import get_target

DIGITS = Path(__file__).parents[1] / "examples" / "digits"
TARGET = "host"
DEVICE = SelectionOptions("local", seconds=1.0)
SHARE = 0.15  # of all configurations
LOSSES = ("drop", "noise")  # with labels and without

Answer = Mapping[str, float]


def digits_maker(with_labels: bool) -> EvaluatorMaker:
    """The digits network as ``octavo search`` reads it; judged on its test images."""
    model = import_model(DIGITS / "digits.onnx")
    with np.load(DIGITS / "test.npz") as data:
        labels = data["label"].astype(np.int64)
    return EvaluatorMaker(
        "digits",
        serialize(model),
        list(open_samples(DIGITS / "calibration.npz", model)),
        list(open_samples(DIGITS / "test.npz", model)),
        labels if with_labels else None,
        get_recipe("static_wi8_ai8", rounding=DEFAULT_ROUNDING),
        (),
        TARGET,
        get_target(TARGET).requantize,
        DEVICE,
    )


class AnswerTable:
    """Every answer that a search of formats can ask for, measured beforehand.

    Attributes:
        options: Formats and device.
    """

    def __init__(self, formats: Sequence[LayerFormat]) -> None:
        maker = digits_maker(with_labels=True)
        self.options = SearchOptions(tuple(formats), device=DEVICE)
        evaluator = maker()
        self.layers = evaluator.network.layers
        self._bytes = bytes_table(evaluator.network, formats)
        self._answers: dict[Question, Answer] = {}
        self._float_latency = 0.0
        try:
            chosen = [
                dict(zip(self.layers, choice, strict=True))
                for choice in product(formats, repeat=len(self.layers))
            ]
            uniform = [dict.fromkeys(self.layers, one) for one in formats]
            asked = [question("layers", one) for one in uniform]
            asked += [question(kind, one) for one in chosen for kind in (LATENCY, ACCURACY)]
            asked.append(question(LATENCY, {}))
            with click.progressbar(asked, label="all configurations") as bar:
                for one in bar:
                    self._answers[one] = evaluator(one)
        finally:
            evaluator.close()
        self.every = [self._evaluation(one) for one in chosen]

    def answer(self, asked: Question, loss: str) -> Answer:
        """What was measured; of the losses that one only, as with or without labels."""
        if asked.kind == TURNS:
            values: dict[str, float] = {}
            for number, formats in enumerate(asked.formats):
                found = self._answers[question(LATENCY, formats)]
                values |= {f"latency {number}": found[LATENCY], f"spread {number}": 0.0}
            return values
        found = self._answers[asked]
        return {n: v for n, v in found.items() if n not in LOSSES or n in ("noise", loss)}

    def _evaluation(self, formats: Mapping[str, LayerFormat]) -> Evaluation[LayerFormat]:
        size = sum(self._bytes[layer][chosen] for layer, chosen in formats.items())
        lost, time = (self._answers[question(kind, formats)] for kind in (ACCURACY, LATENCY))
        return Evaluation(formats, {**lost, **time, BYTES: size})


class TableWorkers(Closing):
    """Workers that look answers up, and count the configurations they were asked for."""

    def __init__(self, table: AnswerTable, loss: str) -> None:
        self._table, self._loss = table, loss
        self.num_evaluated = 0

    def run(
        self, items: Sequence[Question], *, resource: str | None = None
    ) -> Iterator[tuple[int, Outcome[Answer]]]:
        for index, asked in enumerate(items):
            self.num_evaluated += asked.kind == ACCURACY
            yield index, Outcome(self._table.answer(asked, self._loss))

    def close(self) -> None:
        """Nothing to end."""


def search_table(table: AnswerTable, loss: str) -> dict[str, Any]:
    """Share of the exhaustive front's hypervolume that searches find, by solver."""
    names = (loss, LATENCY, BYTES)
    volume = Volume(table.every, names)
    most = int(SHARE * len(table.every))
    single = len(table.layers) * (len(table.options.formats) - 1) + 1  # sensitivities
    budgets = {"front": most - single, "random": most}
    result: dict[str, Any] = {
        "formats": [str(chosen) for chosen in table.options.formats],
        "objectives": names,
        "num_configurations": len(table.every),
        "num_points": len(nondominated(table.every, names)),
        "shares": {},
        "num_evaluated": {},
    }
    for solver, budget in budgets.items():
        runs = [_search(table, loss, solver, budget, seed) for seed in SEEDS]
        result["shares"][solver] = [volume.share(found) for found, _ in runs]
        result["num_evaluated"][solver] = [count for _, count in runs]
    return result


def _search(
    table: AnswerTable, loss: str, solver: str, budget: int, seed: int
) -> tuple[Sequence[Evaluation[LayerFormat]], int]:
    """What the solver's configurations measured, and how many were evaluated in all.

    Random configurations need no sensitivities: those evaluations are not counted for them.
    """
    options = replace(table.options, solver=solver, budget=budget, seed=seed)
    workers = TableWorkers(table, loss)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        journal = stack.enter_context(Journal(folder / FILE_NAME))
        maker = digits_maker(with_labels=loss == "drop")
        search = Search(maker, options, journal, workers, workers)
        found = search.run()
    count = budget if solver == "random" else workers.num_evaluated
    return found.evaluations, count
