"""``octavo quantize``: a float model to a standard QDQ ONNX model."""

import os
import tempfile
from pathlib import Path
from typing import Any

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.errors_table import errors_table
from octavo.compiler.cli.options import (
    EXISTING,
    NEW_PATH,
    READABLE_FILE,
    force_option,
    model_options,
    output_options,
    parse_shapes,
    quantize_options,
)
from octavo.compiler.cli.progress import progress_bar
from octavo.compiler.report.records import error_records
from octavo.errors import ArtifactError

NUM_WORST_LAYERS = 10


@click.command("quantize")
@click.argument("model", type=READABLE_FILE)
@click.option(
    "--data",
    type=EXISTING,
    required=True,
    metavar="SAMPLES",
    help="Calibration samples: .npz, .npy (one input), or a folder of them.",
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
@model_options
@force_option
@output_options
@click.pass_obj
def quantize_command(
    console: Console,
    model: Path,
    data: Path,
    output: Path,
    recipe: str,
    calibrator: str | None,
    keep_float: tuple[str, ...],
    overrides: Path | None,
    max_samples: int | None,
    seed: int,
    activation_dtype: str,
    shape_texts: tuple[str, ...],
    allow_external_data: bool,
    force: bool,
) -> None:
    """Quantize MODEL (an ONNX file) to INT8 and say which layers lost how much."""
    _check_output(output, force=force)
    from octavo.compiler.quantize import quantize_model
    from octavo.compiler.samples import open_samples

    from octavo.compiler.importer import import_model

    imported = import_model(
        model, shapes=parse_shapes(shape_texts), allow_external_data=allow_external_data
    )
    samples = open_samples(data, imported)
    with progress_bar(console) as progress:
        result = quantize_model(
            imported,
            samples,
            recipe=recipe,
            calibrator=calibrator,
            keep_float=keep_float,
            overrides=overrides,
            activation_dtype=activation_dtype,
            max_samples=max_samples,
            seed=seed,
            progress=progress,
        )
    _write(result.model, output)
    errors = error_records(result.errors)
    limit = None if console.verbosity > 0 else NUM_WORST_LAYERS
    title = "per-layer error" if limit is None else f"the {limit} worst layers"
    console.result(
        {"output": output, "errors": errors, "suggestion": result.suggestion},
        f"{title} (signal to quantization noise)",
        errors_table(errors, limit=limit),
        *_suggestion(result),
        f"wrote {output}",
    )


def _check_output(output: Path, *, force: bool) -> None:
    if output.is_dir():
        raise ArtifactError(f"{output} is a folder; -o takes the name of an ONNX file")
    if output.exists() and not force:
        raise ArtifactError(f"{output} exists; --force replaces it")
    if not output.parent.is_dir():
        raise ArtifactError(f"{output.parent} is no folder; create it first")


def _write(model: Any, output: Path) -> None:
    import onnx_ir as ir

    # Beside the destination, so that the rename is atomic and a failure leaves nothing there.
    descriptor, name = tempfile.mkstemp(
        dir=output.parent, prefix=f".{output.name}.", suffix=".partial"
    )
    os.close(descriptor)
    partial = Path(name)
    try:
        ir.save(model, partial)
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def _suggestion(result: Any) -> list[str]:
    names = getattr(result.suggestion, "keep_float", ())
    if not names:
        return []
    options = " ".join(f"--keep-float {name}" for name in names)
    return [f"to recover accuracy: {options}"]
