"""Questions and answers: in any order, in part, again."""

import pytest

from octavo.compiler.search.ask_tell import AskTell, run
from octavo.compiler.search.problem import Evaluation, Problem
from octavo.compiler.search.random_search import search_randomly

PROBLEM = Problem({"a": (8, 4, 2), "b": (8, 4, 2), "c": (8, 4)}, ("loss", "bits"))


def evaluate(configuration):
    bits = sum(configuration.values())
    return Evaluation(configuration, {"loss": 1 / bits, "bits": bits})


def twice_the_same():
    """A solver that forgets: a question within a question, and again."""
    first = yield [{"a": 1}, {"a": 2}, {"a": 1}]
    assert [e.configuration["a"] for e in first] == [1, 2, 1]
    second = yield [{"a": 2}]
    third = yield [{"a": 3}, {"a": 1}]
    return (*first, *second, *third)


def test_nothing_is_asked_for_twice():
    search = AskTell(twice_the_same())
    assert search.ask() == [{"a": 1}, {"a": 2}]
    assert search.ask() == [{"a": 1}, {"a": 2}]
    search.tell([Evaluation({"a": 2}, {"loss": 2.0})])
    assert search.ask() == [{"a": 1}]
    search.tell([Evaluation({"a": 1}, {"loss": 1.0})])
    assert search.ask() == [{"a": 3}]
    search.tell([Evaluation({"a": 3}, {"loss": 3.0})])
    assert search.ask() == []
    assert [e.objectives["loss"] for e in search.result] == [1, 2, 1, 2, 3, 1]
    assert len(search.evaluations) == 3


def test_an_answer_without_a_question_is_refused():
    search = AskTell(twice_the_same())
    with pytest.raises(ValueError, match=r"not asked for: \{'a': 7\}"):
        search.tell([Evaluation({"a": 7}, {"loss": 0.0})])
    search.tell([Evaluation({"a": 1}, {"loss": 1.0})])
    with pytest.raises(ValueError, match="not asked for"):
        search.tell([Evaluation({"a": 1}, {"loss": 1.0})])


def test_a_solver_without_questions_has_a_result_at_once():
    def empty():
        yield []
        return ()

    assert AskTell(empty()).result == ()


def test_a_random_search_draws_every_configuration_once():
    search = run(search_randomly(PROBLEM, budget=100, seed=0, batch=5), evaluate)
    assert len(search.evaluations) == PROBLEM.size == 18
    assert len({tuple(e.configuration.items()) for e in search.evaluations}) == 18


def test_a_random_search_goes_on_from_what_was_told():
    full = run(search_randomly(PROBLEM, budget=10, seed=3, batch=4), evaluate)
    resumed = AskTell(search_randomly(PROBLEM, budget=10, seed=3, batch=4))
    resumed.replay(reversed(full.evaluations[:6]))
    rest = resumed.ask()
    assert rest == [e.configuration for e in full.evaluations[6:8]]
    other = AskTell(search_randomly(PROBLEM, budget=10, seed=4, batch=4))
    assert other.ask() != [e.configuration for e in full.evaluations[:4]]


def test_tied_layers_are_drawn_together():
    tied = Problem({"a": (8, 4), "b": (8, 4), "c": (8, 4)}, tied=[("a", "c")])
    assert tied.size == 4
    search = run(search_randomly(tied, budget=9, seed=0), evaluate)
    assert len(search.evaluations) == 4
    assert all(e.configuration["a"] == e.configuration["c"] for e in search.evaluations)


def test_problems_that_contradict_themselves_are_refused():
    with pytest.raises(ValueError, match="layer 'a': choices"):
        Problem({"a": ()})
    with pytest.raises(ValueError, match=r"limits \['ms'\]: only \['loss'\]"):
        Problem({"a": (8,)}, limits={"ms": 1})
    with pytest.raises(ValueError, match="no finite cost of 4"):
        Problem({"a": (8, 4)}, tables={"loss": {"a": {8: 0.0}}})
    with pytest.raises(ValueError, match="have different choices"):
        Problem({"a": (8, 4), "b": (8,)}, tied=[("a", "b")])
