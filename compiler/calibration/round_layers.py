"""Round the weights of a quantized model anew, layer by layer, from what layers compute."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.round_by_learning import round_by_learning
from octavo.compiler.calibration.round_by_moments import round_by_moments
from octavo.compiler.calibration.rounded_weights import RoundedWeights
from octavo.compiler.calibration.rounding_layers import RoundedLayer, Rounding, find_layers
from octavo.errors import RecipeError
from octavo.passes.rounding.methods import (
    ADAQUANT,
    MOMENT_METHODS,
    NEAREST,
    PARALLEL,
    RETUNED,
    ROUNDING_MODES,
    ROUNDINGS,
    SEQUENTIAL,
)

ANY_BITS = 16

Progress = Callable[[str, int, int], None]
Samples = Iterable[Mapping[str, NDArray[Any]]]


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
        rounding: One of ``ROUNDINGS``; "retuned" leaves integers as they are.
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
    if mode == PARALLEL and rounding in MOMENT_METHODS:
        weights = RoundedWeights(float_model, kept, rounding=rounding, max_bits=ANY_BITS)
        return weights.round(quantized, progress=progress)
    layers, skipped = find_layers(float_model, quantized)
    if rounding == RETUNED:
        return Rounding((), skipped)
    sequential = mode == SEQUENTIAL
    if rounding == ADAQUANT:
        records = round_by_learning(
            float_model, quantized, layers, kept, sequential=sequential
        )
    else:
        records = round_by_moments(float_model, quantized, layers, kept, rounding=rounding)
    done: list[RoundedLayer] = []
    for record in records:
        done.append(record)
        if progress is not None:
            progress("round layers", len(done), len(layers))
    return Rounding(tuple(done), skipped)
