"""How far outputs are from the reference's, from made-up numbers."""

import math

import numpy as np
import pytest

from octavo.compiler.bench.agreement import Grid, compare_outputs
from octavo.errors import DataError


def outputs(**arrays):
    return [{name: np.array(array) for name, array in arrays.items()}]


def test_equal_outputs_have_no_difference():
    found = compare_outputs(
        outputs(y=[1.0, math.nan, math.inf]), outputs(y=[1.0, math.nan, math.inf])
    )
    assert (found.equal_share, found.sqnr_db, found.max_difference) == (1.0, 150.0, 0.0)
    assert found.max_steps is None


def test_the_worst_output_counts():
    expected = outputs(a=[10.0, 0.0], b=[1.0, 1.0])
    found = compare_outputs(expected, outputs(a=[10.0, 0.1], b=[1.0, 1.5]))
    assert found.sqnr_db == pytest.approx(10 * math.log10(2 / 0.25))
    assert found.equal_share == 0.5
    assert found.max_difference == 0.5


def test_noise_of_all_inferences_counts_together():
    expected = [*outputs(y=[3.0]), *outputs(y=[4.0])]
    found = compare_outputs(expected, [*outputs(y=[3.0]), *outputs(y=[3.5])])
    assert found.sqnr_db == pytest.approx(10 * math.log10(25 / 0.25))


def test_steps_are_those_of_the_output():
    expected = outputs(y=np.array([5, 7], np.int8), x=[0.5])
    actual = outputs(y=np.array([5, 9], np.int8), x=[1.25])
    found = compare_outputs(expected, actual, {"y": Grid(1.0, 5), "x": Grid(0.25)})
    assert found.max_steps == 3.0
    # The integer 5 stands for 0: only 7 has a signal.
    assert compare_outputs(
        outputs(y=expected[0]["y"]), outputs(y=actual[0]["y"]), {"y": Grid(1.0, 5)}
    ).sqnr_db == pytest.approx(0.0)
    assert compare_outputs(expected, actual, {"y": Grid()}).max_steps is None


def test_integers_do_not_wrap_around():
    found = compare_outputs(
        outputs(y=np.array([-128], np.int8)),
        outputs(y=np.array([127], np.int8)),
        {"y": Grid()},
    )
    assert found.max_steps == 255


def test_what_is_no_number_on_one_side_is_infinitely_far():
    found = compare_outputs(outputs(y=[1.0, 2.0]), outputs(y=[1.0, math.nan]))
    assert (found.max_difference, found.sqnr_db) == (math.inf, -150.0)
    assert not found.is_same_network("int8")


def test_outputs_of_other_names_are_taken_in_order():
    assert (
        compare_outputs(outputs(a=[1.0], b=[2.0]), outputs(c=[1.0], d=[2.0])).equal_share == 1
    )
    with pytest.raises(DataError, match="1 outputs, the reference 2"):
        compare_outputs(outputs(a=[1.0], b=[2.0]), outputs(a=[1.0]))
    with pytest.raises(DataError, match=r"shape \(1, 1\), the reference's \(1,\)"):
        compare_outputs(outputs(a=[1.0]), outputs(a=[[1.0]]))
