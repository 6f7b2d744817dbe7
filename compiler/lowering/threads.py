"""Leave the threads out of programs that end before a sleeping thread would be awake."""

from typing import Any

from octavo.compiler.lowering.program import Program, Storage
from octavo.targets.isa import Isa

# Waking a thread costs the caller some 10 us, and 20 more pass until it helps: measured with
# futexes under Linux. Half of the rest must be worth more than that.
MIN_PARALLEL_US = 60.0
CYCLES_PER_US = 4000.0  # of a fast core; a slow one only makes programs longer than estimated
BYTES_PER_US = 20000.0  # what elementwise steps read and write, at the speed of a cache


def estimated_us(program: Program, isa: Isa) -> float:
    """Latency of a program on one fast core, microseconds; right to a factor of about two."""
    macs_per_cycle = {
        "float32": isa.lanes,
        "bfloat16": 2 * isa.lanes,
        "int8": isa.lanes * isa.dot_k / isa.dot_cost,
    }
    cycles = sum(step.macs / macs_per_cycle[step.placement] for step in program.steps)
    num_bytes = sum(
        operand.buffer.num_bytes if operand.touched_bytes is None else operand.touched_bytes
        for step in program.steps
        for operand in step.operands
        if operand.buffer.storage is Storage.ARENA
    )
    return cycles / CYCLES_PER_US + num_bytes / BYTES_PER_US


def run_small_programs_in_one_thread(program: Program, isa: Isa) -> None:
    """Make the loops of a program serial if handing work out takes as long as doing it.

    Each loop alone may be worth it between threads that are awake. But when a run begins they
    sleep, and a run of microseconds is over before they do anything.
    """
    if estimated_us(program, isa) >= MIN_PARALLEL_US:
        return
    for symbol, function in program.functions.items():
        program.functions[symbol] = _serial(function)


def _serial(function: Any) -> Any:
    import tvm_ffi
    from tvm import tirx

    def serial(loop: Any) -> Any:
        if loop.kind != tirx.ForKind.PARALLEL:
            return loop
        return tirx.For(
            loop.loop_var, loop.min, loop.extent, tirx.ForKind.SERIAL, loop.body,
            annotations=loop.annotations, step=loop.step,
        )  # fmt: skip

    return function.with_body(tvm_ffi.structural_map(function.body, (tirx.For, serial)))
