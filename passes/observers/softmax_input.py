"""Observe attention scores without what Softmax ignores."""

import numpy as np
from numpy.typing import NDArray

from octavo.passes.narrow_ranges import SOFTMAX_REACH
from octavo.passes.observers.base import Observer


class SoftmaxInputObserver:
    """Passes scores on after raising those far below the largest of their row.

    A masked score is -1e4 or -inf. Its weight is exp(score - largest), zero at any precision;
    so is that of ``largest - 16``, which does not take the range from the other scores.
    """

    def __init__(self, inner: Observer, axis: int) -> None:
        """Wrap an observer.

        Args:
            inner: Observes the raised scores.
            axis: Dimension that Softmax normalizes.
        """
        self._inner = inner
        self._axis = axis

    def observe(self, x: NDArray[np.float32]) -> None:
        """Take one sample of the scores."""
        largest = x.max(axis=self._axis, keepdims=True)
        self._inner.observe(np.maximum(x, largest - np.float32(SOFTMAX_REACH)))

    def range(self) -> tuple[float, float]:
        """The inner observer's range."""
        return self._inner.range()
