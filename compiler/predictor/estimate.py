"""Latency of a program before it is built or measured."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from octavo.compiler.measurements.key import Context
from octavo.compiler.measurements.latencies import DeviceStatistics, KernelLatency
from octavo.compiler.predictor.predictor import DEFAULT_INTERVAL, Prediction, Predictor
from octavo.compiler.predictor.program_calls import Identity, NamedCall, row_identity
from octavo.errors import DataError


@dataclass(frozen=True)
class StepEstimate:
    """One step.

    Attributes:
        name: The layer.
        variant: The implementation.
        prediction: Its latency.
        measured_us: What was measured of this very kernel in other programs; None: nothing.
        uncertainty: Part of the program's uncertainty, in [0, 1]: what a measurement of this
            step would help.
    """

    name: str
    variant: str
    prediction: Prediction
    measured_us: float | None
    uncertainty: float


@dataclass(frozen=True)
class Estimate:
    """One inference.

    Attributes:
        total: Of all steps; what was measured counts as measured.
        interval: Probability that the measured time lies in the intervals.
        steps: In run order.
    """

    total: Prediction
    interval: float
    steps: tuple[StepEstimate, ...]


def estimate_latency(
    calls: Sequence[NamedCall], predictor: Predictor, known_us: dict[Identity, float],
    interval: float = DEFAULT_INTERVAL,
) -> Estimate:
    """Predict a program.

    Args:
        calls: All of its calls, at least one.
        predictor: Of the device.
        known_us: What was measured, by kernel; see ``measured_latencies``.
        interval: Probability, in (0, 1).

    Raises:
        DataError: There are no calls, or too few measurements for the interval.
    """
    if not calls:
        raise DataError("a program without steps takes no time that could be predicted")
    measured = [known_us.get(call.identity) for call in calls]
    predictions = predictor.predict([call.call for call in calls], interval)
    total = predictor.predict_total([call.call for call in calls], interval, measured)
    doubts = [
        0.0 if known is not None else prediction.high_us - prediction.low_us
        for prediction, known in zip(predictions, measured, strict=True)]
    whole = sum(doubts) or 1.0
    steps = [
        StepEstimate(call.name, call.identity[0], prediction, known, doubt / whole)
        for call, prediction, known, doubt in zip(
            calls, predictions, measured, doubts, strict=True)]
    return Estimate(total, interval, tuple(steps))


def measured_latencies(
    latencies: Iterable[KernelLatency], context: Context
) -> dict[Identity, float]:
    """Medians of the kernels that were measured in a context, toolchain included."""
    found: dict[Identity, list[float]] = defaultdict(list)
    for row in latencies:
        if row.key.context == context:
            found[row_identity(row)].append(row.latency_us)
    return {identity: statistics.median(values) for identity, values in found.items()}


def find_device(
    statistics: Sequence[DeviceStatistics], code: str, here: str, wanted: str | None
) -> str:
    """Which of the measured devices an estimate is for.

    Args:
        statistics: Of the database.
        code: What kernels are generated for.
        here: This machine; it is meant where it has been measured.
        wanted: A part of the device's text that the user gave; None for none.

    Raises:
        DataError: No device or several have measurements of such code.
    """
    devices = sorted({row.device for row in statistics if row.code == code})
    if wanted is not None:
        devices = [device for device in devices if wanted.lower() in device.lower()]
    elif here in devices:
        devices = [here]
    if len(devices) == 1:
        return devices[0]
    which = "" if wanted is None else f" of a device {wanted!r}"
    if not devices:
        raise DataError(
            f"the database has no measurements{which} for {code.split(maxsplit=1)[0]} code;"
            " octavo profile makes them")
    names = "; ".join(devices)
    raise DataError(f"{len(devices)} devices were measured: --on tells which one ({names})")
