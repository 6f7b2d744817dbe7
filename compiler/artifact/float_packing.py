"""Float weights that are integers times scales, as the runtime multiplies them when it loads.

Scales are those of channels or blocks, and kernels have their weights in orders of their own.
The scale of number i is ``scales[i // (run * lanes * rows) * lanes + i // run % lanes]``: each
serves ``run`` neighbours, ``lanes`` of them follow each other, and come ``rows`` times.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.artifact.bit_packing import MIN_SAVED_BYTES, PackedBits, pack_integers
from octavo.compiler.lowering.program import Factors

MAX_COUNT = 2**32 - 1  # of run, lanes and rows


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


def packed_floats(factors: Factors) -> PackedFloats | None:
    """Pack a constant; None where that saves next to nothing.

    Args:
        factors: Of the constant, in the kernel's order.
    """
    integers = np.ascontiguousarray(factors.integers).reshape(-1)
    if integers.size == 0:
        return None
    pattern = find_pattern(np.ascontiguousarray(factors.scales).reshape(-1))
    if max(pattern.run, pattern.lanes, pattern.rows) > MAX_COUNT:
        return None
    packed = PackedFloats(pack_integers(integers), pattern)
    saved = 4 * integers.size - packed.num_bytes
    return packed if saved >= MIN_SAVED_BYTES else None


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


def _step(changes: NDArray[np.bool_], size: int) -> int:
    """The longest step of which every change and the size is a multiple."""
    return int(np.gcd.reduce(np.append(np.flatnonzero(changes) + 1, size)))


def _divisors(number: int) -> list[int]:
    small = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})
