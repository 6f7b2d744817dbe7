"""From a model file to an artifact folder: import, quantize, lower, build, report."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from octavo.compiler.artifact.write import check_destination, write_artifact
from octavo.compiler.counted_arrays import counted_dimensions, counted_notes
from octavo.compiler.data_source import is_synthetic, open_data
from octavo.compiler.importer import InputShape, import_model
from octavo.compiler.ready_model import (
    as_it_is,
    is_quantized,
    quantized,
    with_outputs_of,
)
from octavo.compiler.recipes import get_recipe
from octavo.compiler.selection.options import SelectionOptions
from octavo.compiler.tuning.options import TuningOptions, check_tunable
from octavo.targets import get_target
from octavo.targets.base import Target

Progress = Callable[[str, int, int], None]
PathLike = str | os.PathLike[str]

# The runtime has a function octavo_model_program, and files are often called model.onnx.
RESERVED_NAMES = frozenset({"", "model"})


@dataclass(frozen=True, eq=False)
class CompileResult:
    """What was built.

    Attributes:
        directory: The artifact folder.
        manifest: Its manifest.
        errors: Quantization error of each layer; empty when nothing was quantized.
        notes: One line for each thing that the user should know.
    """

    directory: Path
    manifest: dict[str, Any]
    errors: tuple[Any, ...]
    notes: tuple[str, ...]


def compile_model(
    model_path: PathLike,
    target: str,
    output: PathLike,
    *,
    samples: Any = None,
    shapes: Mapping[str, InputShape] | None = None,
    maxima: Mapping[str, int] | None = None,
    recipe: str = "static_wi8_ai8",
    calibrator: str | None = None,
    rounding: str | None = None,
    rounding_mode: str | None = None,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    block_size: int | None = None,
    keep_float: Sequence[str] = (),
    overrides: Any = None,
    requantize: str | None = None,
    integer_only: bool = False,
    float_only: bool = False,
    float_precision: str = "float32",
    force: bool = False,
    allow_external_data: bool = False,
    max_samples: int | None = None,
    tune: bool = False,
    tune_seconds: float | None = None,
    use_tuned: bool = True,
    select: SelectionOptions | None = None,
    packed_weights: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> CompileResult:
    """Compile an ONNX model for a target, quantizing it first when it is float.

    Args:
        model_path: ONNX file; float, QDQ, or with QOperator nodes.
        target: Target name, such as "host".
        output: Artifact folder to create.
        samples: Calibration data, see ``open_data``; needed for a float model. "synthetic":
            made up from what BatchNormalization nodes store.
        shapes: Sizes of dimensions that the model leaves open, by input name.
        maxima: Largest sizes of dimensions that are counted at run time, by name.
        recipe: Quantization recipe.
        calibrator: Observer of activations; None takes the recipe's.
        rounding: How the integers of weights are chosen; None takes the recipe's.
        rounding_mode: "sequential" or "parallel"; None takes the recipe's.
        weight_bits: Width of weights; None takes the recipe's.
        activation_bits: Width of activations; None takes the recipe's.
        block_size: Input channels of a weight that share a scale; None takes the recipe's.
        keep_float: Layers to keep in float.
        overrides: TOML file or mapping of per-layer choices.
        requantize: "float32", "dyadic" or "tflite"; None takes the target's.
        integer_only: No floating point between the ends (implies "dyadic").
        float_only: Do not quantize.
        float_precision: What float layers may multiply: "float32" or, where the target can,
            "bf16". With samples the loss of accuracy is measured.
        force: Replace an artifact that is there.
        allow_external_data: Read weight files beside the model.
        max_samples: Calibrate with at most so many samples.
        tune: Measure the schedules of kernels on this machine, one thread, and keep the
            results for later compilations.
        tune_seconds: Begin no measurement after so many seconds.
        use_tuned: Take the schedules that were measured before on this machine.
        select: Choose each layer's implementation by measuring on a device; None: by models
            of the target.
        packed_weights: Store weights of at most 4 bits in as many bits; loading expands them
            into memory of their own. Else they take 8 bits each and are mapped.
        seed: Recorded in the manifest; of synthetic samples.
        progress: Called with a stage, steps done and steps in all.

    Raises:
        ModelError, DataError, RecipeError, TargetError, ArtifactError, LoweringError,
            StoreError: The user's input does not allow it; nothing is written.
        ValueError: The options of tuning contradict each other.
    """
    machine = get_target(target)
    tuning = TuningOptions(tune, use_tuned, tune_seconds)
    mode = "dyadic" if integer_only else requantize or machine.requantize
    machine.check_requantize(mode)
    machine.check_float_precision(float_precision)
    _check_measurements(machine, tune=tune, select=select is not None)
    destination = Path(os.path.abspath(output))
    check_destination(destination, force=force)
    report = progress or _silent
    report("import", 0, 1)
    model = import_model(
        model_path, shapes=shapes, maxima=maxima, allow_external_data=allow_external_data
    )
    report("import", 1, 1)
    if is_synthetic(samples) and not is_quantized(model):
        # Once for everything that runs them, and before normalizations are folded.
        samples = open_data(
            samples, model, max_samples=max_samples, seed=seed, progress=report
        )
    float_model = None
    if float_only or is_quantized(model):
        done = as_it_is(model, None if float_only else samples)
    else:
        if select is not None:
            float_model = as_it_is(model.clone(), None).model
        done = quantized(
            model,
            machine,
            samples,
            report,
            # In integers throughout, or in float32 where eight bits lose too much.
            recipe=get_recipe(
                recipe,
                float_normalization=False if integer_only else None,
                weight_bits=weight_bits,
                activation_bits=activation_bits,
                block_size=block_size,
            ),
            calibrator=calibrator,
            rounding=rounding,
            rounding_mode=rounding_mode,
            keep_float=keep_float,
            overrides=overrides,
            max_samples=max_samples,
            seed=seed,
        )
    # TVM takes seconds to load: not before everything that the user gave is known to be good.
    from octavo.compiler.lowering.float_products import wished_products
    from octavo.compiler.lowering.integer_only import check_integer_only
    from octavo.compiler.lowering.lower import lower
    from octavo.compiler.narrow_weights import narrow_weight_notes
    from octavo.compiler.tuning.stage import tuned_scheduler

    products = wished_products(done.model.graph, float_precision)
    lower_with = partial(
        lower,
        target=machine,
        mode=mode,
        name=model_identifier(model_path),
        reasons=done.reasons,
        products=products,
        progress=lambda done, total: report("lower", done, total),
    )
    scheduler, tuning_notes = tuned_scheduler(
        tuning,
        machine,
        lambda scheduler: lower_with(done.model, scheduler=scheduler),
        partial(report, "tune"),
    )
    if select is None:
        chosen, lowered = None, done.model
        program = lower_with(lowered, scheduler=scheduler)
    else:
        from octavo.compiler.selection.stage import SelectionStage

        stage = SelectionStage(
            done.model, float_model, done.prepared, lower_with, scheduler,
            reasons=done.reasons, products=products, integer_only=integer_only, mode=mode,
        )  # fmt: skip
        chosen = stage.run(machine, select, report)
        program, lowered = chosen.program, chosen.model
    if integer_only:
        check_integer_only(program)
    rounded = [name for s in program.steps if s.placement == "bfloat16" for name in s.nodes]
    if (rounded or chosen) and samples is not None and not is_quantized(model):
        done = with_outputs_of(done, lowered, model, rounded, samples, max_samples)
    more = (
        *counted_notes(counted_dimensions({"metadata": program.metadata})),
        *narrow_weight_notes(lowered.graph, program.steps, packed=packed_weights),
        *system_notes(machine),
    )
    program.metadata |= {
        "requantize": mode,
        "float_precision": float_precision,
        "layer_errors": _error_entries(done.errors),
        "output_sqnr_db": {
            name: float(value) if np.isfinite(value) else None
            for name, value in done.output_sqnr_db.items()
        },
        "notes": [*done.notes, *more],
        **({"rounding": done.rounding} if done.rounding else {}),
        **({"selection": chosen.record} if chosen and chosen.record else {}),
    }
    report("build", 0, 1)
    manifest = write_artifact(
        program,
        machine,
        lowered,
        destination,
        force=force,
        seed=seed,
        extra_files=_report_page,
        packed_weights=packed_weights,
    )
    report("build", 1, 1)
    notes = (*done.notes, *more, *tuning_notes, *(() if chosen is None else chosen.notes))
    return CompileResult(destination, manifest, done.errors, notes)


def model_identifier(path: PathLike) -> str:
    """C identifier made of a file name; it will be a part of ``octavo_<name>_run``."""
    text = re.sub(r"\W+", "_", Path(path).stem, flags=re.ASCII).strip("_").lower()
    if text in RESERVED_NAMES:
        return "network"
    return text if re.match(r"[a-z_]", text) else f"model_{text}".rstrip("_")


def _check_measurements(target: Target, *, tune: bool, select: bool) -> None:
    if tune:
        check_tunable(target)
    if select:
        target.check_measurable()


def system_notes(target: Target) -> tuple[str, ...]:
    """What an artifact for a target's system is without."""
    if target.has_programs:
        return ()
    return (
        f"{target.name} has no shared library and no bench program: Xcode links the static"
        " library into an app (octavo package --ios)",
    )


def _error_entries(errors: tuple[Any, ...]) -> list[dict[str, Any]]:
    from octavo.compiler.report.records import error_entries, error_records

    return list(error_entries(error_records(errors)))


def _report_page(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    from octavo.compiler.report.manifest import report_from_manifest
    from octavo.compiler.report.page import render_page

    return {"report.html": render_page(report_from_manifest(manifest)).encode()}


def _silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
