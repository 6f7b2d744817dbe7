"""The shortest time that a step could take on a machine, and what stands in its way.

A step must do its multiply-accumulates at the peak rate of its arithmetic, and fetch its bytes
from where they are; the two overlap, so the longer one counts. Where bytes are follows from
what is touched between two uses of them:

- Activations were written by the step before, or shortly before: they are in the smallest
  level that holds all bytes of this step.
- Weights were last read one whole run ago: they are in the smallest level that holds the whole
  program, weights and arena.

Writes count as reads do. On top comes what a call costs. With several threads a step may also
run in one of them, where that is faster: short ones should.

A step without multiply-accumulates is held against its bytes alone, so what its arithmetic
costs looks as if it could be won.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from octavo.compiler.roofline.peaks import Peaks
from octavo.compiler.roofline.traffic import Traffic

COMPUTE, OVERHEAD = "compute", "overhead"


@dataclass(frozen=True)
class Bound:
    """The least time of a step.

    Attributes:
        roof_us: That time, microseconds.
        bound_by: What takes most of it: "compute", the name of a level of memory, or
            "overhead".
        compute_us: Multiply-accumulates alone.
        memory_us: Bytes alone.
        call_us: The call.
        num_threads: Threads that it is for.
    """

    roof_us: float
    bound_by: str
    compute_us: float
    memory_us: float
    call_us: float
    num_threads: int


def step_bound(
    macs: int, placement: str, traffic: Traffic, program_bytes: int, peaks: Sequence[Peaks]
) -> Bound:
    """Work out the least time of a step.

    Args:
        macs: Multiply-accumulates.
        placement: "int8", "bfloat16" or "float32".
        traffic: Bytes.
        program_bytes: Weights and arena of the whole program.
        peaks: Of the machine, for each number of threads that the step may use; not empty.
    """
    bounds = (_bound(macs, placement, traffic, program_bytes, p) for p in peaks)
    return min(bounds, key=lambda bound: bound.roof_us)


def _bound(
    macs: int, placement: str, traffic: Traffic, program_bytes: int, peaks: Peaks
) -> Bound:
    near, far = peaks.level(traffic.num_bytes), peaks.level(program_bytes)
    # Bytes over 10**9 bytes a second, in microseconds.
    near_us = traffic.activation_bytes / near.rate.best * 1e-3
    far_us = traffic.weight_bytes / far.rate.best * 1e-3
    compute_us = macs / peaks.compute(placement).best * 1e-3
    memory_us = near_us + far_us
    work_us = max(compute_us, memory_us)
    if peaks.call_us > work_us:
        bound_by = OVERHEAD
    elif compute_us >= memory_us:
        bound_by = COMPUTE
    else:
        bound_by = near.name if near_us >= far_us else far.name
    return Bound(
        roof_us=peaks.call_us + work_us,
        bound_by=bound_by,
        compute_us=compute_us,
        memory_us=memory_us,
        call_us=peaks.call_us,
        num_threads=peaks.num_threads,
    )
