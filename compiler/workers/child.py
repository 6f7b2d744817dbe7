"""A process that ends with the one that started it, and answers through a pipe.

It ends however its parent ends, and takes the programs along that it started itself.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic, sleep
from types import FrameType
from typing import Any, TypeAlias

Pipe: TypeAlias = "Connection[Any, Any]"

BUSY_GRACE_S = 2.0  # for the removal of temporary folders
IDLE_GRACE_S = 10.0  # for that of what is on a device
ORPHAN_GRACE_S = 4.0


class Child:
    """The parent's side: a process and its pipe.

    Attributes:
        process: The process.
        pipe: To it. The end of the pipe is the end of the process, and the other way round.
    """

    def __init__(self, main: Callable[..., None], *arguments: object) -> None:
        """Start it.

        Args:
            main: Called with the other end of the pipe and the arguments; works
                ``ending_with_parent``.
            arguments: Picklable.
        """
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # Daemons are ended when this process ends in order.
        self.process = context.Process(target=main, args=(theirs, *arguments), daemon=True)
        # An interrupt while the child starts is for this process, not for the child.
        old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)
            theirs.close()  # the child's copy is the last one: its end can be seen

    def kill(self) -> str:
        """End it and the programs that it started, if it still runs; how it ended."""
        pid: Any = self.process.pid
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # before join: the number is its own until then
        self.process.kill()
        self.process.join()
        self.pipe.close()
        code = self.process.exitcode
        self.process.close()
        if code is not None and code < 0:
            return f"by {signal.Signals(-code).name}"
        return f"with exit code {code}"


def stop(children: Sequence[Child], *, are_busy: bool) -> None:
    """End processes in order if they do so in time.

    Args:
        children: Which.
        are_busy: They are interrupted; else the end of the pipe tells them.
    """
    until = monotonic() + (BUSY_GRACE_S if are_busy else IDLE_GRACE_S)
    try:
        for child in children:
            if are_busy:
                child.process.terminate()
            else:
                child.pipe.close()
        for child in children:
            wait([child.process.sentinel], max(0.0, until - monotonic()))
    finally:  # also when the user interrupts a second time
        for child in children:
            child.kill()


@contextmanager
def ending_with_parent() -> Iterator[None]:
    """The child's side: its whole work, which ends with the parent, and in order if asked to.

    Being asked to end is a ``SystemExit``, so that ``finally`` blocks remove what they made.
    """
    # A group of its own: an interrupt typed on a terminal goes to the parent alone, and
    # programs that are started here can be ended together.
    os.setpgid(0, 0)
    parent = multiprocessing.parent_process()
    assert parent is not None
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    try:
        yield
    finally:
        if not parent.is_alive():  # or it would do this
            os.killpg(0, signal.SIGKILL)


def finish_undisturbed() -> None:
    """Do not be asked again to end: what follows is the end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def picklable(error: Exception) -> Exception:
    """The error, or its text where it would not survive the way to another process."""
    try:
        if str(pickle.loads(pickle.dumps(error))) == str(error):
            return error
    except Exception:  # whatever the error's class does
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")


def _watch(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    sleep(ORPHAN_GRACE_S)
    os.killpg(0, signal.SIGKILL)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    finish_undisturbed()
    sys.exit(128 + number)
