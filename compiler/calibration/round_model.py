"""Choose the constants of a quantized model by what its layers compute, then retune them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.retune_layers import Retuning, retune_layers
from octavo.compiler.calibration.round_layers import Progress, round_layers
from octavo.compiler.calibration.rounding_layers import RoundedLayer
from octavo.passes.rounding.methods import NEAREST, ROUNDING_MODES


@dataclass(frozen=True)
class RoundingResult:
    """What was done to a model; nothing for nearest rounding.

    Attributes:
        layers: One record for each layer whose integers were chosen, in graph order.
        skipped: Names of the layers that were left as they are, with the reason.
        retuning: What estimating means and spreads anew did; None when it was not tried.
    """

    layers: tuple[RoundedLayer, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    retuning: Retuning | None = None


def round_model(
    float_model: ir.Model,
    nearest: ir.Model,
    samples: Iterable[Mapping[str, NDArray[Any]]],
    *,
    rounding: str,
    mode: str = ROUNDING_MODES[0],
    progress: Progress | None = None,
) -> tuple[RoundingResult, ir.Model]:
    """Round weights by a method, and retune scales and biases when that helps.

    Args:
        float_model: Prepared float model; nodes have the names of the quantized model's.
        nearest: QDQ model made of it, weights rounded to nearest; not changed.
        samples: One mapping from input name to array for each inference; held in memory.
        rounding: One of ``ROUNDINGS``.
        mode: One of ``ROUNDING_MODES``.
        progress: Called with a stage, steps done and steps in all.

    Returns:
        What was done, and the model it was done to: ``nearest`` itself for nearest rounding.

    Raises:
        RecipeError: ``rounding`` or ``mode`` is unknown.
        ModelError: A model cannot be run.
    """
    kept = list(samples) if rounding != NEAREST else []
    quantized = nearest.clone() if rounding != NEAREST else nearest
    rounded = round_layers(
        float_model, quantized, kept, rounding=rounding, mode=mode, progress=progress
    )
    if rounding == NEAREST:
        return RoundingResult(), nearest
    retuning, retuned = retune_layers(float_model, quantized, kept, progress=progress)
    return RoundingResult(rounded.layers, rounded.skipped, retuning), retuned
