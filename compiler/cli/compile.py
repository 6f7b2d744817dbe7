"""``octavo compile``: a model to a self-contained artifact folder."""

from pathlib import Path

import click

from octavo.compiler.cli.console import Console
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
    target_option,
    tuning_options,
)
from octavo.compiler.cli.progress import progress_bar
from octavo.compiler.cli.selection_options import selection_of, selection_options
from octavo.compiler.cli.summary import summary_lines
from octavo.compiler.cli.width_lines import width_lines
from octavo.compiler.report.summary import Summary
from octavo.errors import GateError

NUM_UNFRIENDLY = 2  # layers; inspect --target and explain have all


@click.command("compile")
@click.argument("model", type=READABLE_FILE)
@target_option
@click.option(
    "-o", "--output", type=NEW_PATH, required=True, metavar="DIR", help="The artifact folder."
)
@click.option(
    "--data",
    type=SAMPLES,
    metavar="SAMPLES",
    help="Calibration samples: .npz, .npy (one input), or a folder of them; `synthetic`: made"
    " up from what the BatchNormalization nodes store. A float model needs them, a quantized"
    " one does not.",
)
@quantize_options
@click.option(
    "--requantize",
    type=click.Choice(["float32", "dyadic", "tflite"]),
    help="How accumulators become INT8; the target's own way when left out.",
)
@click.option(
    "--integer-only",
    is_flag=True,
    help="Fail unless nothing between the input and the output is floating point.",
)
@click.option(
    "--float-only", is_flag=True, help="Compile the model as it is, in float, to compare with."
)
@click.option(
    "--float-precision",
    type=click.Choice(["float32", "bf16"]),
    default="float32",
    show_default=True,
    help="What float layers may multiply: bf16 rounds inputs and weights to 8 significant"
    " bits, where the target has instructions for that. Tensors and sums stay float32.",
)
@click.option(
    "--min-coverage",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Exit with 3 when less than this share of the multiply-accumulates is INT8.",
)
@click.option(
    "--min-sqnr",
    type=float,
    metavar="DB",
    help="Exit with 3 when the output's signal to quantization noise is below this.",
)
@click.option(
    "--no-packed-weights",
    "packed_weights",
    flag_value=False,
    default=True,
    help="Store weights of few bits in bytes, which need not be expanded into memory of their"
    " own when the artifact is loaded.",
)
@selection_options
@tuning_options
@model_options
@force_option
@output_options
@click.pass_context
def compile_command(
    context: click.Context,
    model: Path,
    target: str,
    output: Path,
    data: Path | str | None,
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
    requantize: str | None,
    integer_only: bool,
    float_only: bool,
    float_precision: str,
    min_coverage: float | None,
    min_sqnr: float | None,
    packed_weights: bool,
    tune: bool,
    tune_seconds: float | None,
    use_tuned: bool,
    device: str | None,
    num_threads: int,
    cores: str | None,
    measure_seconds: float | None,
    shape_texts: tuple[str, ...],
    max_texts: tuple[str, ...],
    allow_external_data: bool,
    force: bool,
) -> None:
    """Compile MODEL (an ONNX file) for a target, quantizing it first when it is float."""
    console = context.find_object(Console)
    assert console is not None
    select = selection_of(context, device, num_threads, cores, measure_seconds)
    if float_only and select is not None:
        raise click.UsageError("--float-only leaves nothing to choose: not with --device")
    rounds = float_precision != "float32"
    if float_only and (integer_only or (data is not None and not rounds)):
        raise click.UsageError("--float-only goes with neither --integer-only nor --data")
    if integer_only and rounds:
        raise click.UsageError(
            "--float-precision is for float layers: not with --integer-only"
        )
    if tune and not use_tuned:
        raise click.UsageError("--tune measures to use what it finds: not with --no-tuned")
    if tune_seconds is not None and not tune:
        raise click.UsageError("--tune-seconds goes with --tune")
    from octavo.targets import get_target

    get_target(target)  # a wrong name is said at once, before TVM is loaded
    shapes, maxima = parse_shapes(shape_texts), parse_maxima(max_texts)
    from octavo.compiler.compile import compile_model
    from octavo.compiler.explain.unfriendly import unfriendly_layers
    from octavo.compiler.report.manifest import report_from_manifest
    from octavo.compiler.report.summary import summarize

    with progress_bar(console) as progress:
        result = compile_model(
            model,
            target,
            output,
            samples=data,
            shapes=shapes,
            maxima=maxima,
            recipe=recipe,
            calibrator=calibrator,
            rounding=rounding,
            rounding_mode=rounding_mode,
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            block_size=block_size,
            keep_float=keep_float,
            overrides=overrides,
            requantize=requantize,
            integer_only=integer_only,
            float_only=float_only,
            float_precision=float_precision,
            force=force,
            allow_external_data=allow_external_data,
            max_samples=max_samples,
            tune=tune,
            tune_seconds=tune_seconds,
            use_tuned=use_tuned,
            select=select,
            packed_weights=packed_weights,
            seed=seed,
            progress=progress,
        )
    summary = summarize(report_from_manifest(result.manifest, errors=result.errors))
    unfriendly = unfriendly_layers(result.manifest["steps"], get_target(target))
    console.result(
        {
            "artifact": result.directory,
            "summary": summary,
            "notes": result.notes,
            "unfriendly_layers": unfriendly,
        },
        *summary_lines(summary, result.directory),
        *width_lines(unfriendly, result.manifest["macs"], NUM_UNFRIENDLY),
        *note_lines(console, result.notes),
    )
    check_gates(summary, min_coverage=min_coverage, min_sqnr_db=min_sqnr)


def check_gates(
    summary: Summary, *, min_coverage: float | None, min_sqnr_db: float | None
) -> None:
    """Hold the limits that the user set.

    Args:
        summary: What came out.
        min_coverage: Percent of the multiply-accumulates that must be INT8.
        min_sqnr_db: Lowest signal to noise of the output, decibels.

    Raises:
        GateError: A limit is not met, or there is nothing to hold it against.
    """
    coverage = 100 * summary.int8_macs_share
    if min_coverage is not None and coverage < min_coverage:
        raise GateError(
            f"{coverage:.1f}% of the multiply-accumulates are INT8;"
            f" --min-coverage asks for {min_coverage:g}%"
        )
    if min_sqnr_db is None:
        return
    if summary.output_sqnr_db is None:
        raise GateError("--min-sqnr: nothing was quantized, so there is no error to compare")
    if summary.output_sqnr_db < min_sqnr_db:
        raise GateError(
            f"the output's signal to noise is {summary.output_sqnr_db:.1f} dB;"
            f" --min-sqnr asks for {min_sqnr_db:g} dB"
        )
