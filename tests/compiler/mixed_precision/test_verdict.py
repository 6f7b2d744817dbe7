"""Evidence that nothing beats the first format: said where it is so, and only there."""

import pytest

from octavo.compiler.mixed_precision.verdict import why_not_better
from octavo.compiler.search.problem import Evaluation, Problem
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat

FOUR_BITS = LayerFormat(4, 8)
NAMES = ("drop", "latency", "bytes")
BASE = {"drop": 0.5, "latency": 2.0, "bytes": 1000.0}


def _lines(**changed: float) -> list[str]:
    problem = Problem({"fc": (EIGHT_BITS, FOUR_BITS)}, NAMES)
    evaluations = [
        Evaluation({"fc": EIGHT_BITS}, BASE),
        Evaluation({"fc": FOUR_BITS}, {**BASE, **changed}),
        Evaluation({"fc": FOUR_BITS}, {}, "no kernel"),
    ]
    return list(why_not_better(problem, evaluations, {"w8a8": BASE}, "ms"))


@pytest.mark.parametrize(
    "changed",
    [{"bytes": 500.0}, {"bytes": 999.0, "drop": 0.0}, {"bytes": 500.0, "latency": 2.02}],
)
def test_what_is_smaller_and_nowhere_worse_needs_no_words(changed: dict[str, float]) -> None:
    assert _lines(**changed) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"bytes": 500.0, "drop": 0.6}, "loses least has accuracy lost 0.60 points"),
        ({"bytes": 500.0, "latency": 2.2}, "latency 2.20 ms"),
    ],
)
def test_what_is_worse_in_something_is_shown(changed: dict[str, float], said: str) -> None:
    first, nearest = _lines(**changed)
    assert "2 configurations were measured, 1 of them smaller than w8a8" in first
    assert said in nearest


def test_without_anything_smaller_there_is_no_nearest() -> None:
    (only,) = _lines()
    assert "0 of them smaller" in only
