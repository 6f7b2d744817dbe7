import pytest

from octavo.compiler.workers import Outcome, in_process
from octavo.errors import DeviceError, ModelError


def divide(x):
    return 12 // x


def test_items_come_back_in_order_and_the_evaluator_is_made_once():
    made = []

    def make():
        made.append(1)
        return divide

    with in_process(make) as workers:
        assert made == []  # nothing to do yet
        assert list(workers.run([3, 4])) == [(0, Outcome(4)), (1, Outcome(3))]
        assert list(workers.run([6], resource="phone")) == [(0, Outcome(2))]
    assert made == [1]


def test_an_item_that_fails_leaves_the_others_alone():
    with in_process(lambda: divide) as workers:
        zero, six = (outcome for _, outcome in workers.run([0, 6]))
    assert zero.error == "ZeroDivisionError: integer division or modulo by zero"
    assert zero.exit_code == 1
    assert six.unwrap() == 2
    with pytest.raises(ValueError, match="no value: ZeroDivisionError"):
        zero.unwrap()


def test_errors_of_octavo_keep_their_message_and_exit_code():
    def unplug(item):
        raise DeviceError(f"adb:{item}: gone")

    with in_process(lambda: unplug) as workers:
        [(_, outcome)] = workers.run(["17"])
    assert outcome == Outcome(error="adb:17: gone", exit_code=4)


def test_an_evaluator_that_cannot_be_made_ends_the_work():
    def make():
        raise ModelError("no such model")

    with in_process(make) as workers, pytest.raises(ModelError, match="no such model"):
        list(workers.run([1]))


def test_an_interrupt_is_no_outcome():
    def interrupt(item):
        raise KeyboardInterrupt

    with in_process(lambda: interrupt) as workers, pytest.raises(KeyboardInterrupt):
        list(workers.run([1]))
