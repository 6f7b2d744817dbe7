"""One worker: this process."""

from collections.abc import Iterator, Sequence
from typing import Generic

from octavo.compiler.closing import Closing
from octavo.compiler.workers.base import Make, Outcome, R, T
from octavo.compiler.workers.evaluator import Evaluator


class InProcess(Closing, Generic[T, R]):
    """Works on items one after the other, in their order; see ``Workers``."""

    def __init__(self, make: Make[T, R]) -> None:
        self._make = make
        self._evaluate: Evaluator[T, R] | None = None

    def run(
        self, items: Sequence[T], *, resource: str | None = None
    ) -> Iterator[tuple[int, Outcome[R]]]:
        """See ``Workers.run``; there is one of every resource."""
        del resource
        for index, item in enumerate(items):
            if self._evaluate is None:
                self._evaluate = Evaluator(self._make)
            yield index, self._evaluate(item)

    def close(self) -> None:
        """Close the evaluator."""
        if self._evaluate is not None:
            self._evaluate.close()
        self._evaluate = None


def in_process(make: Make[T, R]) -> InProcess[T, R]:
    """Work in this process.

    Args:
        make: Makes the evaluator, when the first item comes.
    """
    return InProcess(make)
