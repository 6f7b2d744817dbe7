"""A model lowered as ``octavo compile`` would lower it, and not built."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets import get_target

if TYPE_CHECKING:
    import onnx_ir as ir

    from octavo.compiler.importer import InputShape
    from octavo.compiler.lowering.program import Program

NUM_INVENTED = 2  # samples: what is quantized hardly depends on the ranges that they find
MADE_UP = "calibrated with made-up samples: --data SAMPLES shows what real ones change"


@dataclass(frozen=True, eq=False)
class LoweredModel:
    """What came out.

    Attributes:
        program: Its functions are not compiled.
        notes: What the user should know.
    """

    program: "Program"
    notes: tuple[str, ...]


def lower_model(
    path: Path,
    target: str,
    *,
    samples: Path | str | None = None,
    float_only: bool = False,
    shapes: Mapping[str, "InputShape"] | None = None,
    maxima: Mapping[str, int] | None = None,
    allow_external_data: bool = False,
) -> LoweredModel:
    """Import a model, quantize it if it is float, and lower it.

    Args:
        path: ONNX file.
        target: Name of the target.
        samples: To calibrate with, see ``open_data``; None: noise.
        float_only: Do not quantize.
        shapes: Sizes of dimensions that the model leaves open, by input name.
        maxima: Largest sizes of dimensions that are counted at run time, by name.
        allow_external_data: Read weight files beside the model.

    Raises:
        ModelError, DataError, TargetError, LoweringError: The input does not allow it.
    """
    from octavo.compiler.calibration.synthetic import SyntheticSamples
    from octavo.compiler.compile import model_identifier
    from octavo.compiler.data_source import open_data
    from octavo.compiler.importer import import_model
    from octavo.compiler.quantize import quantize_model
    from octavo.compiler.ready_model import is_quantized
    from octavo.passes.prepare import prepare

    machine = get_target(target)
    model = import_model(
        path, shapes=shapes, maxima=maxima, allow_external_data=allow_external_data
    )
    notes: tuple[str, ...] = ()
    if float_only or is_quantized(model):
        prepare(model)
    else:
        opened = open_data(_invented(model) if samples is None else samples, model)
        notes = (MADE_UP,) if samples is None else ()
        if isinstance(opened, SyntheticSamples):
            notes = (opened.note,)
        model = quantize_model(
            model, opened, activation_dtype=machine.activation_dtype, measure=False).model
    # TVM takes seconds to load: not before the input is known to be good.
    from octavo.compiler.lowering.lower import lower
    from octavo.compiler.tuning.options import TuningOptions
    from octavo.compiler.tuning.stage import tuned_scheduler

    name = model_identifier(path)
    scheduler, _ = tuned_scheduler(
        TuningOptions(False, True, None), machine,
        lambda scheduler: lower(model, machine, name=name, scheduler=scheduler), _silent)
    return LoweredModel(lower(model, machine, name=name, scheduler=scheduler), notes)


def _invented(model: "ir.Model") -> dict[str, NDArray[Any]]:
    """Samples of the right shapes and types, the same every time."""
    rng = np.random.default_rng(0)
    found: dict[str, NDArray[Any]] = {}
    for value in model.graph.inputs:
        if value.name in model.graph.initializers or value.dtype is None:
            continue
        dims = () if value.shape is None else tuple(value.shape)
        shape = (NUM_INVENTED, *(int(d) for d in dims if isinstance(d, int)))
        dtype = value.dtype.numpy()
        if np.issubdtype(dtype, np.floating):
            found[str(value.name)] = rng.standard_normal(shape).astype(dtype)
        else:  # an index that every table has
            found[str(value.name)] = rng.integers(0, 2, shape).astype(dtype)
    return found


def _silent(done: int, total: int) -> None:
    """Progress that nobody watches."""
