"""A model on its way from import to lowering: quantized here, or taken as it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from octavo.errors import DataError
from octavo.targets.base import Target

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class ReadyModel:
    """A model that is ready to be lowered, and what is known of it.

    Attributes:
        model: QDQ where it is quantized.
        errors: Quantization error of each layer; empty when nothing was quantized here.
        notes: One line for each thing that the user should know.
        reasons: Why a node is in float, by name.
        output_sqnr_db: Signal to quantization noise of each float output, by name.
        prepared: What was quantized here: the model in float; None where nothing was.
        rounding: How integers of weights were chosen; None for the nearest ones.
    """

    model: Any
    errors: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    output_sqnr_db: Mapping[str, float] = field(default_factory=dict)
    prepared: Any = None
    rounding: Mapping[str, Any] | None = None


def is_quantized(model: Any) -> bool:
    """Whether a model already says how its activations are quantized, or has none to quantize.

    DequantizeLinear of a constant is a stored weight, which says nothing of activations.
    """
    values = [output for node in model.graph for output in node.outputs]
    return any(
        node.op_type == "QuantizeLinear"
        or (node.op_type == "DequantizeLinear" and node.inputs[0].const_value is None)
        for node in model.graph
    ) or not any(value.dtype.is_floating_point() for value in (*model.graph.inputs, *values))


def as_it_is(model: Any, samples: Any) -> ReadyModel:
    """Take the model's own quantization, or its lack of one.

    Args:
        model: Imported; it is prepared in place.
        samples: Calibration data that the user gave, which nothing needs.
    """
    from octavo.passes.prepare import prepare

    prepare(model)
    unused = samples is not None
    note = "the model is quantized already: the samples were not used"
    return ReadyModel(model, notes=(note,) if unused else ())


def quantized(
    model: Any, target: Target, samples: Any, progress: Progress, **options: Any
) -> ReadyModel:
    """Quantize a float model.

    Args:
        model: Imported; not changed.
        target: Says what type activations have.
        samples: Calibration data, see ``open_data``.
        progress: Called with a stage, steps done and steps in all.
        options: Of ``quantize_model``.

    Raises:
        DataError: There are no samples, or they do not fit.
        RecipeError, ModelError: As ``quantize_model`` does.
    """
    from octavo.compiler.data_source import open_data
    from octavo.compiler.quantize import quantize_model
    from octavo.compiler.report.rounding import rounding_entry

    if samples is None:
        raise DataError(
            "the model is float and there are no samples to calibrate with:"
            " give --data, or --float-only to leave it float"
        )
    result = quantize_model(
        model,
        open_data(samples, model),
        activation_dtype=target.activation_dtype,
        progress=progress,
        **options,
    )
    return ReadyModel(
        result.model,
        result.errors,
        result.notes,
        result.float_nodes,
        result.output_sqnr_db,
        result.prepared,
        rounding_entry(result.recipe, result.rounding),
    )


def with_outputs_of(
    ready: ReadyModel,
    compiled: Any,
    model: Any,
    nodes: Sequence[str],
    samples: Any,
    max_samples: int | None,
) -> ReadyModel:
    """Measure the errors of the outputs of what was compiled in the end.

    Args:
        ready: What is known so far.
        compiled: The model with the layers in float that were selected so.
        model: The float model that it was made of.
        nodes: Names of the nodes that multiply bfloat16 numbers.
        samples: Inputs, see ``open_data``.
        max_samples: At most so many of them.
    """
    from octavo.compiler.calibration.output_errors import measure_compiled
    from octavo.compiler.calibration.synthetic import SyntheticSamples
    from octavo.compiler.data_source import open_data

    opened = open_data(samples, model)
    errors = measure_compiled(model, compiled, nodes, opened, max_samples=max_samples)
    notes = ready.notes
    if isinstance(opened, SyntheticSamples) and opened.note not in notes:
        notes = (opened.note, *notes)
    return replace(ready, output_sqnr_db=errors, notes=notes)
