"""The Adam optimizer on one array.

Source: Kingma and Ba 2015, "Adam", algorithm 1.
"""

import numpy as np
from numpy.typing import NDArray

DECAY_MEAN, DECAY_POWER, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Moves an array of parameters against its gradients."""

    def __init__(self, shape: tuple[int, ...], rate: float | NDArray[np.float64]) -> None:
        """Take the shape of the parameters and the size of a step, broadcast to it."""
        self._rate = rate
        self._mean = np.zeros(shape)
        self._power = np.zeros(shape)
        self._num_steps = 0

    def step(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """What to add to the parameters."""
        self._num_steps += 1
        self._mean += (1 - DECAY_MEAN) * (gradient - self._mean)
        self._power += (1 - DECAY_POWER) * (np.square(gradient) - self._power)
        mean = self._mean / (1 - DECAY_MEAN**self._num_steps)
        power = self._power / (1 - DECAY_POWER**self._num_steps)
        return np.asarray(-self._rate * mean / (np.sqrt(power) + EPSILON))
