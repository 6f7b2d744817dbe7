"""``octavo quantize --sensitivity``: which layers would lose most with fewer bits."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from octavo.compiler.cli.options import FunctionT, apply_options
from octavo.errors import RecipeError

if TYPE_CHECKING:
    import onnx_ir as ir

    from octavo.compiler.calibration.synthetic import SyntheticSamples
    from octavo.compiler.quantize import QuantizeResult
    from octavo.compiler.samples import SampleSource
    from octavo.compiler.sensitivity.compare import Sensitivities


def sensitivity_options(function: FunctionT) -> FunctionT:
    """Which measure of sensitivity, and in which format."""
    return apply_options(
        function,
        (
            click.option(
                "--sensitivity",
                metavar="NAME",
                help="Rank the layers by what they lose with fewer bits, and measure it:"
                " quantization_error, propagated_error, divergence, hessian_trace,"
                " pairwise_coupling, calibrated_loss, relevance, kurtosis or all.",
            ),
            click.option(
                "--sensitivity-format",
                default="w4a8",
                show_default=True,
                metavar="FORMAT",
                help="The widths to rank the layers for.",
            ),
        ),
    )


def check_sensitivity(sensitivity: str | None, format_text: str) -> None:
    """Raise RecipeError when the measure or the format is unknown."""
    from octavo.compiler.sensitivity.measures import check_measure
    from octavo.passes.layer_format import LayerFormat

    if sensitivity is None:
        return
    check_measure(sensitivity)
    try:
        LayerFormat.parse(format_text)
    except ValueError as error:
        raise RecipeError(str(error)) from error


def measure_sensitivities(
    model: "ir.Model",
    data: Path | str,
    samples: "SampleSource | SyntheticSamples",
    result: "QuantizeResult",
    *,
    sensitivity: str,
    format_text: str,
    activation_dtype: str,
    keep_float: tuple[str, ...],
    overrides: Path | None,
    progress: Callable[[str, int, int], None] | None,
) -> "Sensitivities":
    """Rank the layers of a model that was just quantized, with the same choices.

    Raises:
        RecipeError: The recipe leaves activations in float.
    """
    from octavo.compiler.quantize_job import options_of
    from octavo.compiler.recipes import keep_float_overrides, read_overrides
    from octavo.compiler.sensitivity.compare import compare_measures
    from octavo.compiler.sensitivity.labels import read_labels
    from octavo.passes.layer_format import LayerFormat

    recipe = result.recipe
    if not recipe.quantize_activations:
        raise RecipeError(
            f"--sensitivity with recipe {recipe.name!r}; allowed: recipes that quantize"
            " activations"
        )
    listed = (*read_overrides(overrides), *keep_float_overrides(keep_float))
    inputs = [value.name or "" for value in model.graph.inputs]
    labels = None
    if isinstance(data, Path):  # made-up samples have none
        labels = read_labels(data, len(samples), inputs=inputs)
    return compare_measures(
        model,
        samples,
        num_samples=result.num_samples,
        measure=sensitivity,
        layer_format=LayerFormat.parse(format_text),
        labels=labels,
        options=options_of(recipe, activation_dtype, listed),
        calibrator=recipe.calibrator,
        progress=progress,
    )
