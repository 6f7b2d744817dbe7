"""Quantize a float model: prepare, equalize, calibrate, correct, write QDQ, measure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.compiler.calibration.balance import MULTIPLICATION_REASON
from octavo.compiler.calibration.calibrate import Progress, calibrate
from octavo.compiler.calibration.hub_ranges import choose_hub_ranges
from octavo.compiler.calibration.layer_errors import (
    Layer,
    LayerError,
    measure_layers,
    measure_outputs,
)
from octavo.compiler.calibration.round_model import RoundingResult, round_model
from octavo.compiler.calibration.suggest import Suggestion, suggest_keep_float
from octavo.compiler.calibration.synthetic import SyntheticSamples
from octavo.compiler.data_source import open_data
from octavo.compiler.quantize_job import (
    QuantizeJob,
    Samples,
    choose_recipe,
    count_samples,
    options_of,
)
from octavo.compiler.quantize_steps import (
    calibrate_missing,
    correct_biases,
    insert_quantizers,
    prepare_network,
)
from octavo.compiler.recipes import (
    DEFAULT_CALIBRATOR,
    DEFAULT_RECIPE,
    Recipe,
    check_patterns_match,
    configuration_overrides,
    keep_float_overrides,
    read_overrides,
)
from octavo.errors import ModelError, RecipeError
from octavo.passes.choose_parameters import Parameters, choose_parameters
from octavo.passes.fused_regions import Region
from octavo.passes.insert_quantizers import place_with_ranges
from octavo.passes.layer_format import LayerFormat
from octavo.passes.placement import plan_placement
from octavo.passes.quantize_weights import LAYERS_WITH_WEIGHTS, QuantizeWeights
from octavo.passes.quantizer_options import LayerOverride, QuantizerOptions, matches
from octavo.passes.wiring import is_op

MEASURED_SAMPLES = 8  # decibels over 8 samples move by tenths; each costs six runs
ROUNDING_SAMPLES = 128  # more gain nothing on the digits network; each runs for every layer
SUGGEST_BELOW_DB = 20.0  # a network above this rarely loses answers


@dataclass(frozen=True, eq=False)
class QuantizeResult:
    """A quantized model and what is known about it.

    Attributes:
        model: QDQ ONNX at opset 21.
        recipe: What was done.
        errors: One record for each layer, in graph order.
        suggestion: Layers to keep in float, when the outputs lost too much.
        output_sqnr_db: Signal to quantization noise of each float output, by name.
        float_nodes: Name of each node that computes in float32, with the reason.
        notes: One line for each thing that the user should know.
        num_samples: Samples that were used for calibration.
        rounding: What choosing the integers of weights anew did; empty for nearest.
        prepared: The float model that was quantized, its layers equalized and balanced; nodes
            have the names of the quantized model's.
    """

    model: ir.Model
    recipe: Recipe
    errors: tuple[LayerError, ...]
    suggestion: Suggestion
    output_sqnr_db: Mapping[str, float]
    float_nodes: Mapping[str, str]
    notes: tuple[str, ...]
    num_samples: int
    rounding: RoundingResult
    prepared: ir.Model


def quantize_model(
    model: ir.Model,
    samples: Samples | str,
    *,
    recipe: str | Recipe = DEFAULT_RECIPE,
    calibrator: str | None = None,
    rounding: str | None = None,
    rounding_mode: str | None = None,
    keep_float: Sequence[str] = (),
    overrides: Path | str | Mapping[str, Any] | None = None,
    configuration: Mapping[str, LayerFormat] | None = None,
    activation_dtype: str = "uint8",
    max_samples: int | None = None,
    measure: bool = True,
    target_db: float = SUGGEST_BELOW_DB,
    progress: Progress | None = None,
    seed: int = 0,
) -> QuantizeResult:
    """Quantize an imported float model.

    Args:
        model: From ``import_model``: opset 21, static shapes, unique names; not changed.
        samples: Inferences to calibrate with; has to allow several iterations. Or where
            they come from: a path, or "synthetic" for samples that are made up from what
            BatchNormalization nodes store.
        recipe: Name of a recipe, or one made with ``get_recipe``.
        calibrator: Observer of activations; None takes the recipe's, and of a graph network
            with the recipe's default also tries ranges by degree and keeps what measures
            better.
        rounding: How the integers of weights are chosen; None takes the recipe's.
        rounding_mode: "sequential" or "parallel"; None takes the recipe's.
        keep_float: Layers to keep in float: node names, globs or operator types.
        overrides: Per-layer choices: a TOML file, or the mapping that it would hold.
        configuration: Formats of layers by node name; they win over ``overrides``.
        activation_dtype: "uint8" or "int8".
        max_samples: Calibrate with at most so many samples; None: at most 1,000.
        measure: Measure errors and suggest layers to keep in float.
        target_db: Suggest layers when an output is below this.
        progress: Called with a stage, steps done and steps in all.
        seed: Of synthetic samples; nothing else is random.

    Returns:
        The same inputs give a byte-identical model.

    Raises:
        DataError: Samples are missing, do not fit, or do not vary.
        RecipeError: An option is unknown or not allowed.
        ModelError: The model is quantized already, or cannot be run.
    """
    chosen = choose_recipe(
        recipe, calibrator=calibrator, rounding=rounding, rounding_mode=rounding_mode
    )
    if activation_dtype not in ("uint8", "int8"):
        raise RecipeError(f"activation_dtype {activation_dtype!r}; allowed: uint8, int8")
    if any(is_op(node, "QuantizeLinear") for node in model.graph):
        raise ModelError("the model is quantized already: it contains QuantizeLinear")
    if isinstance(samples, str):
        samples = open_data(
            samples, model, max_samples=max_samples, seed=seed, progress=progress
        )
    job = QuantizeJob(
        chosen=chosen,
        samples=samples,
        num_samples=count_samples(samples, max_samples),
        options=QuantizerOptions(),
        progress=progress,
    )
    listed = (
        *read_overrides(overrides),
        *keep_float_overrides(keep_float),
        *configuration_overrides(configuration or {}),
    )
    job = replace(job, options=options_of(job.chosen, activation_dtype, listed))
    network = prepare_network(model, job)
    prepared, job, notes = network.model, network.job, network.notes
    options, balanced = job.options, network.balanced
    if isinstance(samples, SyntheticSamples):
        notes = (samples.note, *notes)
    check_overrides(listed, model.graph, prepared.graph)
    if not job.chosen.quantize_activations:
        return _quantize_weights(prepared, job, notes, measure=measure)
    plan = plan_placement(prepared.graph, options)
    ranges = calibrate(
        prepared,
        plan,
        samples,
        calibrator=job.chosen.calibrator,
        options=options,
        num_samples=job.num_samples,
        progress=progress,
    )
    if calibrator is None and job.chosen.calibrator == DEFAULT_CALIBRATOR:
        ranges, hub_notes = choose_hub_ranges(prepared, plan, ranges, job)
        notes += hub_notes
    corrected = correct_biases(prepared, ranges, job)
    placement = place_with_ranges(corrected.graph, options, ranges)
    parameters = choose_parameters(placement, ranges, options)
    notes += parameters.notes
    quantized = nearest = insert_quantizers(corrected, ranges, job)
    rounded, quantized = _round(prepared, nearest, job)
    errors: tuple[LayerError, ...] = ()
    suggestion = Suggestion((), math.nan, math.nan)
    outputs: dict[str, float] = {}
    if measure:
        layers = [_layer(r, parameters) for r in placement.regions if not r.moves_data]
        errors, outputs = _measure(prepared, quantized, layers, job)

        def remeasure(names: Sequence[str]) -> float:
            extra = keep_float_overrides(balanced.with_parts(names))
            kept = replace(options, overrides=(*options.overrides, *extra))
            changed_job = replace(job, options=kept)
            calibrate_missing(prepared, ranges, changed_job)
            changed = insert_quantizers(corrected, ranges, changed_job)
            return _worst(measure_outputs(prepared, changed, job.take(MEASURED_SAMPLES)))

        parts = balanced.origins or {}
        reached = _worst(outputs)
        if quantized is not nearest and reached < target_db:
            # What keeping layers in float gains is compared without rounding anew each time.
            reached = _worst(measure_outputs(prepared, nearest, job.take(MEASURED_SAMPLES)))
        suggestion = suggest_keep_float(
            [error for error in errors if error.layer not in parts],
            reached,
            remeasure,
            target_db=target_db,
            readers=_readers(placement.regions),
        )
    return QuantizeResult(
        quantized,
        job.chosen,
        errors,
        suggestion,
        outputs,
        {
            **placement.float_nodes,
            **dict.fromkeys(balanced.multiplications, MULTIPLICATION_REASON),
        },
        notes,
        job.num_samples,
        rounded,
        prepared,
    )


def check_overrides(
    overrides: Sequence[LayerOverride], original: ir.Graph, prepared: ir.Graph
) -> None:
    """Refuse patterns that name no node.

    Raises:
        RecipeError: As said.
    """
    # A normalization that was folded away is a name the user may well have given.
    nodes = [*original, *prepared]
    unmatched = [o.match for o in overrides if not any(matches(o.match, n) for n in nodes)]
    check_patterns_match(overrides, unmatched, [node.name or "" for node in prepared])


def _quantize_weights(
    prepared: ir.Model, job: QuantizeJob, notes: tuple[str, ...], *, measure: bool
) -> QuantizeResult:
    quantized = prepared.clone()
    QuantizeWeights(job.options)(quantized)
    RemoveUnusedNodesPass()(quantized)
    rounded, quantized = _round(prepared, quantized, job)
    placement = plan_placement(prepared.graph, job.options)
    layers = [_layer(r) for r in placement.regions if is_op(r.head, *LAYERS_WITH_WEIGHTS)]
    errors: tuple[LayerError, ...] = ()
    outputs: dict[str, float] = {}
    if measure:
        errors, outputs = _measure(prepared, quantized, layers, job)
    worst = _worst(outputs)
    float_nodes = {node.name or "": "weights only by request" for node in prepared.graph}
    suggestion = Suggestion((), worst, worst)
    return QuantizeResult(
        quantized,
        job.chosen,
        errors,
        suggestion,
        outputs,
        float_nodes,
        notes,
        job.num_samples,
        rounded,
        prepared,
    )


def _round(
    prepared: ir.Model, nearest: ir.Model, job: QuantizeJob
) -> tuple[RoundingResult, ir.Model]:
    """Choose the constants of layers as the recipe says; ``nearest`` stays as it is."""
    return round_model(
        prepared,
        nearest,
        job.take(ROUNDING_SAMPLES),
        rounding=job.chosen.rounding,
        mode=job.chosen.rounding_mode,
        progress=job.progress,
    )


def _measure(
    prepared: ir.Model, quantized: ir.Model, layers: Sequence[Layer], job: QuantizeJob
) -> tuple[tuple[LayerError, ...], dict[str, float]]:
    errors = measure_layers(
        prepared,
        quantized,
        layers,
        job.take(MEASURED_SAMPLES),
        progress=job.progress,
    )
    return errors, measure_outputs(prepared, quantized, job.take(MEASURED_SAMPLES))


def _layer(region: Region, parameters: Parameters | None = None) -> Layer:
    inside = region.nodes if region.form is None else (region.head,)
    op_types = "+".join(node.op_type for node in inside)
    output = region.outputs[0]
    name, tensor = region.head.name or "", output.name or ""
    if parameters is None or output not in parameters.narrowed:
        return Layer(name, op_types, tensor)
    params = parameters.of[output]
    return Layer(name, op_types, tensor, params.low, params.high)


def _readers(regions: Sequence[Region]) -> dict[str, tuple[str, ...]]:
    """For each layer, the layers that read its output."""
    return {
        region.head.name or "": tuple(
            reader.head.name or ""
            for reader in regions
            if any(value in reader.inputs for value in region.outputs)
        )
        for region in regions
    }


def _worst(outputs: Mapping[str, float]) -> float:
    return min(outputs.values(), default=math.nan)
