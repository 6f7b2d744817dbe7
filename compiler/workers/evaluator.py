"""Evaluating one item: the same in every process, with errors as outcomes."""

from typing import Generic

from threadpoolctl import ThreadpoolController, threadpool_limits

from octavo.compiler.workers.base import Make, Outcome, R, T
from octavo.errors import OctavoError

# Tells libraries that a process has not loaded yet, and programs that it starts.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TVM_NUM_THREADS"), "1"
)


class Evaluator(Generic[T, R]):
    """Holds what a process needs for all items.

    Everything runs on one thread of numerics: processes side by side would share the cores
    with each other's threads, and sums would depend on the number of threads. What ``make``
    returned is closed at the end, if it has ``close``.

    Raises:
        Exception: What ``make`` raises.
    """

    def __init__(self, make: Make[T, R]) -> None:
        with threadpool_limits(1):
            self._evaluate = make()
        self._threads = ThreadpoolController()  # of the libraries that are loaded by now

    def __call__(self, item: T) -> Outcome[R]:
        """Evaluate one item; what it raises becomes text, except a wish to end the process."""
        try:
            with self._threads.limit(limits=1):
                return Outcome(self._evaluate(item))
        except Exception as error:
            return failure(error)

    def close(self) -> None:
        """Let the evaluator leave what it holds, such as a device."""
        close = getattr(self._evaluate, "close", None)
        if close is not None:
            close()


def failure(error: Exception) -> Outcome[R]:
    """An error as an outcome, in one line: that of Octavo as it is, others with their type."""
    if isinstance(error, OctavoError):
        return Outcome(error=" ".join(str(error).split()), exit_code=error.exit_code)
    text = " ".join(f"{type(error).__name__}: {error}".rstrip(": ").split())
    return Outcome(error=text, exit_code=1)
