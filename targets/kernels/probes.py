"""Kernels that do one thing as fast as the instructions allow: what a machine's peaks are.

Each runs ``tasks`` equal loops, one for every thread.
"""

from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.bfloat16_isa import BFLOAT16_MARK, Bfloat16Isa
from octavo.targets.isa import Isa
from octavo.targets.kernels.register_tile import register_tile

SPARE_REGISTERS = 2  # the repeated activation, and one temporary of ``dot``
DOT_STEPS = 16  # operands of so many steps stay in the first-level cache
STREAMS = 8  # sums at once: more than loads in flight times the latency of an addition


def dot_tile(isa: Isa) -> tuple[int, int]:
    """Rows and vectors of the tile in registers that has the most products for its loads."""
    free = isa.num_registers - SPARE_REGISTERS
    tiles = [(free // v - 1, v) for v in range(1, free // 2 + 1)]
    return max(tiles, key=lambda t: (t[0] * t[1] / sum(t), t[0] * t[1]))


def dot_macs(isa: Isa, tasks: int, passes: int) -> int:
    """Multiply-accumulates of a call of ``dot_loop``."""
    rows, vectors = dot_tile(isa)
    return tasks * passes * DOT_STEPS * rows * vectors * isa.lanes * isa.dot_k


def dot_sizes(isa: Isa, tasks: int) -> tuple[int, int, int]:
    """Elements of the activations, weights and sums of ``dot_loop``."""
    rows, vectors = dot_tile(isa)
    steps = DOT_STEPS * isa.dot_k
    return rows * steps, vectors * isa.lanes * steps, tasks * rows * vectors * isa.lanes


def weight_dtype(isa: Isa) -> str:
    """Type of the weights of ``dot_loop``."""
    return "int8" if isa.acc_dtype == "int32" else isa.activation_dtype


def dot_loop(isa: Isa, tasks: int, passes: int) -> Any:
    """Multiply and accumulate in registers, with operands from the first-level cache.

    Args:
        isa: Instructions.
        tasks: Loops, in parallel.
        passes: Times that the operands are used.

    Returns:
        PrimFunc of activations, weights and sums; see ``dot_sizes``.
    """
    rows, vectors = dot_tile(isa)
    sizes = dot_sizes(isa, tasks)

    def body(activations: Any, weights: Any, sums: Any) -> None:
        with vector.loop(tasks, parallel=True) as task:
            tile = register_tile(isa, rows, vectors)
            zero = vector.splat(T.Cast(isa.acc_dtype, T.int32(0)), isa.lanes)
            for r in range(rows):
                for v in range(vectors):
                    tile.start(r, v, zero)
            # What is read depends on both indices, so nothing moves out of the loops.
            with T.serial(0, passes), T.serial(0, DOT_STEPS) as step:
                offsets = [(r * DOT_STEPS + step) * isa.dot_k for r in range(rows)]
                at = step * (vectors * isa.lanes * isa.dot_k)
                tile.step(activations, offsets, weights, at)
            for r in range(rows):
                for v, total in enumerate(tile.row(r)):
                    slot = ((task * rows + r) * vectors + v) * isa.lanes
                    vector.store(sums, slot, total, isa.lanes)

    parameters = [
        ("activations", sizes[0], isa.activation_dtype),
        ("weights", sizes[1], weight_dtype(isa)),
        ("sums", sizes[2], isa.acc_dtype),
    ]
    function = vector.prim_func(parameters, body)
    is_bfloat16 = isinstance(isa, Bfloat16Isa)
    return function.with_attr(BFLOAT16_MARK, True) if is_bfloat16 else function


def stream_step(isa: Isa) -> int:
    """Bytes that one iteration of ``read_stream`` reads; sizes are multiples of it."""
    return STREAMS * isa.lanes * 4


def read_stream(isa: Isa, tasks: int, task_bytes: int, passes: int) -> Any:
    """Read memory with vector loads and add it up.

    Args:
        isa: Instructions.
        tasks: Loops, in parallel, each over memory of its own.
        task_bytes: What one task reads, a multiple of ``stream_step``.
        passes: Times that it reads it.

    Returns:
        PrimFunc of the memory, int32 (tasks * task_bytes / 4,), and of the sums, int32
        (tasks * STREAMS * lanes,).
    """
    count, lanes = task_bytes // 4, isa.lanes
    block = STREAMS * lanes

    def body(memory: Any, sums: Any) -> None:
        with vector.loop(tasks, parallel=True) as task:
            acc = vector.local(block, "int32")
            for s in range(STREAMS):
                vector.store(acc, s * lanes, vector.splat(T.int32(0), lanes), lanes)
            with T.serial(0, passes), T.serial(0, count // block) as index:
                for s in range(STREAMS):
                    at = task * count + index * block + s * lanes
                    loaded = vector.load(memory, at, lanes)
                    total = vector.load(acc, s * lanes, lanes) + loaded
                    vector.store(acc, s * lanes, total, lanes)
            for s in range(STREAMS):
                total = vector.load(acc, s * lanes, lanes)
                vector.store(sums, task * block + s * lanes, total, lanes)

    parameters = [("memory", tasks * count, "int32"), ("sums", tasks * block, "int32")]
    return vector.prim_func(parameters, body)


def empty_call(tasks: int) -> Any:
    """Do nothing but hand out ``tasks`` tasks: what a call costs; one int32 each."""

    def body(sums: Any) -> None:
        with vector.loop(tasks, parallel=True) as task:
            vector.store(sums, task, T.int32(0))

    return vector.prim_func([("sums", tasks, "int32")], body)
