"""Hessian trace of a layer's weight, by running the network forward only.

For the loss l(w) = KL(softmax(f(w0)) || softmax(f(w))), or 1/2 |f(w) - f(w0)|^2, the Hessian
at w0 is exactly J' S J: J is the Jacobian of the outputs by the weights, and S is
diag(p) - p p' for the first loss and the identity for the second. Second derivatives of f have
no part in it, as the gradient of the loss is zero at w0. With v of random signs,

    trace(J' S J) = E[v' J' S J v] = E[(Jv)' S (Jv)],  Jv = (f(w0 + h v) - f(w0 - h v)) / 2h,

so Hutchinson's estimate needs neither gradients nor a training framework. The score of a
format is trace / n * |W - Q(W)|^2, as in HAWQ-V2 and HAWQ-V3; activations have no part in it.

Source: Hutchinson, A stochastic estimator of the trace, 1990; Martens, New insights on the
natural gradient method, 2020, section 9 (Gauss-Newton and Fisher); Dong et al., HAWQ-V2, 2020.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.output_losses import log_softmax
from octavo.compiler.sensitivity.quantization_error import operand_errors
from octavo.compiler.sensitivity.score import Score
from octavo.passes.layer_format import LayerFormat
from octavo.passes.wiring import is_float

NUM_DIRECTIONS = 16  # the estimate is off by a fifth or so; traces of layers differ by more
MAX_SAMPLES = 32
STEP = 1e-2  # of the weight's root mean square: far above what float32 rounds

Metric = Callable[[NDArray[np.float64], NDArray[np.float64]], float]


def squared_metric(outputs: NDArray[np.float64], change: NDArray[np.float64]) -> float:
    """(Jv)'(Jv) of one sample."""
    del outputs  # the curvature of a squared error is the same everywhere
    return float(np.square(change).sum())


def softmax_metric(outputs: NDArray[np.float64], change: NDArray[np.float64]) -> float:
    """(Jv)'(diag(p) - p p')(Jv) of one sample: the variances of Jv under p of each row."""
    p = np.exp(log_softmax(outputs))
    mean = (p * change).sum(axis=-1)
    return float(((p * np.square(change)).sum(axis=-1) - np.square(mean)).sum())


class HessianTrace:
    """Mean curvature along the weight, times the squared error of the weight."""

    def __init__(
        self,
        trials: FormatTrials,
        *,
        metric: Metric = softmax_metric,
        num_directions: int = NUM_DIRECTIONS,
        seed: int = 0,
    ) -> None:
        """Take a network.

        Args:
            trials: The network.
            metric: v' S v of the loss at the outputs.
            num_directions: Random directions for each sample.
            seed: Of the directions.
        """
        self._trials = trials
        self._metric = metric
        self._num_directions = num_directions
        self._seed = seed
        self._traces: dict[str, float] = {}

    def score(self, layer: str, layer_format: LayerFormat) -> Score:
        """See ``Measure``."""
        weight = self._trials.variants.weight(layer).astype(np.float64)
        relative, _ = operand_errors(self._trials, layer, layer_format)
        error = relative * float(np.square(weight).sum())
        loss = self.trace(layer) / weight.size * error
        return self._trials.rate(layer, layer_format, loss)

    def trace(self, layer: str) -> float:
        """Trace of the Hessian of the mean loss by a layer's weight; the estimate is kept."""
        if layer not in self._traces:
            self._traces[layer] = self._estimate(layer)
        return self._traces[layer]

    def _estimate(self, layer: str) -> float:
        trials = self._trials
        weight = trials.variants.weight(layer)
        model, name = _with_weight_as_input(trials.variants.model, layer)
        outputs = [value for value in model.graph.outputs if is_float(value)]
        run = ReferenceRun(model, outputs)
        rng = np.random.default_rng((self._seed, trials.layers.index(layer)))
        rms = float(np.sqrt(np.square(weight, dtype=np.float64).mean()))
        step = np.float32(STEP * rms if rms else STEP)
        count = len(trials.samples)
        used = range(0, count, -(-count // MAX_SAMPLES))
        total = 0.0
        for index in used:
            feeds: dict[str, NDArray[Any]] = dict(trials.samples[index])
            exact = trials.exact()[index]
            for _ in range(self._num_directions):
                signs = rng.choice(np.array([-step, step], np.float32), weight.shape)
                above = run.run({**feeds, name: weight + signs})
                below = run.run({**feeds, name: weight - signs})
                for value in outputs:
                    key = value.name or ""
                    # Differences of float32 numbers, in double.
                    change = (above[key].astype(np.float64) - below[key]) / (2.0 * step)
                    total += self._metric(exact[key].astype(np.float64), change)
        return total / (len(used) * self._num_directions)


def _with_weight_as_input(model: ir.Model, layer: str) -> tuple[ir.Model, str]:
    """The model with a layer's weight fed from outside, and the name of that input."""
    changed = model.clone()
    node = next(node for node in changed.graph if node.name == layer)
    old = node.inputs[1]
    assert old is not None
    name = f"{layer}/{old.name}/perturbed"
    value = ir.Value(name=name, shape=old.shape, type=ir.TensorType(ir.DataType.FLOAT))
    changed.graph.inputs.append(value)
    node.replace_input_with(1, value)
    RemoveUnusedNodesPass()(changed)
    return changed, name
