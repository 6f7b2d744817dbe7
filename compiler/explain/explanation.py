"""What is said of an artifact: records, most expensive layer first."""

from dataclasses import dataclass

from octavo.compiler.explain.causes import Cause
from octavo.compiler.explain.float_answer import FloatAnswer
from octavo.targets.friendly_widths import FriendlyWidth


@dataclass(frozen=True)
class Alternative:
    """A way to compute a layer, measured in place.

    Attributes:
        variant: The implementation.
        what: The candidate of the operator selection, or loop decisions as canonical JSON.
        latency_us: Median, microseconds, without conversions.
        is_chosen: The artifact computes it so.
        placement: Its arithmetic.
    """

    variant: str
    what: str
    latency_us: float
    is_chosen: bool
    placement: str


@dataclass(frozen=True)
class LayerExplanation:
    """One layer: a step that computes more than a conversion.

    Attributes:
        name: What a person calls it.
        nodes: Names of its ONNX nodes.
        op_types: Operators, in order.
        step: Its index in the artifact.
        function: What it calls; equal layers call the same.
        placement: Its arithmetic.
        variant: Its implementation.
        latency_us: Median, microseconds.
        share: Of all steps, in [0, 1].
        macs: Multiply-accumulates.
        roof_us: The least time it could take; None without the machine's peaks.
        bound_by: What bounds it; "" without.
        causes: What it must take, then what costs it more.
        float_answer: None for what is float already.
        conversions_us: Conversions next to it that exist because something beside it is float,
            the model's inputs and outputs included.
        widths: Channel widths that waste products, with friendly ones.
        alternatives: Measured, fastest first: by the operator selection, or where that has not
            run, in other builds.
    """

    name: str
    nodes: tuple[str, ...]
    op_types: tuple[str, ...]
    step: int
    function: str
    placement: str
    variant: str
    latency_us: float
    share: float
    macs: int
    roof_us: float | None
    bound_by: str
    causes: tuple[Cause, ...]
    float_answer: FloatAnswer | None
    conversions_us: float
    widths: tuple[FriendlyWidth, ...]
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """An artifact, explained.

    Attributes:
        name: The model.
        target: What it was compiled for.
        device: CPU that the times are of.
        num_threads: Threads that ran it.
        measured_at: UTC, ISO 8601, of the oldest measurement that counts.
        is_new: It was measured now, not read from the database.
        latency_us: All steps, microseconds.
        float_us: All steps of the float network; 0 where there is nothing to compare.
        layers: Most expensive first.
    """

    name: str
    target: str
    device: str
    num_threads: int
    measured_at: str
    is_new: bool
    latency_us: float
    float_us: float
    layers: tuple[LayerExplanation, ...]
