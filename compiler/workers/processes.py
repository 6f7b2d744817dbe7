"""Workers that are processes of this machine.

concurrent.futures and loky give up all that is under way when one process dies, the pool of
multiprocessing waits for its item forever, and none of them ends the children of a parent
that was killed. Here each process has a pipe of its own: its end names the item it had.
"""

import contextlib
import pickle
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from typing import Generic

from octavo.compiler.closing import Closing
from octavo.compiler.workers.base import MAX_DEATHS, Make, Outcome, R, T, died
from octavo.compiler.workers.child import Child, stop
from octavo.compiler.workers.serving import serve
from octavo.errors import WorkerError


class Pickled(bytes):
    """A maker or an item that comes from elsewhere, and is only passed on."""


class _Worker(Child):
    """A process, and the index of the item that it works on."""

    def __init__(self, make: bytes) -> None:
        super().__init__(serve, make)
        self.is_ready = False
        self.item: int | None = None


class Processes(Closing, Generic[T, R]):
    """Works on items in processes, each with an evaluator of its own; see ``Workers``.

    Processes start when they are needed and stay for the next run. One that dies is replaced,
    and its item goes to the next one that is free.

    Raises:
        ValueError: ``num_workers`` is below 1.
    """

    def __init__(self, make: Make[T, R] | Pickled, num_workers: int) -> None:
        if num_workers < 1:
            raise ValueError(f"num_workers {num_workers} not allowed (at least 1)")
        self._make = pickled(make)
        self._num_workers = num_workers
        self._workers: list[_Worker] = []
        self._deaths_before_ready = 0

    def run(
        self, items: Sequence[T | Pickled], *, resource: str | None = None
    ) -> Iterator[tuple[int, Outcome[R]]]:
        """See ``Workers.run``; there is one of every resource."""
        at_once = self._num_workers if resource is None else 1
        waiting = deque(range(len(items)))
        deaths: Counter[int] = Counter()
        try:
            while waiting or any(w.item is not None for w in self._workers):
                self._give(items, waiting, at_once)
                for worker in self._answered():
                    index, received = worker.item, self._receive(worker)
                    if index is None:
                        continue  # it is ready now, or died without work
                    if not isinstance(received, Outcome):
                        deaths[index] += 1
                        if deaths[index] < MAX_DEATHS:
                            waiting.appendleft(index)
                            continue
                        received = died(MAX_DEATHS, received)
                    # Nobody is idle while the caller looks at the outcome.
                    self._give(items, waiting, at_once)
                    yield index, received
        finally:
            self._stop([w for w in self._workers if w.item is not None], are_busy=True)

    def close(self) -> None:
        """End all processes."""
        busy = [w for w in self._workers if not w.is_ready or w.item is not None]
        self._stop(busy, are_busy=True)
        self._stop(self._workers, are_busy=False)

    def _give(self, items: Sequence[T | Pickled], waiting: deque[int], at_once: int) -> None:
        """Start what is missing, and give items to those that are free."""
        busy = sum(w.item is not None for w in self._workers)
        while len(self._workers) < min(at_once, busy + len(waiting)):
            self._workers.append(_Worker(self._make))
        for worker in self._workers:
            if waiting and busy < at_once and worker.is_ready and worker.item is None:
                item = pickled(items[waiting[0]])
                worker.item = waiting.popleft()
                busy += 1
                with contextlib.suppress(OSError):  # it has died: its pipe will say so
                    worker.pipe.send_bytes(item)

    def _answered(self) -> list[_Worker]:
        by_pipe = {worker.pipe: worker for worker in self._workers}
        return [by_pipe[ready] for ready in wait(by_pipe)]  # type: ignore[index]

    def _receive(self, worker: _Worker) -> Outcome[R] | str:
        """What a process sent; if it died, how."""
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            how = worker.bury()
            self._deaths_before_ready += not worker.is_ready
            if self._deaths_before_ready == MAX_DEATHS:
                raise WorkerError(
                    f"{MAX_DEATHS} processes died before they could work, the last one {how}"
                ) from None
            return how
        if isinstance(message, Exception):
            self._stop([worker], are_busy=False)
            raise message
        worker.is_ready, worker.item = True, None
        self._deaths_before_ready = 0
        received: Outcome[R] | str = message
        return received

    def _stop(self, workers: list[_Worker], *, are_busy: bool) -> None:
        self._workers = [worker for worker in self._workers if worker not in workers]
        stop(workers, are_busy=are_busy)


def processes(make: Make[T, R], num_workers: int) -> Processes[T, R]:
    """Work in processes of this machine.

    Args:
        make: Makes the evaluator, once in each process; of a module that can be imported.
        num_workers: Processes, at least 1.
    """
    return Processes(make, num_workers)


def pickled(value: object) -> bytes:
    """What goes through a pipe."""
    return value if isinstance(value, Pickled) else pickle.dumps(value)
