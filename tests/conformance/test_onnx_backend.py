"""A fixed part of ONNX's backend tests, and the committed table of all of them.

The table is written by ``python -m tests.conformance.sweep``.
"""

import json

import pytest
from tests.conformance.cases import out_of_scope
from tests.conformance.outcome import PASS, outcome
from tests.conformance.program_runner import ProgramRunner
from tests.conformance.sweep import REPORT, TABLE, names_in_scope, report

from octavo.targets import get_target

MIN_PASS_SHARE = 0.75
EVERY = 20
QUANTIZED = ("quantizelinear", "qlinear", "matmulinteger", "convinteger")

# A Reshape of an empty tensor between other sizes of 0.
KNOWN_BUGS: set[str] = set()

RESULTS = json.loads(TABLE.read_text())
CHECKED = [
    name
    for index, name in enumerate(RESULTS)
    if index % EVERY == 0 or any(word in name for word in QUANTIZED)
]


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    return ProgramRunner(get_target("host"), tmp_path_factory.mktemp("conformance"))


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKED)
def test_outcome_is_the_one_in_the_table(runner, name):
    result = outcome(name, runner)
    assert (result == PASS) == (RESULTS[name] == PASS), f"{result} (table: {RESULTS[name]})"


def test_enough_tests_pass():
    passed = sum(result == PASS for result in RESULTS.values())
    assert passed / len(RESULTS) >= MIN_PASS_SHARE


def test_the_table_has_every_test_in_scope():
    assert set(RESULTS) == set(names_in_scope())


def test_the_report_is_that_of_the_table():
    assert REPORT.read_text() == report(RESULTS)


def test_what_fails_is_refused_not_a_bug():
    bugs = {name for name, reason in RESULTS.items() if reason.startswith("bug")}
    assert bugs == KNOWN_BUGS


def test_scope_leaves_out_only_what_is_not_a_static_numeric_program():
    from tests.conformance.cases import all_tests

    tests = all_tests()
    assert out_of_scope(tests["test_if"]) == "control flow"
    assert out_of_scope(tests["test_adam"]) == "training"
    assert out_of_scope(tests["test_string_concat"]) == "strings"
    assert out_of_scope(tests["test_add"]) == ""
