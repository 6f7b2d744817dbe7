"""A process that ends with the one that started it, and answers through a pipe.

It ends however its parent ends, and takes the programs along that it started itself.
"""

import contextlib
import json
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from time import monotonic, sleep
from types import FrameType
from typing import Any, NoReturn, TypeAlias

from octavo.compiler.workers.evaluator import ONE_THREAD

Pipe: TypeAlias = "Connection[Any, Any]"

BUSY_GRACE_S = 2.0  # for the removal of temporary folders
IDLE_GRACE_S = 10.0  # for that of what is on a device
ORPHAN_GRACE_S = 4.0

# Not the start of multiprocessing, which imports the parent's main module once more: a script
# would begin its search again, and a cluster's process has all of Ray there.
_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from octavo.compiler.workers.child import begin
begin(int(sys.argv[2]), int(sys.argv[3]))
"""


class Child:
    """The parent's side: a process and its pipe.

    Attributes:
        pipe: To the process. The end of one is the end of the other.
    """

    def __init__(
        self, main: Callable[..., None], *arguments: object, is_silent: bool = False
    ) -> None:
        """Start it.

        Args:
            main: Called with the other end of the pipe and the arguments; of a module that
                can be imported.
            arguments: Picklable.
            is_silent: Nothing that it writes reaches the terminal.
        """
        self.pipe, theirs = multiprocessing.Pipe()
        self._life, their_life = socket.socketpair()
        # Closed by the end of a process, however it ended: each side sees that of the other.
        with theirs, their_life:
            numbers = (theirs.fileno(), their_life.fileno())
            output = subprocess.DEVNULL if is_silent else None
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(sys.path), *map(str, numbers)],
                pass_fds=numbers,
                env={**os.environ, **ONE_THREAD},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A group of its own: an interrupt typed on a terminal is for the parent alone,
                # and programs that the child starts can be ended together.
                process_group=0,
            )
        with contextlib.suppress(OSError):  # it died already: the pipe will say so
            self.pipe.send((main, arguments))

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask_to_end(self) -> None:
        """Interrupt it; it still does what ``finally`` blocks say."""
        self._process.terminate()

    def wait(self, timeout_s: float) -> None:
        """Wait until it has ended, or for some time."""
        wait([self._life], timeout_s)

    def bury(self) -> str:
        """Take leave of one whose pipe has ended; how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(BUSY_GRACE_S)  # Python takes its time between the two
        return self.kill()

    def kill(self) -> str:
        """End it and the programs that it started, if it still runs; how it ended."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self._process.wait()
        self.pipe.close()
        self._life.close()
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


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
                child.ask_to_end()
            else:
                child.pipe.close()
        for child in children:
            child.wait(max(0.0, until - monotonic()))
    finally:  # also when the user interrupts a second time
        for child in children:
            child.kill()


def begin(pipe: int, life: int) -> None:
    """The child's side: do what the parent says.

    Being asked to end is a ``SystemExit`` there, so that ``finally`` blocks remove what they
    made. When the parent has ended, the child is asked to, and soon killed.

    All this is done by a child of this process: a cluster that ends one of its processes kills
    the children of that one, but not theirs, and these end in order.

    Args:
        pipe: Number of the file that a function and its arguments come from.
        life: Number of the file that ends with the parent. It stays open to the very end of
            the process, which the parent waits for.
    """
    worker = os.fork()
    if worker:
        os.close(pipe)
        os.close(life)
        _end_like(worker)
    os.set_inheritable(pipe, False)
    os.set_inheritable(life, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_watch, args=(life,), daemon=True).start()
    try:
        connection: Pipe = Connection(pipe)
        main, arguments = connection.recv()
        main(connection, *arguments)
    finally:
        if wait([life], 0):  # the parent has ended, and ends no programs any more
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


def _end_like(worker: int) -> NoReturn:
    """Pass on signals, and end as the other process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(worker, number))
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    if code < 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _watch(life: int) -> None:
    wait([life])
    os.kill(os.getpid(), signal.SIGTERM)
    sleep(ORPHAN_GRACE_S)
    os.killpg(0, signal.SIGKILL)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    finish_undisturbed()
    sys.exit(128 + number)
