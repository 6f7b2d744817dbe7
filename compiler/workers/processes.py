"""Workers that are processes of this machine.

concurrent.futures and loky give up all that is under way when one process dies, the pool of
multiprocessing waits for its item forever, and none of them ends the children of a parent
that was killed. Here each process has a pipe of its own: its end names the item it had.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Generic, Self

from octavo.compiler.workers.base import MAX_DEATHS, Make, Outcome, R, T, died
from octavo.compiler.workers.child import READY, serve
from octavo.errors import WorkerError

GRACE_S = 2.0  # for the removal of temporary folders


class Processes(Generic[T, R]):
    """Works on items in processes, each with an evaluator of its own; see ``Workers``.

    Processes start when they are needed and stay for the next run. One that dies is replaced,
    and its item goes to the next one that is free.

    Raises:
        ValueError: ``num_workers`` is below 1.
    """

    def __init__(self, make: Make[T, R], num_workers: int) -> None:
        if num_workers < 1:
            raise ValueError(f"num_workers {num_workers} not allowed (at least 1)")
        self._make = pickle.dumps(make)
        self._num_workers = num_workers
        self._children: list[_Child] = []
        self._deaths_before_ready = 0

    def run(
        self, items: Sequence[T], *, resource: str | None = None
    ) -> Iterator[tuple[int, Outcome[R]]]:
        """See ``Workers.run``; there is one of every resource."""
        at_once = self._num_workers if resource is None else 1
        waiting = deque(range(len(items)))
        deaths: Counter[int] = Counter()
        try:
            while waiting or any(child.item is not None for child in self._children):
                self._give(items, waiting, at_once)
                for child in self._answered():
                    try:
                        message = child.connection.recv()
                    except (EOFError, OSError):
                        index, how = child.item, self._bury(child)
                        if index is None:
                            continue
                        deaths[index] += 1
                        if deaths[index] < MAX_DEATHS:
                            waiting.appendleft(index)
                        else:
                            yield index, died(MAX_DEATHS, how)
                        continue
                    if isinstance(message, Outcome):
                        index, child.item = child.item, None
                        assert index is not None  # nothing else makes a child answer
                        yield index, message
                    elif message == READY:
                        child.is_ready, self._deaths_before_ready = True, 0
                    else:
                        self._stop([child])
                        raise message
        finally:
            self._stop([child for child in self._children if child.item is not None])

    def close(self) -> None:
        """End all processes."""
        self._stop(list(self._children))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _give(self, items: Sequence[T], waiting: deque[int], at_once: int) -> None:
        """Start what is missing, and give items to those that are free."""
        busy = sum(child.item is not None for child in self._children)
        while len(self._children) < min(at_once, busy + len(waiting)):
            self._children.append(_Child(self._make))
        for child in self._children:
            if waiting and busy < at_once and child.is_ready and child.item is None:
                item = pickle.dumps(items[waiting[0]])
                child.item = waiting.popleft()
                busy += 1
                with contextlib.suppress(OSError):  # it has died: its pipe will say so
                    child.connection.send_bytes(item)

    def _answered(self) -> "list[_Child]":
        by_connection = {child.connection: child for child in self._children}
        return [by_connection[ready] for ready in wait(by_connection)]  # type: ignore[index]

    def _bury(self, child: "_Child") -> str:
        """Take leave of a process that died; how it did."""
        self._children.remove(child)
        how = child.end()
        if not child.is_ready:
            self._deaths_before_ready += 1
            if self._deaths_before_ready == MAX_DEATHS:
                raise WorkerError(
                    f"{MAX_DEATHS} processes died before they could work, the last one {how}"
                )
        return how

    def _stop(self, children: "list[_Child]") -> None:
        self._children = [child for child in self._children if child not in children]
        until = time.monotonic() + GRACE_S
        try:
            for child in children:
                child.process.terminate()
            for child in children:
                wait([child.process.sentinel], max(0.0, until - time.monotonic()))
        finally:  # also when the user interrupts a second time
            for child in children:
                child.end()


class _Child:
    """A process, its pipe, and the index of the item that it works on."""

    def __init__(self, make: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        # Daemons are ended when this process ends in order.
        self.process = context.Process(
            target=serve, args=(theirs, make), name="octavo-worker", daemon=True
        )
        # An interrupt while the child starts is for this process, not for the child.
        old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)
            theirs.close()  # the child's copy is the last one: its end can be seen
        self.is_ready = False
        self.item: int | None = None

    def end(self) -> str:
        """End it and the programs that it started, if it still runs; how it ended."""
        pid: Any = self.process.pid
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # before join: the number is its own until then
        self.process.kill()
        self.process.join()
        self.connection.close()
        code = self.process.exitcode
        self.process.close()
        if code is not None and code < 0:
            return f"by {signal.Signals(-code).name}"
        return f"with exit code {code}"


def processes(make: Make[T, R], num_workers: int) -> Processes[T, R]:
    """Work in processes of this machine.

    Args:
        make: Makes the evaluator, once in each process; of a module that can be imported.
        num_workers: Processes, at least 1.
    """
    return Processes(make, num_workers)
