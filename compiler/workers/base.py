"""What works on items: here, in processes of this machine, or on a cluster."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)

# Makes an evaluator, once per process; picklable, like a frozen dataclass of paths and bytes.
# What is heavy, such as models and samples, is unpacked by it. Its error ends the work. If the
# evaluator has a method ``close``, it is called at the end of a process that ends in order.
Make = Callable[[], Callable[[T], R]]

# Runs of one item whose processes died, before it counts as the item's own fault.
MAX_DEATHS = 3


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What became of one item.

    Attributes:
        value: What the evaluator returned; None if it failed.
        error: Why it failed, in one line; None if it did not.
        exit_code: What the command would end with if this error ended it: 4 means that a
            device went away, and that the item itself may be good. 0 without an error.
    """

    value: R | None = None
    error: str | None = None
    exit_code: int = 0

    def unwrap(self) -> R:
        """The value.

        Raises:
            ValueError: The item failed.
        """
        if self.error is not None:
            raise ValueError(f"no value: {self.error}")
        return self.value  # type: ignore[return-value]  # R may be a type that allows None


class Workers(Protocol[T_contra, R]):
    """Works on items; a context manager that ends what it started."""

    def run(
        self, items: Sequence[T_contra], *, resource: str | None = None
    ) -> Iterator[tuple[int, Outcome[R]]]:
        """Work on items. One run at a time: the next one when the iterator has ended.

        Args:
            items: What the evaluator is called with; picklable.
            resource: What an item occupies while it runs, such as a phone: of a resource,
                one item at a time. Workers of this machine have one of each.

        Yields:
            The index of an item and its outcome, as each is done, in any order. Every item
            comes back once, whatever became of the processes that worked on it. What is
            under way when the iterator is closed is stopped.

        Raises:
            OctavoError: The evaluator cannot be made, or workers cannot be had (WorkerError).
        """
        ...

    def close(self) -> None:
        """End all workers; the second time, do nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def died(times: int, how: str) -> Outcome[R]:
    """The outcome of an item that ended every process that worked on it."""
    return Outcome(error=f"its process died {times} times, the last one {how}", exit_code=1)
