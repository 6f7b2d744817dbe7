"""Measure which layers break accuracy: each alone, and all together."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.isolate_layers import dequantized_values, isolate_layers
from octavo.compiler.calibration.reference_run import Arrays, ReferenceRun
from octavo.compiler.calibration.signal_to_noise import SignalToNoise

Progress = Callable[[str, int, int], None]
Samples = Iterable[Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class LayerError:
    """What quantization did to one layer.

    Attributes:
        layer: Name of the ONNX node that heads the layer.
        op_type: Its operator, with what is fused behind it ("Conv+Relu").
        tensor: The layer's output.
        sqnr_isolated_db: Signal to quantization noise with only this layer quantized.
        sqnr_cumulative_db: The same at this tensor with the whole network quantized.
    """

    layer: str
    op_type: str
    tensor: str
    sqnr_isolated_db: float
    sqnr_cumulative_db: float


@dataclass(frozen=True)
class Layer:
    """A layer to measure.

    Attributes:
        name: Its first node in the float model.
        op_type: Its operators.
        tensor: Its output in the float model.
        low: Values below are the same to every reader of the tensor.
        high: Values above are the same to every reader.
    """

    name: str
    op_type: str
    tensor: str
    low: float = -math.inf
    high: float = math.inf


def measure_layers(
    float_model: ir.Model,
    quantized: ir.Model,
    layers: Sequence[Layer],
    samples: Samples,
    *,
    progress: Progress | None = None,
) -> tuple[LayerError, ...]:
    """Compare every layer of a quantized model with the float model.

    Each sample runs four times: float and quantized, float and through the isolated layers.

    Args:
        float_model: Prepared float model.
        quantized: The same after quantization.
        layers: What to compare, in order.
        samples: One mapping from input name to array for each inference; held in memory.
        progress: Called with "measure layers", steps done, steps in all.
    """
    tensors = [layer.tensor for layer in layers]
    isolated = isolate_layers(quantized, tensors)
    needed = dict.fromkeys((*tensors, *isolated.feeds.values()))
    float_run = ReferenceRun(float_model, _values(float_model.graph, needed))
    alone = {name: SignalToNoise() for name in tensors}
    together = {name: SignalToNoise() for name in tensors}
    kept = list(samples)
    steps = 2 * len(kept)
    # One quantized session after the other: each holds the dequantized weights.
    seen = _seen(quantized.graph, tensors)
    run = ReferenceRun(quantized, list(seen.values()))
    for done, sample in enumerate(kept, start=1):
        exact = _clipped(float_run.run(sample), layers)
        rounded = run.run(sample)
        for name, value in seen.items():
            together[name].add(exact[name], rounded[value.name or ""])
        if progress is not None:
            progress("measure layers", done, steps)
    del run
    run = ReferenceRun(isolated.model, list(isolated.outputs.values()))
    for done, sample in enumerate(kept, start=len(kept) + 1):
        exact = float_run.run(sample)
        rounded = run.run({new: exact[old] for new, old in isolated.feeds.items()})
        exact = _clipped(exact, layers)
        for name, value in isolated.outputs.items():
            alone[name].add(exact[name], rounded[value.name or ""])
        if progress is not None:
            progress("measure layers", done, steps)
    return tuple(
        LayerError(
            layer.name,
            layer.op_type,
            layer.tensor,
            alone[layer.tensor].decibels(),
            together[layer.tensor].decibels(),
        )
        for layer in layers
    )


def measure_outputs(
    float_model: ir.Model, quantized: ir.Model, samples: Samples
) -> dict[str, float]:
    """Signal to noise of each float output of the model, decibels, by name."""
    outputs = [v for v in float_model.graph.outputs if v.dtype == ir.DataType.FLOAT]
    names = [value.name or "" for value in outputs]
    float_run = ReferenceRun(float_model, outputs)
    quantized_run = ReferenceRun(quantized, _values(quantized.graph, names))
    ratios = {name: SignalToNoise() for name in names}
    for sample in samples:
        exact, rounded = float_run.run(sample), quantized_run.run(sample)
        for name, ratio in ratios.items():
            ratio.add(exact[name], rounded[name])
    return {name: ratio.decibels() for name, ratio in ratios.items()}


def _clipped(exact: Arrays, layers: Sequence[Layer]) -> Arrays:
    """The tensors, cut to what their readers tell apart."""
    cut = dict(exact)
    for layer in layers:
        if layer.low > -math.inf or layer.high < math.inf:
            cut[layer.tensor] = exact[layer.tensor].clip(layer.low, layer.high)
    return cut


def _values(graph: ir.Graph, names: Iterable[str]) -> list[ir.Value]:
    known = {v.name: v for v in (*graph.inputs, *(o for n in graph for o in n.outputs))}
    return [known[name] for name in names]


def _seen(graph: ir.Graph, tensors: Sequence[str]) -> dict[str, ir.Value]:
    rounded = dequantized_values(graph)
    computed = {value.name: value for node in graph for value in node.outputs}
    return {name: rounded.get(name) or computed[name] for name in tensors}
