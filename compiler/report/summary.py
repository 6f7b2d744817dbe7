"""The one-screen summary of a compilation, as data."""

from dataclasses import dataclass

from octavo.compiler.report.records import ErrorRecord, Report, StepRecord
from octavo.compiler.report.selection import Selection

NUM_WORST_LAYERS = 5


@dataclass(frozen=True)
class Placement:
    """What runs in one kind of arithmetic.

    Attributes:
        placement: "int8", "bfloat16" or "float32".
        num_steps: Kernel calls.
        macs: Multiply-accumulates.
        steps_share: Of all kernel calls, in [0, 1].
        macs_share: Of all multiply-accumulates, in [0, 1].
    """

    placement: str
    num_steps: int
    macs: int
    steps_share: float
    macs_share: float


@dataclass(frozen=True)
class Summary:
    """What a person wants to know first.

    Attributes:
        name: The model.
        target: What it was compiled for.
        placements: By kind of arithmetic, int8 first.
        float_steps: Steps that run in float, each with its reason.
        weights_bytes: Size of the weight file.
        weights_memory_bytes: What kernels read of it, where packed weights are expanded; 0
            where it is the file itself.
        arena_bytes: Working memory.
        arena_lower_bound_bytes: No plan needs less.
        output_sqnr_db: Signal to quantization noise of the worst output, decibels; None when
            nothing was quantized here.
        worst_layers: Lowest isolated signal to noise, worst first.
        latency_us: Median of a whole run, microseconds; None when not measured.
        num_scheduled: Steps whose kernels can take several schedules.
        num_tuned: Of these, with a schedule that was measured.
        accelerator: What the target has beside its CPU; "" for nothing.
        num_accelerated: Steps that it computes.
        cpu_steps: The others, where there is one.
        selection: What operator selection measured and chose; None where it did not.
    """

    name: str
    target: str
    placements: tuple[Placement, ...]
    float_steps: tuple[StepRecord, ...]
    weights_bytes: int
    arena_bytes: int
    arena_lower_bound_bytes: int
    output_sqnr_db: float | None
    worst_layers: tuple[ErrorRecord, ...]
    latency_us: float | None
    num_scheduled: int = 0
    num_tuned: int = 0
    accelerator: str = ""
    num_accelerated: int = 0
    cpu_steps: tuple[StepRecord, ...] = ()
    selection: Selection | None = None
    weights_memory_bytes: int = 0

    @property
    def int8_macs_share(self) -> float:
        """Share of the multiply-accumulates that integer kernels do, in [0, 1]."""
        return next((p.macs_share for p in self.placements if p.placement == "int8"), 0.0)


def summarize(report: Report) -> Summary:
    """Condense a report to one screen."""
    errors = report.errors
    # Of a few layers only a few can stand out.
    num_worst = min(NUM_WORST_LAYERS, max(1, len(errors) // 3))
    return Summary(
        name=report.name,
        target=report.target,
        placements=_placements(report.steps),
        float_steps=tuple(s for s in report.steps if s.placement != "int8"),
        weights_bytes=report.weights_bytes,
        weights_memory_bytes=report.weights_memory_bytes,
        arena_bytes=report.arena_bytes,
        arena_lower_bound_bytes=report.arena_lower_bound_bytes,
        output_sqnr_db=report.output_sqnr_db,
        worst_layers=tuple(
            sorted(errors, key=lambda e: (e.sqnr_isolated_db, e.layer))[:num_worst]
        ),
        latency_us=None if report.run is None else report.run.median_us,
        num_scheduled=sum(s.is_tuned is not None for s in report.steps),
        num_tuned=sum(s.is_tuned is True for s in report.steps),
        accelerator=report.accelerator,
        num_accelerated=sum(s.on_accelerator for s in report.steps),
        cpu_steps=tuple(
            s for s in report.steps if report.accelerator and not s.on_accelerator),
        selection=report.selection,
    )


def _placements(steps: tuple[StepRecord, ...]) -> tuple[Placement, ...]:
    kinds = sorted({s.placement for s in steps}, key=lambda kind: (kind != "int8", kind))
    all_macs = sum(s.macs for s in steps)
    placements = []
    for kind in kinds:
        of_kind = [s for s in steps if s.placement == kind]
        macs = sum(s.macs for s in of_kind)
        placements.append(
            Placement(
                placement=kind,
                num_steps=len(of_kind),
                macs=macs,
                steps_share=len(of_kind) / len(steps),
                # A network without multiplications is placed by its steps.
                macs_share=macs / all_macs if all_macs else len(of_kind) / len(steps),
            )
        )
    return tuple(placements)
