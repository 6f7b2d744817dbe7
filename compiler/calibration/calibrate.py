"""Find the range of every tensor that will be quantized, one sample at a time."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.errors import DataError, RecipeError
from octavo.passes.narrow_ranges import Range, feeds_softmax_only
from octavo.passes.observers.base import Observer
from octavo.passes.observers.choose import make_observer
from octavo.passes.observers.softmax_input import SoftmaxInputObserver
from octavo.passes.placement import Placement
from octavo.passes.quantizer_options import QuantizerOptions
from octavo.passes.wiring import int_attribute

Progress = Callable[[str, int, int], None]


def calibrate(
    model: ir.Model,
    placement: Placement,
    samples: Iterable[Mapping[str, NDArray[Any]]],
    *,
    calibrator: str = "minmax",
    options: QuantizerOptions,
    num_samples: int,
    progress: Progress | None = None,
) -> dict[str, Range]:
    """Observe the tensors of a placement while samples run through the float model.

    Memory does not depend on the number of samples: each is dropped once observed.

    Args:
        model: The prepared float model that ``placement`` was made for.
        placement: What to observe.
        samples: One mapping from input name to array for each inference.
        calibrator: Observer of tensors that no override names.
        options: Overrides with calibrators of their own.
        num_samples: Stop after so many.
        progress: Called with "calibrate", samples done, samples in all.

    Returns:
        ``(low, high)`` of each tensor by name.

    Raises:
        DataError: There is no sample, or a model input has the same value in all of them.
        RecipeError: A calibrator is unknown.
    """
    observers = _observers(placement, calibrator, options)
    run = ReferenceRun(model, placement.tensors)
    done = 0
    for done, sample in enumerate(islice(samples, num_samples), start=1):
        for name, array in run.run(sample).items():
            observers[name].observe(array)
        if progress is not None:
            progress("calibrate", done, num_samples)
    if not done:
        raise DataError("no samples to calibrate with; at least 1 is needed")
    ranges = {name: observer.range() for name, observer in observers.items()}
    _check_inputs(model, ranges, done)
    return ranges


def _observers(
    placement: Placement, calibrator: str, options: QuantizerOptions
) -> dict[str, Observer]:
    making = placement.region_making()
    observers: dict[str, Observer] = {}
    for value in placement.tensors:
        region = making.get(value)
        name = calibrator if region is None else options.calibrator(region.head, calibrator)
        try:
            observer = make_observer(name)
        except ValueError as error:
            raise RecipeError(str(error)) from error
        axis = _softmax_axis(value)
        if axis is not None:
            observer = SoftmaxInputObserver(observer, axis)
        observers[value.name or ""] = observer
    return observers


def _softmax_axis(value: ir.Value) -> int | None:
    if not feeds_softmax_only(value):
        return None
    return int_attribute(next(iter(value.uses())).node, "axis", -1)


def _check_inputs(model: ir.Model, ranges: Mapping[str, Range], num_samples: int) -> None:
    for value in model.graph.inputs:
        low, high = ranges.get(value.name or "", (0.0, 1.0))
        if low == high:
            raise DataError(
                f"input {value.name!r} has a range of zero width: it is {low:g} everywhere in"
                f" {num_samples} samples; calibration needs data that varies"
            )
