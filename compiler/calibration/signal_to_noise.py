"""Signal to quantization noise of a tensor, accumulated over samples."""

import math

import numpy as np
from numpy.typing import NDArray

# Beyond float32's own resolution (2**-24 is 144 dB) a difference means nothing.
MAX_DB = 150.0


class SignalToNoise:
    """10 log10(sum x^2 / sum (x - y)^2) over everything added."""

    def __init__(self) -> None:
        self._signal = 0.0
        self._noise = 0.0

    def add(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
        """Add the exact values ``x`` and the noisy ones ``y`` of one sample; same shape."""
        difference = np.subtract(x, y, dtype=np.float32).reshape(-1)
        flat = x.reshape(-1)
        # Dot products of float32 lose nothing that matters here and make no temporaries.
        self._signal += float(np.dot(flat, flat))
        self._noise += float(np.dot(difference, difference))

    def decibels(self) -> float:
        """The ratio in decibels, within -150 and 150."""
        if self._noise == 0.0:
            return MAX_DB
        if self._signal == 0.0 or not math.isfinite(self._noise):
            return -MAX_DB
        return min(MAX_DB, max(-MAX_DB, 10.0 * math.log10(self._signal / self._noise)))
