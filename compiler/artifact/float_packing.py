"""Float weights that are integers times scales, as the runtime multiplies them when it loads.

Scales are those of channels or blocks, and kernels have their weights in orders of their own.
The scale of number i is ``scales[i // (run * lanes * rows) * lanes + i // run % lanes]``: each
serves ``run`` neighbours, ``lanes`` of them follow each other, and come ``rows`` times.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.artifact.bit_packing import (
    FLOAT_BYTES,
    MIN_SAVED_BYTES,
    PackedBits,
    pack_integers,
)
from octavo.compiler.lowering.program import Factors

MAX_COUNT = 2**32 - 1  # of run, lanes and rows
MAX_PARTS = 4  # of a constant
MIN_REPEATS = 4  # a pattern that repeats its scales less often is no pattern
MAX_LANES = 1024  # more channels than any kernel computes at once


@dataclass(frozen=True)
class ScalePattern:
    """Which of the scales belongs to which number.

    Attributes:
        scales: float32, those that are stored.
        run: Neighbours that one serves.
        lanes: Scales that follow each other.
        rows: How often these come before the next ones.
    """

    scales: NDArray[np.float32]
    run: int
    lanes: int
    rows: int


@dataclass(frozen=True)
class PackedFloats:
    """float32 numbers as what they are products of.

    Attributes:
        integers: The first factors.
        pattern: The second factors.
    """

    integers: PackedBits
    pattern: ScalePattern

    @property
    def num_bytes(self) -> int:
        """What is stored."""
        return self.integers.data.nbytes + self.pattern.scales.nbytes


def packed_floats(factors: Factors) -> tuple[PackedFloats, ...] | None:
    """Pack a constant; None where that saves next to nothing.

    Args:
        factors: Of the constant, in the kernel's order.

    Returns:
        Its parts, one behind the other: the last channels of a kernel's weights often lie in
        a narrower panel than the others.
    """
    integers = np.ascontiguousarray(factors.integers).reshape(-1)
    rest = np.ascontiguousarray(factors.scales).reshape(-1)
    parts: list[PackedFloats] = []
    start = 0
    while rest.size and len(parts) < MAX_PARTS:
        size, pattern = _first_pattern(rest)
        if max(pattern.run, pattern.lanes, pattern.rows) > MAX_COUNT:
            return None
        parts.append(PackedFloats(pack_integers(integers[start : start + size]), pattern))
        start, rest = start + size, rest[size:]
    saved = FLOAT_BYTES * integers.size - sum(part.num_bytes for part in parts)
    return tuple(parts) if rest.size == 0 and saved >= MIN_SAVED_BYTES else None


def find_pattern(scales: NDArray[np.float32]) -> ScalePattern:
    """The pattern with the fewest stored scales.

    Args:
        scales: One for each number, (n,) with n at least 1.
    """
    run = _step(scales[1:] != scales[:-1], scales.size)
    single = np.ascontiguousarray(scales[::run])
    best = ScalePattern(single, run, single.size, 1)
    for lanes in _divisors(single.size):
        sets = single.reshape(-1, lanes)
        rows = _step((sets[1:] != sets[:-1]).any(axis=1), len(sets))
        if lanes * (len(sets) // rows) < best.scales.size:
            kept = np.ascontiguousarray(sets[::rows]).reshape(-1)
            best = ScalePattern(kept, run, lanes, rows)
    return best


def _first_pattern(scales: NDArray[np.float32]) -> tuple[int, ScalePattern]:
    """Numbers at the front that have one pattern, and the pattern."""
    whole = find_pattern(scales)
    if whole.scales.size <= scales.size // MIN_REPEATS:
        return scales.size, whole
    size = _regular_front(scales)
    return (size, find_pattern(scales[:size])) if size else (scales.size, whole)


def _regular_front(scales: NDArray[np.float32]) -> int:
    """How many numbers at the front are rows of one length that repeat equally often; or 0."""
    lanes = next(
        (
            int(lanes)
            for lanes in np.flatnonzero(scales[1 : MAX_LANES + 1] == scales[0]) + 1
            if np.array_equal(scales[:lanes], scales[lanes : 2 * lanes])
        ),
        0,
    )
    if lanes == 0:
        return 0
    length = scales.size // lanes
    lines = scales[: length * lanes].reshape(length, lanes)
    rows = _first((lines[1:] != lines[:-1]).any(axis=1)) + 1
    sets = lines[: length // rows * rows].reshape(-1, rows, lanes)
    return _first((sets != sets[:, :1]).any(axis=(1, 2))) * rows * lanes


def _first(flags: NDArray[np.bool_]) -> int:
    """Index of the first true flag; the number of flags where none is."""
    return int(flags.argmax()) if flags.any() else flags.size


def _step(changes: NDArray[np.bool_], size: int) -> int:
    """The longest step of which every change and the size is a multiple."""
    return int(np.gcd.reduce(np.append(np.flatnonzero(changes) + 1, size)))


def _divisors(number: int) -> list[int]:
    small = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})
