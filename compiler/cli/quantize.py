"""``octavo quantize``: a float model to a standard QDQ ONNX model."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.errors_table import errors_table
from octavo.compiler.cli.notes import note_lines
from octavo.compiler.cli.options import (
    NEW_PATH,
    READABLE_FILE,
    SAMPLES,
    force_option,
    model_options,
    output_options,
    parse_maxima,
    parse_shapes,
    quantize_options,
)
from octavo.compiler.cli.output_file import check_output_file, write_output_file
from octavo.compiler.cli.progress import progress_bar
from octavo.compiler.cli.rounding_lines import rounding_lines
from octavo.compiler.cli.sensitivity import (
    check_sensitivity,
    measure_sensitivities,
    sensitivity_options,
)
from octavo.compiler.cli.sensitivity_table import sensitivity_lines, sensitivity_record
from octavo.compiler.report.records import ErrorRecord, error_records
from octavo.compiler.report.units import decibel_text, printable
from octavo.errors import ModelError

if TYPE_CHECKING:
    import onnx_ir as ir

    from octavo.compiler.quantize import QuantizeResult

NUM_WORST_LAYERS = 10


@click.command("quantize")
@click.argument("model", type=READABLE_FILE)
@click.option(
    "--data",
    type=SAMPLES,
    required=True,
    metavar="SAMPLES",
    help="Calibration samples: .npz, .npy (one input), or a folder of them; `synthetic`: made"
    " up from what the BatchNormalization nodes store.",
)
@click.option(
    "-o", "--output", type=NEW_PATH, required=True, metavar="FILE", help="The QDQ ONNX file."
)
@quantize_options
@click.option(
    "--activation-dtype",
    type=click.Choice(["uint8", "int8"]),
    default="uint8",
    show_default=True,
    help="Integer type of the activations.",
)
@sensitivity_options
@model_options
@force_option
@output_options
@click.pass_obj
def quantize_command(
    console: Console,
    model: Path,
    data: Path | str,
    output: Path,
    recipe: str,
    calibrator: str | None,
    rounding: str | None,
    rounding_mode: str | None,
    weight_bits: int | None,
    activation_bits: int | None,
    block_size: int | None,
    keep_float: tuple[str, ...],
    overrides: Path | None,
    max_samples: int | None,
    seed: int,
    activation_dtype: str,
    sensitivity: str | None,
    sensitivity_format: str,
    shape_texts: tuple[str, ...],
    max_texts: tuple[str, ...],
    allow_external_data: bool,
    force: bool,
) -> None:
    """Quantize MODEL (an ONNX file) to INT8 and say which layers lost how much."""
    check_output_file(output, force=force)
    check_sensitivity(sensitivity, sensitivity_format)
    shapes, maxima = parse_shapes(shape_texts), parse_maxima(max_texts)
    from octavo.compiler.calibration.synthetic import SyntheticSamples
    from octavo.compiler.data_source import open_data
    from octavo.compiler.importer import import_model
    from octavo.compiler.quantize import quantize_model
    from octavo.compiler.recipes import get_recipe

    imported = import_model(
        model, shapes=shapes, maxima=maxima, allow_external_data=allow_external_data
    )
    with progress_bar(console) as progress:
        samples = open_data(
            data, imported, max_samples=max_samples, seed=seed, progress=progress
        )
        result = quantize_model(
            imported,
            samples,
            recipe=get_recipe(
                recipe,
                weight_bits=weight_bits,
                activation_bits=activation_bits,
                block_size=block_size,
            ),
            calibrator=calibrator,
            rounding=rounding,
            rounding_mode=rounding_mode,
            keep_float=keep_float,
            overrides=overrides,
            activation_dtype=activation_dtype,
            max_samples=max_samples,
            seed=seed,
            progress=progress,
        )
        ranked = (
            None
            if sensitivity is None
            else measure_sensitivities(
                imported,
                data,
                samples,
                result,
                sensitivity=sensitivity,
                format_text=sensitivity_format,
                activation_dtype=activation_dtype,
                keep_float=keep_float,
                overrides=overrides,
                progress=progress,
            )
        )
    write_output_file(output, _serialize(result.model))
    errors = error_records(result.errors)
    console.result(
        {
            "output": output,
            "recipe": result.recipe.name,
            "num_samples": result.num_samples,
            "synthetic": samples.errors if isinstance(samples, SyntheticSamples) else None,
            "output_sqnr_db": result.output_sqnr_db,
            "errors": errors,
            "float_nodes": result.float_nodes,
            "notes": result.notes,
            "suggestion": result.suggestion,
            "sensitivity": None if ranked is None else sensitivity_record(ranked),
            "rounding": {
                "method": result.recipe.rounding,
                "mode": result.recipe.rounding_mode,
                "layers": result.rounding.layers,
                "skipped": result.rounding.skipped,
                "retuning": result.rounding.retuning,
            },
        },
        *_report_lines(console, result, errors),
        *(() if ranked is None else sensitivity_lines(ranked)),
        f"wrote           {output}",
    )


def _serialize(model: "ir.Model") -> bytes:
    import onnx_ir as ir

    from octavo.passes.message_passing.open_counts import open_counts

    try:
        return bytes(ir.to_proto(open_counts(model)).SerializeToString(deterministic=True))
    except ValueError as error:  # protobuf ends at 2 GiB
        raise ModelError("the quantized model is larger than 2 GiB") from error


def _report_lines(
    console: Console, result: "QuantizeResult", errors: tuple[ErrorRecord, ...]
) -> Iterator[Any]:
    limit = None if console.verbosity > 0 else NUM_WORST_LAYERS
    if errors:
        shown = len(errors) if limit is None else min(limit, len(errors))
        yield f"signal to quantization noise, {shown} of {len(errors)} layers:"
        yield errors_table(errors, limit=limit)
        yield ""
    yield f"samples         {result.num_samples}"
    for name, decibels in result.output_sqnr_db.items():
        yield f"output error    {printable(name)}: {decibel_text(decibels)} signal to noise"
    yield from rounding_lines(result.recipe, result.rounding, limit)
    for name, reason in list(result.float_nodes.items())[:limit]:
        yield f"in float        {printable(name)}: {printable(reason)}"
    yield from note_lines(console, result.notes)
    suggestion = result.suggestion
    if suggestion.keep_float:
        options = " ".join(f"--keep-float {shlex.quote(n)}" for n in suggestion.keep_float)
        yield (
            f"to recover      {printable(options)}"
            f" ({decibel_text(suggestion.sqnr_before_db)}"
            f" becomes {decibel_text(suggestion.sqnr_after_db)})"
        )
