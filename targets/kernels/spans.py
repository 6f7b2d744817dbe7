"""Cover loops by vectors: no scalar tails, and nothing is written outside."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector

Expr = Any
MAX_ELEMENTS = 2**31 - 1  # offsets are int32
# Bits are moved, whatever they mean: the type of a copied element, by its bytes.
BITS = {1: "uint8", 2: "uint16", 4: "int32", 8: "int64"}
UNROLLED_VECTORS = 4  # straight-line code up to here; loops from there on


def power_of_two_below(n: int) -> int:
    """Largest power of two that is at most n; n >= 1."""
    return 1 << (n.bit_length() - 1)


def for_spans(n: int, lanes: int, emit: Callable[[Expr, int], None]) -> None:
    """Call ``emit(start, lanes)`` for vectors that cover [0, n).

    The last vector overlaps its neighbour, so ``emit`` must be repeatable. Below one vector,
    powers of two cover [0, n) without overlap.
    """
    if n < lanes:
        at = 0
        while at < n:
            part = power_of_two_below(n - at)
            emit(at, part)
            at += part
        return
    whole = n // lanes
    if whole <= UNROLLED_VECTORS:
        for block in range(whole):
            emit(block * lanes, lanes)
    else:
        with vector.loop(whole) as block:
            emit(block * lanes, lanes)
    if n % lanes:
        emit(n - lanes, lanes)


@contextmanager
def nest(extents: Sequence[int], parallel: bool = False) -> Iterator[tuple[Expr, ...]]:
    """Loop over a grid; the parallel loop fuses as many leading axes as keep threads busy."""
    fused = 1 if extents else 0
    while parallel and fused < len(extents) and prod(extents[:fused]) < 16:
        fused += 1
    with ExitStack() as stack:
        indices: list[Expr] = []
        if fused:
            flat = stack.enter_context(vector.loop(prod(extents[:fused]), parallel))
            for axis in range(fused):
                below = prod(extents[axis + 1 : fused])
                index = flat // below if below > 1 else flat
                indices.append(index % extents[axis] if axis else index)
        for extent in extents[fused:]:
            indices.append(stack.enter_context(vector.loop(extent)))
        yield tuple(indices)


def offset(base: Expr, indices: Sequence[Expr], strides: Sequence[int]) -> Expr:
    """Add index * stride over all axes to ``base``."""
    for index, stride in zip(indices, strides, strict=True):
        if stride:
            base = base + index * stride
    return base


def shuffle(values: Sequence[Expr], lanes: Sequence[int]) -> Expr:
    """Pick lanes of several vectors, numbered through."""
    return tirx.Shuffle(list(values), [T.int32(lane) for lane in lanes])


def join(values: Sequence[Expr], lanes: int) -> Expr:
    """Concatenate vectors of ``lanes`` lanes each."""
    return values[0] if len(values) == 1 else shuffle(values, range(len(values) * lanes))


def interleave(values: Sequence[Expr], lanes: int) -> Expr:
    """Lane 0 of every vector, then lane 1 of every vector, and so on."""
    count = len(values)
    if count == 1:
        return values[0]
    return shuffle(values, [k * lanes + i for i in range(lanes) for k in range(count)])


def transpose(rows: Sequence[Expr]) -> list[Expr]:
    """Transpose n vectors of n lanes; n a power of two."""
    n = len(rows)
    low = [lane for i in range(n // 2) for lane in (i, n + i)]
    high = [lane for i in range(n // 2, n) for lane in (i, n + i)]
    current = list(rows)
    stage = 1
    while stage < n:
        following = []
        for i in range(n // 2):
            pair = (current[i], current[i + n // 2])
            following += [vector.bind(shuffle(pair, low)), vector.bind(shuffle(pair, high))]
        current = following
        stage *= 2
    return current
