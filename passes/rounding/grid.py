"""The real values that a quantized weight can have."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class WeightGrid:
    """Symmetric steps of a weight matrix (groups, outputs, columns).

    Attributes:
        scale: One step: (G, O, 1) for a scale of each output, (G, O, K) for scales of blocks.
        qmax: Largest integer; the smallest is ``-qmax``.
    """

    scale: NDArray[np.float64]
    qmax: int

    @property
    def is_per_output(self) -> bool:
        """Whether each output has one scale for all of its columns."""
        return bool(self.scale.shape[-1] == 1)

    def nearest(self, weight: NDArray[np.floating]) -> NDArray[np.int32]:
        """Round to nearest, saturated, (G, O, K)."""
        steps = np.rint(np.asarray(weight, np.float64) / self.scale)
        clipped: NDArray[np.int32] = steps.clip(-self.qmax, self.qmax).astype(np.int32)
        return clipped

    def values(self, q: NDArray[np.integer]) -> NDArray[np.float64]:
        """Real values of integers."""
        return np.asarray(q * self.scale)
