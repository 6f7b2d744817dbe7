"""Measure what each channel of a tensor holds while samples run through the float model."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.passes.channel_noise import ChannelStatistics


def measure_channels(
    model: ir.Model, tensors: Sequence[ir.Value], samples: Iterable[Mapping[str, NDArray[Any]]]
) -> dict[str, ChannelStatistics]:
    """Observe the channels, the last dimension, of some tensors.

    Args:
        model: The float model that computes them; not changed.
        tensors: Float tensors with at least one dimension.
        samples: One mapping from input name to array for each inference.

    Returns:
        Statistics by tensor name; tensors that held infinity or NaN are left out, and all of
        them when there is no sample.
    """
    run = ReferenceRun(model, tensors)
    collected: dict[str, _Collected] = {}
    for sample in samples:
        for name, array in run.run(sample).items():
            rows = array.reshape(-1, array.shape[-1])
            collected.setdefault(name, _Collected(rows.shape[-1])).add(rows)
    measured = {name: channels.statistics() for name, channels in collected.items()}
    return {
        name: found for name, found in measured.items() if np.isfinite(found.largest).all()
    }


class _Collected:
    def __init__(self, size: int) -> None:
        self._low = np.full(size, np.inf)
        self._high = np.full(size, -np.inf)
        self._square = np.zeros(size)
        self._count = 0

    def add(self, rows: NDArray[np.float32]) -> None:
        self._low = np.minimum(self._low, rows.min(axis=0))
        self._high = np.maximum(self._high, rows.max(axis=0))
        self._square += np.einsum("rc,rc->c", rows, rows, dtype=np.float64)
        self._count += len(rows)

    def statistics(self) -> ChannelStatistics:
        return ChannelStatistics(self._low, self._high, self._square / max(self._count, 1))
