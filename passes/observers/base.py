"""What an observer is."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Observer(Protocol):
    """Collects the range of one tensor in memory that does not grow with the samples."""

    def observe(self, x: NDArray[np.float32]) -> None:
        """Take one sample of the tensor, any shape, at least one element."""

    def range(self) -> tuple[float, float]:
        """``(low, high)`` to represent; infinite when the tensor held infinity or NaN."""


def finite_extremes(x: NDArray[np.float32]) -> tuple[float, float] | None:
    """Smallest and largest element, or None when one is infinite or NaN."""
    low, high = float(x.min()), float(x.max())
    # NaN wins both minimum and maximum, so two numbers tell about all of them.
    return (low, high) if np.isfinite(low) and np.isfinite(high) else None
