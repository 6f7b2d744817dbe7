"""How much of each row of the outputs is lost: every node counts the same."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.reference_run import Arrays, ReferenceRun


class RowErrors:
    """Compares quantized models with one float model on the same samples.

    A row's error is the energy of its difference in the energy of the row and the difference:
    0 is exact, 0.5 as large as the row. Nodes with many edges have larger rows in networks
    that add, and would be all that a mean of squares sees.
    """

    def __init__(
        self, float_model: ir.Model, samples: Sequence[Mapping[str, NDArray[Any]]]
    ) -> None:
        """Run the float model once; samples and its outputs are kept."""
        self._samples = samples
        values = _float_outputs(float_model)
        self._names = [value.name or "" for value in values]
        run = ReferenceRun(float_model, values)
        self._exact: list[Arrays] = [run.run(sample) for sample in samples]

    def measure(self, quantized: ir.Model) -> float:
        """Mean error of all rows of all float outputs, 0 to 1."""
        run = ReferenceRun(quantized, _float_outputs(quantized))
        errors = []
        for sample, exact in zip(self._samples, self._exact, strict=True):
            rounded = run.run(sample)
            errors += [_row_error(exact[name], rounded[name]) for name in self._names]
        return float(np.mean(errors)) if errors else 0.0


def _row_error(exact: NDArray[np.float32], rounded: NDArray[np.float32]) -> float:
    rows = np.atleast_2d(exact).reshape(-1, exact.shape[-1] if exact.ndim else 1)
    difference = rows - np.atleast_2d(rounded).reshape(rows.shape)
    lost = np.square(difference, dtype=np.float64).sum(axis=1)
    whole = np.square(rows, dtype=np.float64).sum(axis=1) + lost
    return float(np.mean(np.divide(lost, whole, out=np.zeros_like(lost), where=whole > 0)))


def _float_outputs(model: ir.Model) -> list[ir.Value]:
    return [value for value in model.graph.outputs if value.dtype == ir.DataType.FLOAT]
