"""The controller, on problems that can be enumerated."""

import numpy as np
import pytest

from octavo.compiler.search.ask_tell import AskTell, run
from octavo.compiler.search.problem import Evaluation
from octavo.compiler.search.random_search import search_randomly
from octavo.compiler.search.reinforce import Controller, reinforce


def target_of(planted, share):
    costs = [e.objectives["bytes"] for e in planted.every]
    return min(costs) + share * (max(costs) - min(costs))


def beaten_by(planted, evaluation, target):
    """Share of the configurations within the target that lose less."""
    losses = [e.objectives["loss"] for e in planted.every if e.objectives["bytes"] <= target]
    return np.mean(np.array(losses) < evaluation.objectives["loss"])


def solver(planted, target, seed, num_samples=200):
    return reinforce(
        planted.problem, cost="bytes", target=target, num_samples=num_samples, seed=seed
    )


@pytest.mark.parametrize("share", [0.35, 0.5, 0.7])
def test_of_81_configurations_it_finds_one_of_the_best_20th(small, share):
    assert small.problem.size == 81
    target = target_of(small, share)
    for seed in range(5):
        search = run(solver(small, target, seed), small.evaluate)
        assert len(search.evaluations) < 81
        best = search.result[0]
        assert best.objectives["bytes"] <= target
        assert beaten_by(small, best, target) <= 0.05


def test_of_6561_it_finds_better_ones_than_random_search(large):
    found, random = [], []
    for seed in range(5):
        target = target_of(large, 0.5)
        search = run(solver(large, target, seed), large.evaluate)
        found.append(beaten_by(large, search.result[0], target))
        budget = len(search.evaluations)
        other = run(search_randomly(large.problem, budget=budget, seed=seed), large.evaluate)
        met = [e for e in other.evaluations if e.objectives["bytes"] <= target]
        best = min(met, key=lambda e: e.objectives["loss"])
        random.append(beaten_by(large, best, target))
    assert np.median(found) < 0.01
    assert np.median(found) < np.median(random)


def test_the_cost_term_brings_samples_to_the_target(large):
    target = target_of(large, 0.3)

    def missed(weight):
        make = reinforce(
            large.problem, cost="bytes", target=target, num_samples=200, seed=0,
            controller=Controller(cost_weight=weight),
        )  # fmt: skip
        last = run(make, large.evaluate).evaluations[-60:]
        return np.mean([abs(e.objectives["bytes"] / target - 1) for e in last])

    assert missed(5.0) < 0.7 * missed(0.0)


def test_results_within_the_target_come_first(small):
    target = target_of(small, 0.4)
    costs = [
        e.objectives["bytes"] for e in run(solver(small, target, 1), small.evaluate).result
    ]
    above = [cost > target for cost in costs]
    assert above == sorted(above)
    assert any(above)


def test_it_goes_on_from_what_was_told(small):
    def make(seed):
        return solver(small, target_of(small, 0.5), seed, num_samples=60)

    full = run(make(3), small.evaluate)
    for told in range(0, len(full.evaluations), 4):
        resumed = AskTell(make(3))
        resumed.replay(full.evaluations[:told])
        assert resumed.ask()[0] == full.evaluations[told].configuration
    assert AskTell(make(4)).ask() != AskTell(make(3)).ask()


def test_failed_evaluations_are_avoided(small):
    def evaluate(configuration):
        if configuration["l0"] == 4:
            return Evaluation(configuration, {}, "does not compile")
        return small.evaluate(configuration)

    search = run(solver(small, target_of(small, 0.5), 0), evaluate)
    failed = [e.error is not None for e in search.evaluations]
    assert all(e.error is None for e in search.result)
    assert np.mean(failed[:20]) > np.mean(failed[20:])
    nothing = run(solver(small, 1.0, 0), lambda c: Evaluation(c, {}, "broken"))
    assert nothing.result == ()


def test_tied_layers_are_sampled_together(tied):
    search = run(solver(tied, target_of(tied, 0.5), 0, num_samples=40), tied.evaluate)
    assert all(e.configuration["l0"] == e.configuration["l2"] for e in search.evaluations)
