"""What a loaded network offers, whatever runtime loaded it."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

Inputs = Mapping[str, NDArray[Any]]
Run = Callable[[], object]


class Program(Protocol):
    """A loaded network."""

    def run(self, inputs: Inputs) -> dict[str, NDArray[Any]]:
        """Run one inference; input and output names to arrays."""

    def bind(self, inputs: Inputs) -> Run:
        """Return a function that runs one inference on arrays that lie ready in memory."""
