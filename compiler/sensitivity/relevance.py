"""Relevance: how much of the answer goes through a layer, times what rounding takes from it.

Relevance starts with 1 at the predicted class of each sample (at the largest value of each
row of an output) and is propagated back by the rules of ``passes.gradients.relevance``. What
arrives at the layer's output counts by magnitude: the plain sum is conserved from layer to
layer, so it says nothing of a network without branches. Averages over samples, divided by
their sum over layers, are the shares; the loss of a format is

    share * (|W - Q(W)|^2 / |W|^2 + |x - Q(x)|^2 / |x|^2).

Source: Ranjan and Savakis, LRP-QViT, 2024, for ranking layers by relevance; the product with
the error of the operands is our own: a share knows no formats.
"""

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.compiler.calibration.reference_run import Arrays, ReferenceRun
from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.quantization_error import operand_errors
from octavo.compiler.sensitivity.score import Score
from octavo.passes.gradients.relevance import add_relevances
from octavo.passes.layer_format import LayerFormat
from octavo.passes.wiring import is_float, produced_by


class Relevance:
    """A layer's share of the relevance, times the relative error of its operands."""

    def __init__(self, trials: FormatTrials) -> None:
        self._trials = trials
        self._shares: dict[str, float] | None = None

    def score(self, layer: str, layer_format: LayerFormat) -> Score:
        """See ``Measure``."""
        weight, activation = operand_errors(self._trials, layer, layer_format)
        loss = self.shares()[layer] * (weight + activation)
        return self._trials.rate(layer, layer_format, loss)

    def shares(self) -> dict[str, float]:
        """Of each layer, 0 to 1; they add up to 1 unless no relevance reaches any layer.

        Raises:
            ModelError: An operator of the network has no rule.
        """
        if self._shares is None:
            self._shares = self._propagate()
        return self._shares

    def _propagate(self) -> dict[str, float]:
        trials = self._trials
        model = trials.variants.model.clone()
        graph = model.graph
        started, sources = {}, {}
        for output in [value for value in graph.outputs if is_float(value)]:
            softmax = produced_by(output, "Softmax", "LogSoftmax")
            value = softmax.inputs[0] if softmax is not None else output
            assert value is not None
            start = ir.val(f"{value.name}/relevance", ir.DataType.FLOAT, value.shape)
            graph.inputs.append(start)
            started[value] = start
            sources[output.name or ""] = start.name or ""
        heads = {node.name: node.outputs[0] for node in graph}
        made = {layer: heads[layer] for layer in trials.layers}
        arrived = add_relevances(graph, started, list(made.values()))
        graph.outputs[:] = list(arrived.values())
        RemoveUnusedNodesPass()(model)
        run = ReferenceRun(model, list(arrived.values()))
        totals = dict.fromkeys(trials.layers, 0.0)
        for sample, exact in zip(trials.samples, trials.exact(), strict=True):
            starts = {start: _at_largest(exact, name) for name, start in sources.items()}
            found = run.run({**sample, **starts})
            for layer, value in made.items():
                if value in arrived:
                    totals[layer] += float(np.abs(found[arrived[value].name or ""]).sum())
        whole = sum(totals.values())
        return {layer: total / whole if whole else 0.0 for layer, total in totals.items()}


def _at_largest(
    outputs: Arrays, name: str
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """1 at the largest value of each row of an output, 0 elsewhere."""
    exact = outputs[name]
    start = np.zeros(exact.shape, np.float32)
    np.put_along_axis(start, exact.argmax(axis=-1, keepdims=True), 1.0, axis=-1)
    return start
