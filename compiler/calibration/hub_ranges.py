"""Choose between ranges that hold every value and ranges that hubs do not set.

Which is better depends on what reads a hub, so it is measured: the model is quantized with
each and the error of its outputs decides, every node counting the same.
"""

import onnx_ir as ir

from octavo.compiler.calibration.node_degrees import NodeDegrees
from octavo.compiler.calibration.ranges_by_degree import observe_by_degree
from octavo.compiler.calibration.row_errors import RowErrors
from octavo.compiler.quantize_job import QuantizeJob
from octavo.compiler.quantize_steps import insert_quantizers
from octavo.passes.narrow_ranges import Range
from octavo.passes.placement import Placement

# Shares of nodes, of the highest degrees, whose values no range leaves out.
PROTECTED_SHARES = (0.0, 0.001)
HUB_SAMPLES = 4
# What hubs lose has to buy something: noise over signal in the mean row falls by a third.
MIN_GAIN = 1 / 3
# Rows that lose less than this of their energy, 30 dB, rarely change an answer.
GOOD_ENOUGH = 1e-3


def choose_hub_ranges(
    prepared: ir.Model, plan: Placement, ranges: dict[str, Range], job: QuantizeJob
) -> tuple[dict[str, Range], tuple[str, ...]]:
    """The ranges with which a graph network computes its outputs best.

    Args:
        prepared: The float model.
        plan: Where quantizers go.
        ranges: Extremes of every tensor.
        job: Samples and options.

    Returns:
        Ranges of the same tensors, and a line for the user where hubs were cut off.
    """
    degrees = NodeDegrees.of(prepared.graph)
    if all(degrees.size_of(value) is None for value in plan.tensors):
        return ranges, ()
    meter = RowErrors(prepared, list(job.take(HUB_SAMPLES)))
    extremes = least = meter.measure(insert_quantizers(prepared, ranges, job))
    if extremes < GOOD_ENOUGH:
        return ranges, ()
    observers = observe_by_degree(prepared, plan.tensors, job.samples, job.num_samples)
    best: dict[str, Range] = ranges
    notes: tuple[str, ...] = ()
    for share in PROTECTED_SHARES:
        found = {name: observer.range(share) for name, observer in observers.items()}
        tried = {**ranges, **found}
        if tried == best:
            continue
        error = meter.measure(insert_quantizers(prepared, tried, job))
        if _noise(error) < _noise(least) * (1.0 - MIN_GAIN):
            best, least = tried, error
            protected = f", {share:.1%} of the nodes protected" if share else ""
            notes = (
                f"ranges by degree{protected}: hubs do not set the scale of other nodes; mean"
                f" error of a row {error:.2%} instead of {extremes:.2%}",
            )
    return best, notes


def _noise(error: float) -> float:
    """Energy of noise in that of the signal, where it is ``error`` of both together."""
    return error / max(1.0 - error, 1e-9)
