"""Vector expressions over flat buffers: the small vocabulary that kernels are written in.

Kernels are TIR PrimFuncs whose parameters are flat one-dimensional buffers. Offsets count
elements. A vector value has a TIR type such as "int32x16". Nothing here depends on a target.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

Expr = Any  # a TIR expression
BufferVar = Any  # a TIR buffer

COPY_LANES = 32  # bytes that one copy instruction moves; split or joined by LLVM as needed


def prim_func(
    parameters: Sequence[tuple[str, int, str]], body: Callable[..., None]
) -> tirx.PrimFunc:
    """Build a PrimFunc over flat buffers.

    Args:
        parameters: Name, number of elements and dtype of each parameter, in order.
        body: Called with the parameter buffers; emits statements.

    Returns:
        The PrimFunc, without a symbol name: the caller names it.
    """
    with IRBuilder() as ir_builder, T.prim_func(s_tir=True):
        T.func_name("kernel")
        body(*[T.arg(name, T.buffer((n,), dtype)) for name, n, dtype in parameters])
    return ir_builder.get()


def vector_type(dtype: str, lanes: int) -> str:
    """TIR type of a vector, or of a scalar when ``lanes`` is 1."""
    return dtype if lanes == 1 else f"{dtype}x{lanes}"


def load(buffer: BufferVar, offset: Expr, lanes: int = 1) -> Expr:
    """Load ``lanes`` consecutive elements; no alignment beyond the element's is assumed."""
    return tirx.BufferLoad(buffer, [offset if lanes == 1 else tirx.Ramp(offset, 1, lanes)])


def store(buffer: BufferVar, offset: Expr, value: Expr, lanes: int = 1) -> None:
    """Store ``lanes`` consecutive elements."""
    T.buffer_store(buffer, value, [offset if lanes == 1 else tirx.Ramp(offset, 1, lanes)])


def load_words(buffer: BufferVar, offset: Expr, lanes: int, count: int) -> tuple[Expr, Expr]:
    """Load int64 elements as two int32 vectors: their lower and their upper words.

    Args:
        buffer: int64 elements, stored little-endian.
        offset: First element.
        lanes: Lanes of the vectors.
        count: Elements that exist, at most ``lanes``: what is behind the last vector of words
            with any of them is not read.
    """
    elements = int(buffer.shape[0])
    view = T.decl_buffer((2 * elements,), "int32", data=buffer.data)
    halves = [bind(load(view, offset * 2, lanes))]
    has_second = 2 * count > lanes
    halves.append(bind(load(view, offset * 2 + lanes, lanes)) if has_second else halves[0])
    low, high = (
        bind(tirx.Shuffle(halves, [T.int32(2 * lane + word) for lane in range(lanes)]))
        for word in (0, 1))
    return low, high


def splat(value: Expr, lanes: int) -> Expr:
    """Repeat a scalar in every lane."""
    return value if lanes == 1 else T.broadcast(value, lanes)


def take(value: Expr, lanes: Sequence[int]) -> Expr:
    """Pick lanes of a vector, in any order, also repeatedly."""
    copies = -(-len(lanes) // num_lanes(value))  # TVM gives at most as many lanes as it gets
    return tirx.Shuffle([value] * copies, [T.int32(lane) for lane in lanes])


def concatenate(values: Sequence[Expr]) -> Expr:
    """Lanes of several vectors, one vector after the other."""
    total = sum(num_lanes(value) for value in values)
    return tirx.Shuffle(list(values), [T.int32(lane) for lane in range(total)])


def interleave(values: Sequence[Expr]) -> Expr:
    """Lane 0 of every vector, then lane 1 of every vector, and so on."""
    lanes = num_lanes(values[0])
    order = [T.int32(k * lanes + i) for i in range(lanes) for k in range(len(values))]
    return tirx.Shuffle(list(values), order)


def take_first(value: Expr, lanes: int) -> Expr:
    """Keep the first lanes of a vector."""
    return value if lanes == num_lanes(value) else take(value, range(lanes))


def num_lanes(value: Expr) -> int:
    """Lanes of an expression."""
    return int(tvm.DataType(str(value.ty)).lanes)


def cast(value: Expr, dtype: str, lanes: int) -> Expr:
    """Convert every lane."""
    return tirx.Cast(vector_type(dtype, lanes), value)


def local(num_elements: int, dtype: str) -> BufferVar:
    """Allocate a small local; with constant offsets its elements live in registers."""
    return T.alloc_buffer((num_elements,), dtype, scope="local")


def bind(value: Expr) -> Expr:
    """Name a value so that it is computed once."""
    return T.Bind(value)


def intrinsic(dtype: str, lanes: int, name: str, *arguments: Expr) -> Expr:
    """Call a pure LLVM intrinsic by name."""
    return T.call_llvm_pure_intrin(vector_type(dtype, lanes), name, *arguments)


def wrapping(operation: str, a: Expr, b: Expr) -> Expr:
    """Add, subtract or multiply integer vectors modulo the size of their type.

    TVM promises LLVM that its own signed operators never overflow.

    Args:
        operation: "add", "sub" or "mul".
        a: int32 vector.
        b: int32 vector of as many lanes.
    """
    lanes = num_lanes(a)
    every_lane = (T.broadcast(T.bool(True), lanes), T.int32(lanes))
    return intrinsic("int32", lanes, f"llvm.vp.{operation}", a, b, *every_lane)


def fma(a: Expr, b: Expr, c: Expr, lanes: int) -> Expr:
    """Compute a * b + c with one rounding, on every target."""
    return intrinsic("float32", lanes, "llvm.fma", a, b, c)


def prefetch(buffer: BufferVar, offset: Expr, *, for_writing: bool = False) -> None:
    """Ask for the cache line of an element, which may lie behind the buffer.

    A hint that never fails; the line goes to the second-level cache, or to the first one if
    it is going to be written.
    """
    access, data = T.int32(int(for_writing)), T.int32(1)
    level = T.int32(3 if for_writing else 2)
    address = T.address_of(buffer[offset])
    T.evaluate(T.call_llvm_intrin("void", "llvm.prefetch", address, access, level, data))


def copy(dst: BufferVar, dst_offset: Expr, src: BufferVar, src_offset: Expr, n: int) -> None:
    """Copy ``n`` consecutive elements; the buffers do not overlap."""
    _blocks(n, lambda at, lanes: store(
        dst, dst_offset + at, load(src, src_offset + at, lanes), lanes))


def fill(dst: BufferVar, dst_offset: Expr, value: Expr, n: int) -> None:
    """Set ``n`` consecutive elements to a scalar."""
    _blocks(n, lambda at, lanes: store(dst, dst_offset + at, splat(value, lanes), lanes))


def _blocks(n: int, emit: Callable[[Expr, int], None]) -> None:
    """Cover [0, n) by vectors; the last one overlaps instead of a scalar tail."""
    if n >= COPY_LANES:
        with T.serial(0, n // COPY_LANES) as block:
            emit(block * COPY_LANES, COPY_LANES)
        if n % COPY_LANES:
            emit(n - COPY_LANES, COPY_LANES)
        return
    at = 0
    while at < n:
        lanes = 1 << ((n - at).bit_length() - 1)
        emit(at, lanes)
        at += lanes


@contextmanager
def loop(extent: int, parallel: bool = False) -> Iterator[Expr]:
    """Loop over [0, extent); a loop of one iteration disappears."""
    if extent == 1:
        yield 0
        return
    with T.parallel(0, extent) if parallel else T.serial(0, extent) as index:
        yield index
