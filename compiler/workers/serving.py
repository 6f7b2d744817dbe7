"""What a worker process does: makes an evaluator, answers items until it is told to end."""

import pickle
from typing import Any

from octavo.compiler.workers.child import Pipe, finish_undisturbed, picklable
from octavo.compiler.workers.evaluator import Evaluator, failure

READY = "ready"


def serve(pipe: Pipe, make: bytes) -> None:
    """Send ``READY``, or the error of ``make``; then an ``Outcome`` for each item received.

    Args:
        pipe: To the process that gives items, pickled.
        make: Pickled maker of the evaluator.
    """
    try:
        evaluator: Evaluator[Any, Any] = Evaluator(pickle.loads(make))
    except Exception as error:
        pipe.send(picklable(error))
        return
    try:
        pipe.send(READY)
        _answer_all(pipe, evaluator)
    finally:
        finish_undisturbed()
        evaluator.close()


def _answer_all(pipe: Pipe, evaluator: Evaluator[Any, Any]) -> None:
    while True:
        try:
            item = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        try:
            outcome = pickle.dumps(evaluator(pickle.loads(item)))
        except Exception as error:  # a module is missing here, or the value is a function
            outcome = pickle.dumps(failure(error))
        try:
            pipe.send_bytes(outcome)
        except OSError:  # nobody listens any more
            return
