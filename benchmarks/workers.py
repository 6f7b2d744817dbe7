"""How much faster worker processes evaluate: python -m benchmarks.workers.

Evaluations of ``octavo search``, quantizing the ResNet of examples/ and running it on the
images that judge it, by this process, by one worker process and by two, in turns with the same
configurations. Processes have started and rounded all layers before. Two processes need two
cores for themselves: where others work, ``chrt -r 1 python -m benchmarks.workers``. Writes
benchmarks/results/workers.json and workers.md.
"""

import json
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.result_rows import RESULTS
from octavo.compiler.importer import import_model
from octavo.compiler.mixed_precision.evaluator import (
    ACCURACY,
    EvaluatorMaker,
    Question,
    question,
    serialize,
)
from octavo.compiler.mixed_precision.run import DEFAULT_ROUNDING
from octavo.compiler.recipes import DEFAULT_RECIPE, get_recipe
from octavo.compiler.roofline.machine import this_machine
from octavo.compiler.workers import Workers, in_process, processes
from octavo.passes.layer_format import LayerFormat

RESNET = Path(__file__).parents[1] / "examples" / "resnet_digits"
FORMATS = tuple(map(LayerFormat.parse, ("w8a8", "w4a8")))
NUM_CALIBRATION = 32

Answers = dict[str, float]


@dataclass(frozen=True)
class Row:
    """Seconds of one evaluation by one kind of workers; speed against one worker process."""

    workers: str
    median_s: float
    fastest_s: float
    speed_up: float


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--questions", default=8, show_default=True, help="In each round.")
def main(rounds: int, questions: int) -> None:
    """Measure in turns."""
    maker = resnet()
    layers = maker.network().layers
    rng = np.random.default_rng(0)

    def draw(count: int) -> list[Question]:
        chosen = rng.integers(0, len(FORMATS), (count, len(layers)))
        return [
            question(ACCURACY, {n: FORMATS[i] for n, i in zip(layers, row, strict=True)})
            for row in chosen
        ]

    with ExitStack() as stack:
        kinds = {
            "this process": stack.enter_context(in_process(maker)),
            "1 process": stack.enter_context(processes(maker, 1)),
            "2 processes": stack.enter_context(processes(maker, 2)),
        }
        seconds: dict[str, list[float]] = {name: [] for name in kinds}
        # All layers in all formats, in every process: each of two has a part of four.
        warm_up = [question(ACCURACY, dict.fromkeys(layers, chosen)) for chosen in FORMATS]
        for workers in kinds.values():
            for one in warm_up:
                evaluate(workers, 4 * [one])
        for number in range(rounds):
            asked, answers = draw(questions), []
            # Whoever comes first has other conditions than whoever comes last.
            for name in sorted(kinds, reverse=bool(number % 2)):
                begin = time.perf_counter()
                answers.append(evaluate(kinds[name], asked))
                seconds[name].append((time.perf_counter() - begin) / questions)
            if any(answer != answers[0] for answer in answers):
                raise click.ClickException("workers do not agree")
    write(rows_of(seconds), rounds, questions)


def evaluate(workers: Workers[Question, Answers], asked: Sequence[Question]) -> list[Answers]:
    """What the configurations lose, in their order."""
    found = {index: outcome.unwrap() for index, outcome in workers.run(asked)}
    return [found[index] for index in range(len(asked))]


def resnet() -> EvaluatorMaker:
    """Evaluations of the ResNet as a search makes them."""
    calibration = np.load(RESNET / "calibration.npz")["image"][:NUM_CALIBRATION]
    test = np.load(RESNET / "test.npz")
    return EvaluatorMaker(
        name="resnet",
        model=serialize(import_model(RESNET / "resnet_digits.onnx")),
        calibration=[{"image": image[None]} for image in calibration],
        judging=[{"image": image[None]} for image in test["image"]],
        labels=test["label"],
        recipe=get_recipe(DEFAULT_RECIPE, rounding=DEFAULT_ROUNDING),
        overrides=(),
        target="host",
        requantize="float32",
        device=None,
    )


def rows_of(seconds: dict[str, list[float]]) -> list[Row]:
    """Medians over the rounds; speed-ups are medians of the ratios within a round."""
    one = np.array(seconds["1 process"])
    return [
        Row(name, float(np.median(its)), min(its), float(np.median(one / np.array(its))))
        for name, its in seconds.items()
    ]


def write(rows: Sequence[Row], rounds: int, questions: int) -> None:
    """Keep the result."""
    cores = len(os.sched_getaffinity(0))
    text = [
        f"Median of {rounds} rounds with {questions} evaluations each, on {cores} cores.",
        "",
        "| workers | one evaluation | fastest round | against 1 process |",
        "|---|---|---|---|",
    ]
    text += [
        f"| {row.workers} | {1e3 * row.median_s:.0f} ms | {1e3 * row.fastest_s:.0f} ms"
        f" | {row.speed_up:.2f}x |"
        for row in rows
    ]
    result = {
        "cpu": this_machine().cpu,
        "cores": cores,
        "rounds": rounds,
        "questions": questions,
        "rows": [asdict(row) for row in rows],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "workers.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "workers.md").write_text("\n".join(text) + "\n")
    click.echo("\n".join(text), err=True)


if __name__ == "__main__":
    main()
