"""What costs a step its time, with figures, from its manifest and the machine's peaks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from octavo.compiler.report.units import size_text, time_text
from octavo.compiler.roofline.bounds import COMPUTE, OVERHEAD, step_bound
from octavo.compiler.roofline.peaks import Peaks
from octavo.compiler.roofline.traffic import Traffic
from octavo.targets.padding import INPUT_CHANNELS, Padding, waste

MIN_SHARE = 0.05  # of a step's time, or of its products: less is not worth a line
FLOAT_BYTES = 4
FEW_PRODUCTS = 64  # for each result: rounding and storing it takes as long as computing it
# Neighbouring columns of taps may be one run of memory.
AXES = {INPUT_CHANNELS: "products along the input channels"}
# What kernels keep in their scratch memory.
SCRATCH = {
    "attention_rows": "packed keys and values, scores",
    "conv_gemm": "a copy of the input between its padding",
    "gru_gemm": "inputs of the gates, the state",
    "gru_nibbles": "inputs of the gates, the state",
    "lstm_gemm": "inputs of the gates, the state",
    "lstm_nibbles": "inputs of the gates, the state",
    "word_lstm_gemm": "inputs of the gates, the state",
    "matmul_gemm": "one operand, packed as weights are",
    "tile_attention": "packed keys and values, scores",
    "tile_conv": "gathered or padded pixels",
    "tile_matmul": "one operand, packed as weights are",
    "winograd": "transformed input, weights and sums",
    "word_gemm": "a copy of the input between its padding",
    "word_gemm_parts": "a copy of the input between its padding",
}


@dataclass(frozen=True)
class Cause:
    """One reason why a step takes its time.

    Attributes:
        kind: "compute", "memory", "overhead", "padding", "scratch", "shallow", "strided",
            "float", "generic" or "rest".
        text: The same for people, with figures.
        cost_us: What it costs, microseconds, from measured rates; None where that is not
            known.
    """

    kind: str
    text: str
    cost_us: float | None = None


def step_causes(
    step: Mapping[str, Any], latency_us: float, program_bytes: int, peaks: Sequence[Peaks]
) -> list[Cause]:
    """Say what costs a step its time: what it must take first, the most expensive next.

    Args:
        step: Of manifest.json.
        latency_us: Measured.
        program_bytes: Weights and arena of the whole program.
        peaks: Of the machine; empty where they are not known.

    Raises:
        KeyError, TypeError, ValueError: The manifest is malformed.
    """
    traffic = Traffic(
        int(step["read_bytes"]), int(step["weight_bytes"]), int(step["written_bytes"]))
    macs = int(step["macs"])
    found = list(_from_placement(step))
    paddings = [Padding(**entry) for entry in step.get("padding", ())]
    scratch_bytes = int(step.get("scratch_bytes", 0))
    bound, compute_us, scratch_us = None, None, None
    if peaks:
        bound = step_bound(macs, str(step["placement"]), traffic, program_bytes, peaks)
        compute_us = bound.compute_us
        rate = peaks[-1].level(scratch_bytes + traffic.num_bytes).rate.best
        scratch_us = 2 * scratch_bytes / rate * 1e-3  # written and read, bytes per nanosecond
    found += _padding(paddings, compute_us)
    found += _scratch(step, scratch_bytes, scratch_us)
    found += _shape(step, macs, traffic)
    found.sort(key=lambda cause: -(cause.cost_us or 0.0))
    if bound is None:
        return found
    first = _bound_cause(bound.bound_by, bound.roof_us, traffic, macs)
    known_us = bound.roof_us + sum(cause.cost_us or 0.0 for cause in found)
    rest_us = latency_us - known_us
    if rest_us > MIN_SHARE * latency_us:
        found.append(Cause("rest", "loads, rounding, stores and stalls beside these", rest_us))
    return [first, *found]


def _from_placement(step: Mapping[str, Any]) -> Iterator[Cause]:
    if step["placement"] != "int8":
        reason = step["reason"] or "the model is so"
        yield Cause("float", f"computed in {step['placement']}: {reason}")
    if step["operation"] is None and not step.get("on_accelerator"):
        yield Cause("generic", "generic code: the library has no kernel for it")


def _bound_cause(bound_by: str, roof_us: float, traffic: Traffic, macs: int) -> Cause:
    least = f"{time_text(roof_us)} at the machine's peaks"
    if bound_by == OVERHEAD:
        return Cause("overhead", f"small: the call alone takes most of {least}", roof_us)
    if bound_by == COMPUTE:
        per_byte = macs / max(1, traffic.num_bytes)
        return Cause(
            "compute", f"bound by products, {per_byte:.1f} for each byte: {least}", roof_us)
    return Cause(
        "memory",
        f"bound by {bound_by}: {size_text(traffic.num_bytes)} to read and write, {least}",
        roof_us)


def _padding(paddings: Sequence[Padding], compute_us: float | None) -> Iterator[Cause]:
    wasted = waste(paddings)
    if wasted < MIN_SHARE:
        return
    axes = ", ".join(
        f"{p.wanted} of {p.computed} {AXES.get(p.axis, p.axis)}"
        for p in paddings if p.waste >= MIN_SHARE / 2)
    cost_us = None if compute_us is None else compute_us * wasted / (1 - wasted)
    yield Cause(
        "padding", f"computes {1 / (1 - wasted):.2f}x the products it needs: {axes}", cost_us)


def _scratch(
    step: Mapping[str, Any], scratch_bytes: int, scratch_us: float | None
) -> Iterator[Cause]:
    if scratch_bytes * 10 < int(step["read_bytes"]):
        return
    kernel = str(step["variant"]).split(".", 1)[0]
    what = SCRATCH.get(kernel, "intermediate values")
    yield Cause(
        "scratch", f"writes and reads {size_text(scratch_bytes)} beside: {what}", scratch_us)


def _shape(step: Mapping[str, Any], macs: int, traffic: Traffic) -> Iterator[Cause]:
    operation = step["operation"] or {}
    if operation.get("type") != "Conv":
        return
    stores_integers = (
        step["placement"] == "int8" and operation["requantize"]["dtype"] != "float32")
    item_bytes = 1 if stores_integers else FLOAT_BYTES
    outputs = max(1, traffic.written_bytes // item_bytes)
    per_output = macs / outputs
    if per_output < FEW_PRODUCTS:
        yield Cause(
            "shallow",
            f"only {per_output:.0f} products for each result that is rounded and stored")
    strides = (int(operation["stride_h"]), int(operation["stride_w"]))
    dilations = (int(operation["dilation_h"]), int(operation["dilation_w"]))
    if max(strides) > 1:
        yield Cause("strided", f"results {strides[0]}x{strides[1]} input pixels apart: less"
                    " of what is loaded is used again")  # fmt: skip
    if max(dilations) > 1:
        yield Cause("strided", f"taps {dilations[0]}x{dilations[1]} pixels apart: each is a"
                    " load of its own")  # fmt: skip
