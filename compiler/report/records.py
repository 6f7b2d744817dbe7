"""The facts that the summary and report.html show."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.calibration.signal_to_noise import MAX_DB
from octavo.compiler.counting.counts import CountedRun
from octavo.compiler.report.origin import Origin
from octavo.compiler.report.rounding import ModelRounding
from octavo.compiler.report.selection import Selection
from octavo.compiler.roofline.roofline import Roofline
from octavo.compiler.roofline.traffic import Traffic


@dataclass(frozen=True)
class StepRecord:
    """One kernel call.

    Attributes:
        index: Position in run order, from 0.
        name: The ONNX node, with what was fused behind it.
        op_types: ONNX operators that it computes.
        placement: "int8", "bfloat16" or "float32".
        variant: The implementation.
        function: What it calls; equal layers share one.
        macs: Multiply-accumulates of one run.
        reason: Why a float step is no integer step; else "".
        traffic: Bytes that one run must read and write.
        is_tuned: Its schedule was measured, not chosen by a model; None where there is no
            choice.
        on_accelerator: The target's accelerator computes it, not its CPU.
        nodes: Names of the ONNX nodes that it computes; empty for a conversion that has none.
        schedule: Loop decisions of its kernel as canonical JSON; "" where there are none.
    """

    index: int
    name: str
    op_types: tuple[str, ...]
    placement: str
    variant: str
    function: str
    macs: int
    reason: str
    traffic: Traffic
    is_tuned: bool | None = None
    on_accelerator: bool = False
    nodes: tuple[str, ...] = ()
    schedule: str = ""


@dataclass(frozen=True)
class BufferRecord:
    """One buffer of the memory plan.

    Attributes:
        name: What it holds.
        offset_bytes: Place in the arena.
        num_bytes: Size.
        first_step: Index of the first step that touches it; -1 when the caller writes it.
        last_step: Index of the last step that touches it; the number of steps when the caller
            reads it.
    """

    name: str
    offset_bytes: int
    num_bytes: int
    first_step: int
    last_step: int


@dataclass(frozen=True)
class ErrorRecord:
    """What quantization did to one layer.

    Attributes:
        layer: The ONNX node.
        op_type: Its operator.
        sqnr_isolated_db: Signal to quantization noise, only this layer quantized, decibels.
        sqnr_cumulative_db: The same at this layer with everything quantized, decibels.
    """

    layer: str
    op_type: str
    sqnr_isolated_db: float
    sqnr_cumulative_db: float


@dataclass(frozen=True)
class LatencyRecord:
    """Measured time of one step, or of a whole run.

    Attributes:
        median_us: Median over the runs, microseconds.
        low_us: 25th percentile.
        high_us: 75th percentile.
        share: Of the sum of all steps' medians, in [0, 1]; 1 for a whole run.
        p95_us: 95th percentile.
        min_us: The shortest.
        max_us: The longest.
        interval_us: Where the median is with 95% confidence, whatever the process got by
            chance; None where too few processes measured it.
    """

    median_us: float
    low_us: float
    high_us: float
    share: float
    p95_us: float
    min_us: float
    max_us: float
    interval_us: tuple[float, float] | None = None


@dataclass(frozen=True)
class Report:
    """Everything that there is to show about one artifact.

    Attributes:
        name: The model.
        target: What it was compiled for.
        steps: Kernel calls in run order.
        arena_bytes: Working memory.
        arena_lower_bound_bytes: The most bytes that are live at once: no plan needs less.
        weights_bytes: Size of the weight file.
        weights_memory_bytes: What kernels read of it, where packed weights are expanded; 0
            where it is the file itself.
        buffers: The memory plan; empty when the manifest has none.
        errors: Per-layer errors; empty when nothing was quantized here.
        output_sqnr_db: Signal to quantization noise of the worst output, decibels; None when
            nothing was quantized here.
        latencies: One per step, or empty when nothing was measured.
        run: Latency of a whole run; None when not measured.
        num_runs: Runs behind the latencies.
        origin: Where the latencies come from; None when that is not known.
        roofline: The latencies against the machine's peaks; None when those are not known.
        selection: What operator selection measured and chose; None where it did not.
        rounding: How the integers of weights were chosen; None for the nearest ones.
        counted: Instructions instead of time, of an artifact that ran under an emulator; None
            when it did not.
        files: Name to SHA-256 of every file of the artifact.
        versions: Tool to version.
        accelerator: What the target has beside its CPU; "" for nothing.
    """

    name: str
    target: str
    steps: tuple[StepRecord, ...]
    arena_bytes: int
    arena_lower_bound_bytes: int
    weights_bytes: int
    weights_memory_bytes: int = 0
    buffers: tuple[BufferRecord, ...] = ()
    errors: tuple[ErrorRecord, ...] = ()
    output_sqnr_db: float | None = None
    latencies: tuple[LatencyRecord, ...] = ()
    run: LatencyRecord | None = None
    num_runs: int = 0
    origin: Origin | None = None
    roofline: Roofline | None = None
    selection: Selection | None = None
    rounding: ModelRounding | None = None
    counted: CountedRun | None = None
    files: tuple[tuple[str, str], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    accelerator: str = ""


def latency_records(
    samples_us: Sequence[Sequence[float]], round_sizes: Sequence[int] = ()
) -> tuple[LatencyRecord, ...]:
    """Summarize timings.

    Args:
        samples_us: Per step, the time of each run in microseconds.
        round_sizes: How many of these runs each process measured, in order; empty: not known.

    Returns:
        One record per step.

    Raises:
        ValueError: The rounds do not add up to the runs.
    """
    rows = [np.asarray(samples, dtype=np.float64) for samples in samples_us]
    found = [np.percentile(row, (0, 25, 50, 75, 95, 100)).tolist() for row in rows]
    total = sum(values[2] for values in found)
    return tuple(
        LatencyRecord(
            median_us=median,
            low_us=low,
            high_us=high,
            share=median / total if total > 0 else 0.0,
            p95_us=p95,
            min_us=smallest,
            max_us=largest,
            interval_us=_interval(row, round_sizes),
        )
        for row, (smallest, low, median, high, p95, largest) in zip(rows, found, strict=True)
    )


def _interval(
    row: NDArray[np.float64], round_sizes: Sequence[int]
) -> tuple[float, float] | None:
    """From the medians of the rounds: runs of one process are not independent."""
    # The package of the devices brings the compiler along, which --help does without.
    from octavo.compiler.devices.median import median_interval

    if not round_sizes:
        return None
    if sum(round_sizes) != len(row):
        raise ValueError(f"rounds of {list(round_sizes)} runs are not {len(row)} runs")
    rounds = np.split(row, np.cumsum(round_sizes)[:-1])
    return median_interval([float(np.median(part)) for part in rounds])


def error_records(errors: Iterable[Any]) -> tuple[ErrorRecord, ...]:
    """Per-layer errors from the quantizer's records, or from the same as mappings."""
    return tuple(
        ErrorRecord(
            layer=str(_field(e, "layer")),
            op_type=str(_field(e, "op_type")),
            sqnr_isolated_db=_decibels(_field(e, "sqnr_isolated_db")),
            sqnr_cumulative_db=_decibels(_field(e, "sqnr_cumulative_db")),
        )
        for e in errors
    )


def error_entries(records: Iterable[ErrorRecord]) -> list[dict[str, str | float | None]]:
    """Per-layer errors as JSON values, for a manifest; the inverse of ``error_records``."""
    return [
        {
            "layer": r.layer,
            "op_type": r.op_type,
            "sqnr_isolated_db": _json_decibels(r.sqnr_isolated_db),
            "sqnr_cumulative_db": _json_decibels(r.sqnr_cumulative_db),
        }
        for r in records
    ]


def _json_decibels(decibels: float) -> float | None:
    return None if decibels == float("inf") else decibels


def _field(record: Any, name: str) -> Any:
    return record[name] if isinstance(record, Mapping) else getattr(record, name)


def _decibels(value: Any) -> float:
    # JSON has no infinity: None stands for a layer without any error.
    return float("inf") if value is None or value >= MAX_DB else float(value)
