"""Searches of networks that were trained: limits hold where the search did not look."""

import math
from pathlib import Path

import pytest
from benchmarks.bisection_cases import (
    NUM_LAYERS,
    Case,
    perceptron_case,
    resnet_case,
    samples_of,
)

from octavo.compiler.mixed_precision.accuracy import AccuracyMeter
from octavo.compiler.mixed_precision.choices import bytes_table
from octavo.compiler.mixed_precision.evaluator import EvaluatorMaker, serialize
from octavo.compiler.mixed_precision.journal import FILE_NAME, Journal
from octavo.compiler.mixed_precision.options import SearchOptions
from octavo.compiler.mixed_precision.record import Found
from octavo.compiler.mixed_precision.search import Search
from octavo.compiler.recipes import get_recipe
from octavo.compiler.workers import in_process
from octavo.errors import GateError
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat

FOUR_BITS = LayerFormat(4, 8)

# Networks are trained for seconds, not to the end.
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def maker_of(case: Case, rounding: str = "nearest") -> EvaluatorMaker:
    calibration = samples_of(case.model, case.calibration)
    judging = samples_of(case.model, case.search.images)
    recipe = get_recipe("static_wi8_ai8", rounding=rounding)
    return EvaluatorMaker(
        "net", serialize(case.model), calibration, judging, case.search.labels, recipe, (),
        "host", "float32", None)  # fmt: skip


def found_by(maker: EvaluatorMaker, options: SearchOptions, folder: Path) -> Found:
    with Journal(folder / FILE_NAME) as journal, in_process(maker) as workers:
        return Search(maker, options, journal, workers, None).run()


def test_bisection_of_twelve_layers_keeps_the_drop_on_images_set_aside(tmp_path: Path) -> None:
    case = perceptron_case(0)
    maker = maker_of(case)
    options = SearchOptions(
        (EIGHT_BITS, FOUR_BITS), solver="bisection", budget=12, limits={"drop": 1.0}
    )
    found = found_by(maker, options, tmp_path)
    start = dict.fromkeys(found.problem.choices, EIGHT_BITS)
    asked = [e for e in found.evaluations if e.configuration != start]
    assert len(asked) <= math.ceil(math.log2(NUM_LAYERS)) + 2
    assert found.best is not None
    best = found.best.evaluation
    assert best.objectives["drop"] <= 1.0
    assert list(best.configuration.values()).count(FOUR_BITS) > NUM_LAYERS // 2
    aside = samples_of(case.model, case.aside.images)
    meter = AccuracyMeter(maker.network(), aside, case.aside.labels)
    assert meter.measure(best.configuration)["drop"] <= 1.0


def test_a_residual_network_within_a_size_loses_at_most_a_point(tmp_path: Path) -> None:
    maker = maker_of(resnet_case())
    uniform = 200_000  # more than 8 bits take
    limit = 0.7 * uniform

    options = SearchOptions(
        (EIGHT_BITS, FOUR_BITS), solver="integer-program", budget=3, limits={"bytes": limit}
    )
    found = found_by(maker, options, tmp_path)
    assert found.best is not None
    objectives = found.best.evaluation.objectives
    assert objectives["bytes"] <= limit < found.references["w8a8"]["bytes"] < uniform
    assert objectives["drop"] <= 1.0


def test_a_size_that_nothing_meets_is_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    maker = maker_of(resnet_case())
    formats = (EIGHT_BITS, FOUR_BITS)
    least = sum(row[FOUR_BITS] for row in bytes_table(maker.network(), formats).values())
    options = SearchOptions(formats, limits={"bytes": 50_000})
    with pytest.raises(GateError, match=rf"meets bytes <= 50000 \(least: {least:.0f}\)"):
        found_by(maker, options, tmp_path)
    with Journal(tmp_path / FILE_NAME) as journal:
        assert journal.measurements() == {}
