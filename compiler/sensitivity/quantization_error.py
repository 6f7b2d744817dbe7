"""Quantization error: how much the layer's own operands lose, seen alone.

loss = |W - Q(W)|^2 / |W|^2 + |x - Q(x)|^2 / |x|^2, with x what the layer reads in the float
network. It knows nothing of what the rest of the network makes of the error.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.score import Score
from octavo.passes.constants import float_constant
from octavo.passes.layer_format import LayerFormat


class QuantizationError:
    """Relative squared errors of a layer's weight and of its input, added."""

    def __init__(self, trials: FormatTrials) -> None:
        self._trials = trials

    def score(self, layer: str, layer_format: LayerFormat) -> Score:
        """See ``Measure``."""
        weight, activation = operand_errors(self._trials, layer, layer_format)
        return self._trials.rate(layer, layer_format, weight + activation)


def operand_errors(
    trials: FormatTrials, layer: str, layer_format: LayerFormat
) -> tuple[float, float]:
    """Relative squared error of a layer's weight and of what it reads."""
    if layer_format.is_float:
        return 0.0, 0.0
    model = trials.variants.quantized({layer: layer_format})
    node = next(node for node in model.graph if node.name == layer)
    read, weight = node.inputs[0], node.inputs[1]
    assert read is not None
    assert weight is not None
    weight_error = _ratio(trials.variants.weight(layer), _constant(model, weight, trials))
    exact = trials.variants.head(layer).inputs[0]
    assert exact is not None
    if read.name == exact.name:  # not rounded
        return weight_error, 0.0
    float_run = ReferenceRun(trials.variants.model, [exact])
    rounded_run = ReferenceRun(model, [read])
    noise = signal = 0.0
    for sample in trials.samples:
        x = float_run.run(sample)[exact.name or ""].astype(np.float64)
        y = rounded_run.run(sample)[read.name or ""]
        noise += float(np.square(x - y).sum())
        signal += float(np.square(x).sum())
    return weight_error, noise / signal if signal else 0.0


def _constant(model: ir.Model, value: ir.Value, trials: FormatTrials) -> NDArray[np.float32]:
    stored = float_constant(value)
    if stored is not None:
        return stored
    found: NDArray[np.float32] = ReferenceRun(model, [value]).run(trials.samples[0])[
        value.name or ""
    ]
    return found


def _ratio(exact: NDArray[np.float32], rounded: NDArray[np.float32]) -> float:
    if rounded.shape != exact.shape:  # stored transposed
        rounded = rounded.T
    difference = exact.astype(np.float64) - rounded
    signal = float(np.square(exact, dtype=np.float64).sum())
    return float(np.square(difference).sum()) / signal if signal else 0.0
