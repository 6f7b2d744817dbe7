"""Round the weights of a quantized model anew, layer by layer, from what layers compute."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.layer_moments import (
    LayerData,
    RoundingLayer,
    gather_moments,
)
from octavo.errors import RecipeError
from octavo.passes.linear_layers import linear_weight
from octavo.passes.rounding.choose_rounding import choose_rounding
from octavo.passes.rounding.columns import weight_matrix
from octavo.passes.rounding.methods import NEAREST, ROUNDING_MODES, ROUNDINGS
from octavo.passes.rounding.moments import moments_bytes
from octavo.passes.rounding.stored_layer import StoredLayer, stored_layer

MAX_MOMENT_BYTES = 512 * 2**20  # of the layers that are gathered together

Progress = Callable[[str, int, int], None]
Samples = Iterable[Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class RoundedLayer:
    """What rounding anew did to one layer.

    Attributes:
        layer: Name of its node.
        error_before: Mean squared error of its output on the samples set aside, as it was.
        error_after: The same now; never larger.
        num_changed: Integers of its weight that are others now.
        num_weights: How many it has.
    """

    layer: str
    error_before: float
    error_after: float
    num_changed: int
    num_weights: int


@dataclass(frozen=True)
class Rounding:
    """What was done to a model.

    Attributes:
        layers: One record for each layer that was looked at, in graph order.
        skipped: Names of the layers that were left as they are, with the reason.
    """

    layers: tuple[RoundedLayer, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)


def check_rounding(rounding: str, mode: str) -> None:
    """Raise RecipeError when the name of a rounding or of a mode is unknown."""
    if rounding not in ROUNDINGS:
        raise RecipeError(f"unknown rounding {rounding!r}; allowed: {', '.join(ROUNDINGS)}")
    if mode not in ROUNDING_MODES:
        raise RecipeError(
            f"unknown rounding mode {mode!r}; allowed: {', '.join(ROUNDING_MODES)}"
        )


def round_layers(
    float_model: ir.Model,
    quantized: ir.Model,
    samples: Samples,
    *,
    rounding: str,
    mode: str = ROUNDING_MODES[0],
    progress: Progress | None = None,
) -> Rounding:
    """Choose the integers of every Conv, Gemm and MatMul weight anew, in place.

    Each output channel keeps what it has unless the new integers have the smaller output
    error on samples that they were not chosen by.

    Args:
        float_model: Prepared float model; nodes have the names of the quantized model's.
        quantized: QDQ model made of it; its weights, biases and scales are changed.
        samples: One mapping from input name to array for each inference; held in memory.
        rounding: One of ``ROUNDINGS``.
        mode: "sequential": layers read what the quantized network before them computes, so
            later layers make up for errors of earlier ones, and the models run once for each
            layer. "parallel": layers read the float network's tensors, which is faster.
        progress: Called with "round layers", layers done, layers in all.

    Raises:
        RecipeError: ``rounding`` or ``mode`` is unknown.
        ModelError: A model cannot be run.
    """
    check_rounding(rounding, mode)
    if rounding == NEAREST:
        return Rounding()
    kept = list(samples)
    layers, skipped = find_layers(float_model, quantized)
    done: list[RoundedLayer] = []
    for group in _groups(layers, one_by_one=mode == "sequential"):
        data = LayerData(float_model, quantized, group, sequential=mode == "sequential")
        halves = gather_moments(data, group, kept)
        for layer, moments in zip(group, halves, strict=True):
            stored = layer.stored
            choice = choose_rounding(
                rounding,
                layer.weight,
                stored.stored,
                moments.fitting,
                moments.checking,
                has_bias=stored.has_bias,
                refit_scale=stored.can_rescale,
            )
            if choice is not stored.stored and not stored.write(choice):
                skipped[stored.node.name or ""] = "its sums could leave int32"
                choice = stored.stored
            before, after = (
                float(moments.checking.error(c.weight, c.bias).mean())
                for c in (stored.stored, choice)
            )
            changed = int((choice.q != stored.stored.q).sum())
            name = stored.node.name or ""
            done.append(RoundedLayer(name, before, after, changed, choice.q.size))
            if progress is not None:
                progress("round layers", len(done), len(layers))
    return Rounding(tuple(done), skipped)


def find_layers(
    float_model: ir.Model, quantized: ir.Model
) -> tuple[list[RoundingLayer], dict[str, str]]:
    """The layers that can be rounded anew, in graph order, and why others cannot."""
    heads = {node.name: node for node in float_model.graph}
    layers: list[RoundingLayer] = []
    skipped: dict[str, str] = {}
    for node in quantized.graph:
        head = heads.get(node.name)
        weight = linear_weight(head) if head is not None else None
        if head is None or weight is None:
            continue
        stored = stored_layer(node)
        if stored is None:
            skipped[node.name or ""] = "its weight is not stored as integers of its own"
        elif weight_matrix(head, weight).shape != stored.stored.q.shape:
            skipped[node.name or ""] = "its weight has another shape in the float model"
        elif _bytes(stored) > MAX_MOMENT_BYTES:
            skipped[node.name or ""] = "it sums over too many values"
        else:
            layers.append(RoundingLayer(head, stored, weight_matrix(head, weight)))
    return layers, skipped


def _groups(layers: Sequence[RoundingLayer], *, one_by_one: bool) -> list[list[RoundingLayer]]:
    groups: list[list[RoundingLayer]] = []
    size = 0
    for layer in layers:
        needed = 2 * _bytes(layer.stored)
        if one_by_one or not groups or size + needed > MAX_MOMENT_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(layer)
        size += needed
    return groups


def _bytes(stored: StoredLayer) -> int:
    return moments_bytes(*stored.stored.q.shape)
