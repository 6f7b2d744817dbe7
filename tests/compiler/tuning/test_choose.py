"""When a measured schedule replaces the model's choice."""

import numpy as np

from octavo.compiler.tuning.choose import choose, trials_of
from octavo.compiler.tuning.trials import Timing

FAILED = Timing(np.empty(0), "ended with -11")


def test_the_fastest_is_chosen(task, timing):
    choice = choose(task, [timing(10.0, 0.1), timing(8.0, 0.1), timing(9.0, 0.1)])
    assert choice.schedule == task.schedules[1].record()
    assert choice.default == task.schedules[0].record()
    assert choice.latency_us == 8.0
    assert choice.default_latency_us == 10.0


def test_a_gain_within_the_noise_is_none(task, timing):
    choice = choose(task, [timing(10.0, 5.0), timing(9.5, 5.0), timing(9.4, 5.0)])
    assert choice.schedule == task.schedules[0].record()
    assert choice.latency_us == choice.default_latency_us == 10.0


def test_a_gain_of_less_than_a_percent_is_none(task, timing):
    choice = choose(task, [timing(10.0), timing(9.95), timing(9.95)])
    assert choice.schedule == task.schedules[0].record()


def test_the_runs_that_choose_do_not_judge(task, timing):
    lucky = timing(10.0)
    lucky.latencies_us[::2] = 1.0  # fast in the runs that choose, and in no other
    choice = choose(task, [timing(10.0), lucky, timing(9.0)])
    assert choice.schedule == task.schedules[0].record()


def test_a_candidate_that_failed_is_passed_over_and_recorded(task, timing):
    timings = [timing(10.0), FAILED, timing(8.0)]
    assert choose(task, timings).schedule == task.schedules[2].record()
    trials = trials_of(task, timings)
    assert [trial.error for trial in trials] == ["", "ended with -11", ""]
    assert trials[1].latency_us is None
    assert trials[2].latency_us == 8.0
    assert trials[2].num_runs == 78


def test_nothing_is_chosen_where_the_model_s_choice_failed(task, timing):
    assert choose(task, [FAILED, timing(1.0), timing(1.0)]) is None
