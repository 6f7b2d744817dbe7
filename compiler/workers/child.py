"""What a process of this machine does: makes an evaluator and answers items until it is told.

It ends with whoever started it, however that ended, and takes the programs along that it
started itself.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from octavo.compiler.workers.evaluator import Evaluator, failure, use_one_thread

READY = "ready"


def serve(connection: "Connection[Any, Any]", make: bytes) -> None:
    """Send ``READY``, or the error of ``make``; then an ``Outcome`` for each item received.

    Args:
        connection: To the process that gives items; its end is the end of the work.
        make: Pickled maker of the evaluator.
    """
    use_one_thread()
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this process ends it
    signal.signal(signal.SIGTERM, _leave)
    try:
        evaluate: Evaluator[Any, Any] = Evaluator(pickle.loads(make))
    except Exception as error:
        connection.send(_picklable(error))
        return
    connection.send(READY)
    while True:
        try:
            received = connection.recv_bytes()
        except (EOFError, OSError):
            return
        try:
            # An item may be of a module that cannot be imported here.
            outcome = evaluate(pickle.loads(received))
        except Exception as error:
            outcome = failure(error)
        try:
            connection.send(outcome)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            connection.send(failure(error))


def _leave(number: int, frame: FrameType | None) -> None:
    """End the process through its ``finally`` blocks: they remove temporary folders."""
    del frame
    sys.exit(128 + number)


def _end_with_parent() -> None:
    # A group of its own: an interrupt typed on a terminal goes to the parent alone, and
    # programs that were started here can be ended together.
    os.setpgid(0, 0)
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os.killpg(0, signal.SIGKILL)


def _picklable(error: Exception) -> Exception:
    try:
        return error if str(pickle.loads(pickle.dumps(error))) == str(error) else _text(error)
    except Exception:
        return _text(error)


def _text(error: Exception) -> Exception:
    return RuntimeError(f"{type(error).__name__}: {error}")
