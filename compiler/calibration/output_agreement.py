"""How a quantized model's outputs compare with float: answers that agree, and noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.reference_run import Arrays, ReferenceRun
from octavo.compiler.calibration.signal_to_noise import SignalToNoise


@dataclass(frozen=True)
class Agreement:
    """Over all float outputs.

    Attributes:
        share: Largest elements of rows (along the last axis) that are the same, 0 to 1.
        sqnr_db: Signal to quantization noise of the worst output.
    """

    share: float
    sqnr_db: float

    def is_no_worse_than(self, other: "Agreement") -> bool:
        """Whether neither number is smaller."""
        return self.share >= other.share and self.sqnr_db >= other.sqnr_db


class AgreementMeter:
    """Compares models with one float model on the same samples."""

    def __init__(
        self, float_model: ir.Model, samples: Sequence[Mapping[str, NDArray[Any]]]
    ) -> None:
        """Run the float model once; samples and its outputs are kept."""
        values = _outputs(float_model)
        self._names = [value.name or "" for value in values]
        self._samples = samples
        run = ReferenceRun(float_model, values)
        self._exact: list[Arrays] = [run.run(sample) for sample in samples]

    def measure(self, quantized: ir.Model) -> Agreement:
        """Run a model with the same outputs."""
        run = ReferenceRun(quantized, _outputs(quantized))
        ratios = {name: SignalToNoise() for name in self._names}
        same = total = 0
        for sample, exact in zip(self._samples, self._exact, strict=True):
            rounded = run.run(sample)
            for name, ratio in ratios.items():
                ratio.add(exact[name], rounded[name])
                rows = [np.atleast_1d(arrays[name]) for arrays in (exact, rounded)]
                first, second = (row.argmax(axis=-1) for row in rows)
                same += int((first == second).sum())
                total += first.size
        worst = min(ratio.decibels() for ratio in ratios.values())
        return Agreement(same / max(1, total), worst)


def _outputs(model: ir.Model) -> list[ir.Value]:
    return [value for value in model.graph.outputs if value.dtype == ir.DataType.FLOAT]
