"""All constants of a program in one file, each stored once and aligned."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.lowering.program import Buffer, Program, Storage


@dataclass(frozen=True)
class WeightBlob:
    """The weight file.

    Attributes:
        offsets: Offset in bytes of every weight buffer, a multiple of its alignment.
        num_bytes: Size of the file.
        parts: What to write, by offset, without repetition.
    """

    offsets: dict[Buffer, int]
    num_bytes: int
    parts: tuple[tuple[int, NDArray[np.uint8]], ...]

    def write(self, path: Path) -> None:
        """Write the file, zeros between and behind the constants."""
        with path.open("wb") as file:
            position = 0
            for offset, data in self.parts:
                file.write(bytes(offset - position))
                file.write(data.data)
                position = offset + data.nbytes
            file.write(bytes(self.num_bytes - position))


def pack_weights(program: Program) -> WeightBlob:
    """Lay out the weight buffers of ``program``: large ones in order of first use, then small.

    Raises:
        ValueError: A weight buffer has no data, or data of another size.
    """
    offsets: dict[Buffer, int] = {}
    parts: list[tuple[int, NDArray[np.uint8]]] = []
    stored: dict[bytes, int] = {}
    end = 0
    weights = [b for b in program.buffers() if b.storage is Storage.WEIGHTS]
    alignments = {buffer: buffer.alignment_of(program.alignment) for buffer in weights}
    for buffer in sorted(weights, key=lambda b: -alignments[b]):
        data = _bytes_of(buffer)
        digest = hashlib.sha256(data.data).digest()
        if digest not in stored:
            offset = -(-end // alignments[buffer]) * alignments[buffer]
            stored[digest] = offset
            parts.append((offset, data))
            end = offset + data.nbytes
        offsets[buffer] = stored[digest]
    # Kernels load whole vectors; the last load of the last tensor must still be inside.
    whole = -(-end // program.alignment) * program.alignment
    return WeightBlob(offsets, whole + program.alignment, tuple(parts))


def _bytes_of(buffer: Buffer) -> NDArray[np.uint8]:
    if buffer.data is None:
        raise ValueError(f"weight buffer {buffer.name!r} has no data")
    array: NDArray[Any] = np.ascontiguousarray(buffer.data)
    if array.nbytes != buffer.num_bytes or buffer.num_bytes < 1:
        raise ValueError(
            f"weight buffer {buffer.name!r} says {buffer.num_bytes} bytes, has {array.nbytes}"
        )
    return array.reshape(-1).view(np.uint8)
