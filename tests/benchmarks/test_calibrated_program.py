"""CalibTIP's integer program, against everything that it could have chosen."""

from itertools import product

import pytest
from benchmarks.calibrated_program import (
    BITS,
    BUDGETS,
    CALIBRATED,
    FOUR_LAYERS,
    NEAREST,
    Digits,
    program,
)


@pytest.fixture(scope="module")
def digits():
    return Digits()


@pytest.fixture(scope="module")
def measured(digits):
    """All configurations of four layers, by the way their weights are rounded."""
    widths = [BITS if layer in FOUR_LAYERS else BITS[:1] for layer in digits.layers]
    return {
        way: {
            bits: digits.answers(constants, bits)
            for constants in (digits.constants(way),)
            for bits in product(*widths)
        }
        for way in (NEAREST, CALIBRATED)
    }


@pytest.mark.parametrize("share", BUDGETS)
def test_what_it_chooses_is_among_the_three_best(digits, measured, share):
    row = program(digits, CALIBRATED, measured[CALIBRATED], FOUR_LAYERS, share)
    assert digits.num_bytes(row["bits"]) <= row["limit"]
    assert row["rank"] <= 3
    assert row["rank_unseen"] <= 3


def test_rounded_weights_lose_less_in_the_smallest_budget(digits, measured):
    rows = {
        way: program(digits, way, measured[way], FOUR_LAYERS, BUDGETS[0]) for way in measured
    }
    assert rows[CALIBRATED]["wrong"] < 0.02 < rows[NEAREST]["wrong"]
