"""The loop of NSGA-II on predictors, on problems that can be enumerated."""

import numpy as np
import pytest

from octavo.compiler.search.ask_tell import AskTell, run
from octavo.compiler.search.front import nondominated
from octavo.compiler.search.nsga2 import evolve
from octavo.compiler.search.predicted_front import search_front
from octavo.compiler.search.problem import Evaluation, Problem
from octavo.compiler.search.random_search import search_randomly
from octavo.compiler.search.surrogate import Surrogate

SEEDS = range(5)


@pytest.mark.slow
def test_with_15_percent_of_the_evaluations_it_has_95_percent_of_the_volume(planted):
    budget = 109
    assert budget <= 0.15 * planted.problem.size
    found, random = [], []
    for seed in SEEDS:
        search = run(search_front(planted.problem, budget=budget, seed=seed), planted.evaluate)
        other = run(
            search_randomly(planted.problem, budget=budget, seed=seed), planted.evaluate
        )
        assert len(search.evaluations) == len(other.evaluations) == budget
        found.append(planted.volume(search.result))
        random.append(planted.volume(other.result))
    assert np.median(found) >= 0.95
    assert np.median(found) > np.median(random)
    # more than half of what random search misses is found
    assert 1 - np.median(found) < 0.5 * (1 - np.median(random))


def test_only_measured_configurations_are_returned(planted):
    search = run(search_front(planted.problem, budget=40, seed=1), planted.evaluate)
    assert set(map(id, search.result)) <= set(map(id, search.evaluations))
    assert search.result == nondominated(search.evaluations, planted.problem.objectives)


def test_equal_seeds_ask_the_same_and_other_seeds_do_not(planted):
    def asked(seed):
        search = run(search_front(planted.problem, budget=40, seed=seed), planted.evaluate)
        return [e.configuration for e in search.evaluations]

    assert asked(0) == asked(0)
    assert asked(0) != asked(1)


def test_a_search_that_was_killed_asks_what_it_would_have_asked(planted):
    def solver():
        return search_front(planted.problem, budget=34, seed=2, batch=8)

    full = run(solver(), planted.evaluate)
    rng = np.random.default_rng(0)
    for told in (0, 3, 10, 13, 18, 25, 33):
        resumed = AskTell(solver())
        resumed.replay(rng.permutation(np.array(full.evaluations[:told], object)))
        assert resumed.ask()[0] == full.evaluations[told].configuration
    resumed.tell(map(planted.evaluate, resumed.ask()))
    assert resumed.result == full.result


def test_limits_come_before_objectives(make_planted):
    free = make_planted(3, objectives=("loss", "ms"))
    values = [e.objectives["ms"] for e in free.every]
    limited = make_planted(3, objectives=("loss", "ms"), ms=float(np.percentile(values, 10)))
    search = run(search_front(limited.problem, budget=60, seed=0), limited.evaluate)
    allowed = [e for e in limited.every if limited.problem.excess(e) == 0]
    best = min(e.objectives["loss"] for e in allowed)
    assert all(limited.problem.excess(e) == 0 for e in search.result)
    assert search.result[0].objectives["loss"] <= best * 1.05


def test_a_limit_on_a_table_that_is_no_objective_is_kept(make_planted):
    free = make_planted(3, objectives=("loss", "ms"))
    limit = float(np.percentile([e.objectives["bytes"] for e in free.every], 20))
    limited = make_planted(3, objectives=("loss", "ms"), bytes=limit)

    def evaluate(configuration):
        found = limited.evaluate(configuration).objectives
        return Evaluation(configuration, {name: found[name] for name in ("loss", "ms")})

    allowed = [e for e in limited.every if limited.problem.excess(e) == 0]
    least = []
    for seed in range(3):
        search = run(search_front(limited.problem, budget=60, seed=seed), evaluate)
        assert all(limited.problem.excess(e) == 0 for e in search.result)
        # a fifth of all configurations is within the limit
        within = [limited.problem.excess(e) == 0 for e in search.evaluations[18:]]
        assert np.mean(within) > 0.75
        least.append(search.result[0].objectives["loss"])
    assert np.median(least) <= min(e.objectives["loss"] for e in allowed) * 1.05


def test_failed_evaluations_teach_nothing_and_are_not_returned(planted):
    def evaluate(configuration):
        if configuration["l0"] == 2:
            return Evaluation(configuration, {}, "does not compile")
        return planted.evaluate(configuration)

    search = run(search_front(planted.problem, budget=40, seed=0), evaluate)
    assert len(search.evaluations) == 40
    assert all(e.error is None for e in search.result)
    always = run(
        search_front(planted.problem, budget=20, seed=0), lambda c: Evaluation(c, {}, "broken")
    )
    assert len(always.evaluations) == 20
    assert always.result == ()


def test_a_budget_beyond_the_problem_evaluates_everything_once():
    problem = Problem({"a": (8, 4), "b": (8, 4), "c": (8,)}, ("loss", "bits"))

    def evaluate(configuration):
        bits = sum(configuration.values())
        return Evaluation(configuration, {"loss": 1 / bits, "bits": bits})

    search = run(search_front(problem, budget=100, seed=0, batch=1), evaluate)
    assert len(search.evaluations) == 4


def test_a_table_that_is_exact_needs_few_measurements(make_planted):
    """What is linear in the choices, or is a table, is learned; an interaction after more."""
    planted = make_planted(4, num_layers=5)
    rng = np.random.default_rng(0)
    chosen = [planted.every[i] for i in rng.permutation(len(planted.every))]
    surrogate = Surrogate(planted.problem, chosen[:60], planted.problem.objectives, 0)
    genomes = np.array([planted.problem.genome(e.configuration) for e in chosen[60:]])
    truth = np.array([e.values(planted.problem.objectives) for e in chosen[60:]])
    predicted = surrogate.predict(genomes)
    errors = np.sqrt(((predicted - truth) ** 2).mean(axis=0)) / truth.std(axis=0)
    assert errors[1] < 1e-3  # bytes are a table
    assert errors[0] < 0.5


def test_evolution_finds_the_front_of_what_costs_nothing(planted):
    by_genome = {planted.problem.genome(e.configuration): e for e in planted.every}

    def predict(genomes):
        found = [by_genome[tuple(genome)] for genome in genomes.tolist()]
        points = np.array([e.values(planted.problem.objectives) for e in found])
        return points, np.zeros(len(points))

    rng = np.random.default_rng(0)
    first = np.zeros((1, 6), np.int64)
    visited = evolve(planted.problem, predict, rng, first=first, population=24, generations=10)
    assert len(visited) < 24 + 10 * 24 + 1
    found = [by_genome[tuple(genome)] for genome in visited.tolist()]
    assert planted.volume(found) > 0.98
