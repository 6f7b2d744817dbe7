"""Steps of quantizing that are the same for one model and for many variants of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.compiler.calibration.align import align_channels
from octavo.compiler.calibration.balance import Balanced, balance_channels
from octavo.compiler.calibration.calibrate import calibrate
from octavo.compiler.calibration.clipping import never_clipping
from octavo.compiler.calibration.mean_errors import measure_mean_errors
from octavo.compiler.quantize_job import QuantizeJob
from octavo.compiler.recipes import keep_float_overrides
from octavo.passes.correct_bias import CorrectBias
from octavo.passes.equalize_layers import EqualizeLayers
from octavo.passes.insert_quantizers import InsertQuantizers, place_with_ranges
from octavo.passes.narrow_ranges import Range
from octavo.passes.placement import plan_placement
from octavo.passes.prepare import prepare

CORRECTION_SAMPLES = 16


@dataclass(frozen=True, eq=False)
class PreparedNetwork:
    """A float model as its quantizers are inserted.

    Attributes:
        model: Normalizations folded, layers equalized, channels balanced.
        job: With what balancing keeps in float.
        notes: One line for each thing that the user should know.
        balanced: What balancing added.
    """

    model: ir.Model
    job: QuantizeJob
    notes: tuple[str, ...]
    balanced: Balanced


def prepare_network(model: ir.Model, job: QuantizeJob) -> PreparedNetwork:
    """Do everything that comes before ranges: fold, equalize, balance.

    Args:
        model: From ``import_model``, float; not changed.
        job: What to go by.
    """
    prepared = prepare(model.clone())
    notes = _equalize(prepared, job)
    if job.chosen.align_channels:
        align_channels(prepared, job.options, job.take(CORRECTION_SAMPLES))
    balanced = Balanced()
    if job.chosen.balance_channels:
        balanced = balance_channels(prepared, job.options, job.take(CORRECTION_SAMPLES))
        multiplications = keep_float_overrides(balanced.multiplications)
        overrides = (*job.options.overrides, *multiplications)
        job = replace(job, options=replace(job.options, overrides=overrides))
    return PreparedNetwork(prepared, job, notes, balanced)


def calibrate_missing(model: ir.Model, ranges: dict[str, Range], job: QuantizeJob) -> None:
    """Add the ranges of tensors that this choice of layers quantizes and no earlier one."""
    plan = plan_placement(model.graph, job.options)
    missing = tuple(value for value in plan.tensors if value.name not in ranges)
    if missing:
        found = calibrate(
            model,
            replace(plan, tensors=missing),
            job.samples,
            calibrator=job.chosen.calibrator,
            options=job.options,
            num_samples=job.num_samples,
        )
        ranges.update(found)


def correct_biases(
    prepared: ir.Model, ranges: Mapping[str, Range], job: QuantizeJob
) -> ir.Model:
    """A copy without the mean errors of layers, where the recipe wants that."""
    corrected = prepared.clone()
    if not job.chosen.correct_bias:
        return corrected
    quantized = insert_quantizers(prepared, ranges, job)
    placement = place_with_ranges(prepared.graph, job.options, ranges)
    errors = measure_mean_errors(
        prepared,
        quantized,
        placement.regions,
        job.take(CORRECTION_SAMPLES),
        num_samples=job.taken(CORRECTION_SAMPLES),
        progress=job.progress,
    )
    CorrectBias(errors)(corrected)
    RemoveUnusedNodesPass()(corrected)
    return corrected


def insert_quantizers(
    prepared: ir.Model, ranges: Mapping[str, Range], job: QuantizeJob
) -> ir.Model:
    """A QDQ copy of a model."""
    quantized = prepared.clone()
    InsertQuantizers(ranges, job.options)(quantized)
    RemoveUnusedNodesPass()(quantized)
    return quantized


def _equalize(model: ir.Model, job: QuantizeJob) -> tuple[str, ...]:
    """Equalize in place; the lines to tell the user."""
    imbalance = job.chosen.min_imbalance
    if imbalance is None:
        return ()
    clips = EqualizeLayers(min_imbalance=imbalance).clips_in_the_way(model.graph)
    unclipped = never_clipping(model, clips, job.take(CORRECTION_SAMPLES)) if clips else ()
    equalize = EqualizeLayers(min_imbalance=imbalance, unclipped=unclipped)
    equalize(model)
    RemoveUnusedNodesPass()(model)
    return equalize.notes
