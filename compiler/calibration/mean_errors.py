"""Measure the mean error of each layer's output, for ``CorrectBias``.

Each layer is fed with the float network's tensors. To first order this is what measuring layer
after layer through the corrected network gives, because corrected inputs have the float
mean: E[(W + dW) x'] - E[W x] = dW E[x] when E[x'] = E[x]. One pass does it.
"""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.isolate_layers import isolate_layers
from octavo.compiler.calibration.layer_errors import Progress, Samples
from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.passes.correct_bias import bias_tensor, channel_axis
from octavo.passes.fused_regions import Region


def measure_mean_errors(
    float_model: ir.Model,
    quantized: ir.Model,
    regions: Sequence[Region],
    samples: Samples,
    *,
    num_samples: int,
    progress: Progress | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Mean of quantized minus float behind each bias, for each output channel.

    Args:
        float_model: Prepared float model that ``regions`` belong to.
        quantized: The same after ``InsertQuantizers``.
        regions: Active regions; those without a bias are skipped.
        samples: One mapping from input name to array for each inference.
        num_samples: How many there are, for ``progress``.
        progress: Called with "correct biases", samples done, samples in all.

    Returns:
        (number of outputs,) for each tensor behind a bias, by name.
    """
    behind = {
        tensor: channel_axis(region.head)
        for region in regions
        if (tensor := bias_tensor(region)) is not None
    }
    layer_outputs = [region.outputs[0].name or "" for region in regions]
    isolated = isolate_layers(quantized, layer_outputs)
    fed = [v for v in _all(float_model.graph) if v.name in set(isolated.feeds.values())]
    float_run = ReferenceRun(float_model, list(dict.fromkeys((*fed, *behind))))
    inside = {value.name: value for node in isolated.model.graph for value in node.outputs}
    # A layer that ends with its bias is a model output or was cut: look before the rounding.
    pairs = {value.name or "": _unrounded(inside, isolated.outputs, value) for value in behind}
    isolated_run = ReferenceRun(isolated.model, list(pairs.values()))
    sums = {value.name or "": 0.0 * np.zeros(1) for value in behind}
    done = 0
    for done, sample in enumerate(samples, start=1):
        exact = float_run.run(sample)
        parts = isolated_run.run({new: exact[old] for new, old in isolated.feeds.items()})
        for value, axis in behind.items():
            name = value.name or ""
            error = parts[pairs[name].name or ""].astype(np.float64) - exact[name]
            others = tuple(i for i in range(error.ndim) if i != axis % error.ndim)
            sums[name] = sums[name] + error.mean(axis=others)
        if progress is not None:
            progress("correct biases", done, num_samples)
    return {name: total / max(done, 1) for name, total in sums.items()}


def _unrounded(
    inside: dict[str | None, ir.Value], outputs: dict[str, ir.Value], value: ir.Value
) -> ir.Value:
    rounded = outputs.get(value.name or "")
    if rounded is None:
        return inside[value.name]
    back = rounded.producer()
    forth = back.inputs[0].producer() if back is not None and back.inputs[0] else None
    if forth is None or forth.op_type != "QuantizeLinear" or forth.inputs[0] is None:
        return rounded
    return forth.inputs[0]


def _all(graph: ir.Graph) -> list[ir.Value]:
    return [*graph.inputs, *(value for node in graph for value in node.outputs)]
