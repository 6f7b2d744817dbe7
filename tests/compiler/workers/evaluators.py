"""Evaluators of the tests of workers; processes import them from here."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tests.compiler.workers.processes_of import parent_of, wait_until

from octavo.errors import DeviceError, ModelError


@dataclass(frozen=True)
class Square:
    """Squares integers; tells each process that it made one by a file."""

    folder: Path
    pause_s: float = 0.0

    def __call__(self) -> Callable[[int], int]:
        (self.folder / f"made-{os.getpid()}").touch(exist_ok=False)

        def square(x: int) -> int:
            (self.folder / f"begun-{x}-{time.monotonic_ns()}").touch()
            time.sleep(self.pause_s)
            return x * x

        return square


@dataclass(frozen=True)
class Fragile:
    """Ends its process for items in ``fatal``: always, or only the first time.

    Attributes:
        how: "kill", a signal that cannot be caught; "exit", a call of sys.exit; "parent", the
            signal to the process that wanted this one.
        times: How often each of them does.
    """

    folder: Path
    fatal: tuple[int, ...]
    how: str = "kill"
    times: int = 1

    def __call__(self) -> Callable[[int], int]:
        return self._work

    def _work(self, x: int) -> int:
        deaths = len([*self.folder.glob(f"death-{x}-*")])
        if x in self.fatal and deaths < self.times:
            (self.folder / f"death-{x}-{deaths}").touch()
            if self.how == "exit":
                sys.exit(7)
            if self.how == "parent":
                # Its own parent is there to end like it.
                os.kill(parent_of(os.getppid()), signal.SIGKILL)
                time.sleep(60)
            os.kill(os.getpid(), signal.SIGKILL)
        return x * x


@dataclass(frozen=True)
class Wrong:
    """Raises what each item names."""

    def __call__(self) -> Callable[[str], Any]:
        def fail(item: str) -> Any:
            match item:
                case "device":
                    raise DeviceError("adb:17: gone")
                case "type":
                    raise TypeError("two\nlines")
                case "unpicklable":
                    return lambda: None
                case _:
                    return item

        return fail


@dataclass(frozen=True)
class Unmade:
    """Cannot make its evaluator."""

    how: str

    def __call__(self) -> Callable[[int], int]:
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "error":
            raise ModelError("no such model")
        raise ZeroDivisionError("a fault")


@dataclass(frozen=True)
class Threads:
    """How many threads libraries use, and whether a product of matrices is right."""

    def __call__(self) -> Callable[[int], set[int]]:
        def threads(size: int) -> set[int]:
            from threadpoolctl import threadpool_info

            assert (np.ones((size, size)) @ np.ones((size, size)) == size).all()
            return {library["num_threads"] for library in threadpool_info()}

        return threads


@dataclass(frozen=True)
class Sleeper:
    """Starts a program and waits for it; says which in a file."""

    folder: Path

    def __call__(self) -> Callable[[int], int]:
        def sleep(x: int) -> int:
            program = subprocess.Popen(["sleep", "600"])
            (self.folder / f"pids-{x}").write_text(f"{os.getpid()} {program.pid}")
            return program.wait()

        return sleep


class Held:
    """Holds a file until it is closed; sleeps as long as an item says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()

    def __call__(self, seconds: float) -> bool:
        self.path.write_text("at work")
        time.sleep(seconds)
        return self.path.exists()

    def close(self) -> None:
        self.path.unlink()


@dataclass(frozen=True)
class Holder:
    """Makes evaluators that hold something."""

    folder: Path

    def __call__(self) -> Held:
        return Held(self.folder / f"held-{os.getpid()}")


@dataclass(frozen=True)
class OnNode:
    """Squares integers slowly; tells the node, and when it worked, by the value and by files.

    A file ``begun-ITEM-NODE-PID`` is there from the beginning of an item, ``ended-`` from its
    end. Items end when each of ``nodes`` has begun one: then all of them are at work.
    """

    folder: Path
    pause_s: float
    nodes: tuple[str, ...] = ()

    def __call__(self) -> Callable[[int], tuple[int, str, float, float]]:
        def work(x: int) -> tuple[int, str, float, float]:
            node, begin = os.environ["TEST_NODE"], time.monotonic()
            (self.folder / f"begun-{x}-{node}-{os.getpid()}").touch()
            time.sleep(self.pause_s)
            wait_until(lambda: all([*self.folder.glob(f"begun-*-{n}-*")] for n in self.nodes))
            (self.folder / f"ended-{x}-{node}-{os.getpid()}").touch()
            return x * x, node, begin, time.monotonic()

        return work
