"""Find the range of every tensor that will be quantized, one sample at a time."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.ranges_by_degree import observe_by_degree
from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.errors import DataError, RecipeError
from octavo.passes.narrow_ranges import Range, feeds_softmax_only
from octavo.passes.observers.base import Observer
from octavo.passes.observers.choose import make_observer, protected_share
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
    shares = _protected_shares(placement, calibrator, options)
    if shares:
        found = observe_by_degree(model, shares, samples, num_samples)
        ranges.update(
            (value.name or "", found[value.name or ""].range(share))
            for value, share in shares.items()
            if value.name in found
        )
    return ranges


def _protected_shares(
    placement: Placement, calibrator: str, options: QuantizerOptions
) -> dict[ir.Value, float]:
    """Tensors that are observed by degree, with the share of nodes to protect."""
    names = _calibrators(placement, calibrator, options)
    shares = {value: protected_share(name) for value, name in names.items()}
    return {value: share for value, share in shares.items() if share is not None}


def _calibrators(
    placement: Placement, calibrator: str, options: QuantizerOptions
) -> dict[ir.Value, str]:
    making = placement.region_making()
    heads = {
        value: making[value].head if value in making else None for value in placement.tensors
    }
    return {
        value: calibrator if head is None else options.calibrator(head, calibrator)
        for value, head in heads.items()
    }


def _observers(
    placement: Placement, calibrator: str, options: QuantizerOptions
) -> dict[str, Observer]:
    observers: dict[str, Observer] = {}
    for value, name in _calibrators(placement, calibrator, options).items():
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
