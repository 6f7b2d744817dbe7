"""All constants of a program in one file, each stored once; those of few bits packed.

The file holds the constants that kernels read as they are, aligned, and then the packed ones.
When it is loaded, the packed ones are expanded in front of the others: kernels see one blob.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.artifact.bit_packing import (
    FLOAT_BYTES,
    GROUP,
    PackedBits,
    packed_bits,
)
from octavo.compiler.artifact.float_packing import PackedFloats, packed_floats
from octavo.compiler.lowering.program import Buffer, Program, Storage

Packed = PackedBits | tuple[PackedFloats, ...]


@dataclass(frozen=True)
class PackedConstant:
    """A constant that is expanded when the file is loaded.

    Attributes:
        stored_offset: Where it is in the file, bytes.
        offset_bytes: Where kernels read it.
        bits: What is stored.
    """

    stored_offset: int
    offset_bytes: int
    bits: PackedBits


@dataclass(frozen=True)
class PackedFloatConstant:
    """A part of a constant of float32 numbers that is expanded when the file is loaded.

    Attributes:
        stored_offset: Where its integers are in the file, bytes.
        scales_offset: Where its scales are in the file.
        offset_bytes: Where kernels read it.
        floats: What is stored.
    """

    stored_offset: int
    scales_offset: int
    offset_bytes: int
    floats: PackedFloats


@dataclass(frozen=True)
class WeightBlob:
    """The weight file.

    Attributes:
        offsets: Where kernels read every weight buffer, in bytes, a multiple of its alignment.
        num_bytes: Size of the file.
        parts: What to write, by place in the file, without repetition.
        plain_bytes: Front of the file that kernels read as it is, slack included.
        expanded_bytes: What the packed constants become, in front of it.
        packed: Those of bytes.
        packed_floats: Those of float32 numbers.
    """

    offsets: dict[Buffer, int]
    num_bytes: int
    parts: tuple[tuple[int, NDArray[np.uint8]], ...]
    plain_bytes: int
    expanded_bytes: int = 0
    packed: tuple[PackedConstant, ...] = ()
    packed_floats: tuple[PackedFloatConstant, ...] = ()

    @property
    def num_packed(self) -> int:
        """Constants that are expanded."""
        return len(self.packed) + len(self.packed_floats)

    @property
    def memory_bytes(self) -> int:
        """What kernels read, slack included."""
        return self.expanded_bytes + self.plain_bytes

    def write(self, path: Path) -> None:
        """Write the file, zeros between and behind the constants."""
        with path.open("wb") as file:
            position = 0
            for offset, data in self.parts:
                file.write(bytes(offset - position))
                file.write(data.data)
                position = offset + data.nbytes
            file.write(bytes(self.num_bytes - position))


def pack_weights(program: Program, *, pack_bits: bool = True) -> WeightBlob:
    """Lay out the weight buffers of ``program``: large ones in order of first use, then small.

    Args:
        program: Whose constants are stored.
        pack_bits: Store constants of at most 4 bits in as many, and float constants as what
            they are products of; else everything is what kernels read.

    Raises:
        ValueError: A weight buffer has no data, or data of another size.
    """
    weights = [b for b in program.buffers() if b.storage is Storage.WEIGHTS]
    alignments = {buffer: buffer.alignment_of(program.alignment) for buffer in weights}
    plain, packed = _Region(program.alignment), _Region(program.alignment)
    narrow: dict[bytes, Packed] = {}
    places: dict[Buffer, tuple[_Region, bytes]] = {}
    for buffer in sorted(weights, key=lambda b: -alignments[b]):
        data = _bytes_of(buffer)
        digest = hashlib.sha256(data.data).digest()
        region = plain
        if digest not in plain.offsets:
            stored = narrow.get(digest) or (_packed(buffer) if pack_bits else None)
            if stored is not None:
                region = packed
                narrow[digest] = stored
        region.add(digest, data, alignments[buffer])
        places[buffer] = region, digest
    expanded_bytes = packed.aligned_end()
    # Kernels load whole vectors; the last load of the last tensor must still be inside.
    plain_bytes = plain.aligned_end() + program.alignment
    base = {id(plain): expanded_bytes, id(packed): 0}
    offsets = {
        buffer: base[id(region)] + region.offsets[digest]
        for buffer, (region, digest) in places.items()
    }
    tail = _PackedTail(plain_bytes)
    for digest, stored in narrow.items():
        tail.add(packed.offsets[digest], stored)
    return WeightBlob(
        offsets,
        tail.num_bytes() if narrow else plain_bytes,
        (*plain.parts, *tail.parts),
        plain_bytes,
        expanded_bytes,
        tuple(tail.constants),
        tuple(tail.floats),
    )


class _PackedTail:
    """Packed constants one behind the other, without gaps.

    Attributes:
        constants: Those of bytes.
        floats: Those of float32 numbers.
        parts: What is stored, by place.
    """

    def __init__(self, start: int) -> None:
        self.constants: list[PackedConstant] = []
        self.floats: list[PackedFloatConstant] = []
        self.parts: list[tuple[int, NDArray[np.uint8]]] = []
        self._end = start

    def add(self, offset_bytes: int, stored: Packed) -> None:
        """Append a constant that kernels read at ``offset_bytes``."""
        if isinstance(stored, PackedBits):
            self.constants.append(PackedConstant(self._put(stored.data), offset_bytes, stored))
            return
        for part in stored:
            integers = self._put(part.integers.data)
            scales = self._put(part.pattern.scales.view(np.uint8))
            self.floats.append(PackedFloatConstant(integers, scales, offset_bytes, part))
            offset_bytes += FLOAT_BYTES * part.integers.num_values

    def num_bytes(self) -> int:
        """Where the file ends: the runtime reads words of eight bytes."""
        return self._end + GROUP

    def _put(self, data: NDArray[np.uint8]) -> int:
        place = self._end
        self.parts.append((place, data))
        self._end += data.nbytes
        return place


class _Region:
    """Constants one behind the other, each once.

    Attributes:
        offsets: Where each begins, by digest.
        parts: Their bytes, by place.
    """

    def __init__(self, alignment: int) -> None:
        self.offsets: dict[bytes, int] = {}
        self.parts: list[tuple[int, NDArray[np.uint8]]] = []
        self._alignment = alignment
        self._end = 0

    def add(self, digest: bytes, data: NDArray[np.uint8], alignment: int) -> None:
        """Append a constant that is not there yet."""
        if digest not in self.offsets:
            offset = -(-self._end // alignment) * alignment
            self.offsets[digest] = offset
            self.parts.append((offset, data))
            self._end = offset + data.nbytes

    def aligned_end(self) -> int:
        """Bytes of all, rounded up."""
        return -(-self._end // self._alignment) * self._alignment


def _packed(buffer: Buffer) -> Packed | None:
    if buffer.factors is not None:
        return packed_floats(buffer.factors)
    return packed_bits(_contiguous(buffer))


def _bytes_of(buffer: Buffer) -> NDArray[np.uint8]:
    array = _contiguous(buffer)
    if array.nbytes != buffer.num_bytes or buffer.num_bytes < 1:
        raise ValueError(
            f"weight buffer {buffer.name!r} says {buffer.num_bytes} bytes, has {array.nbytes}"
        )
    return array.reshape(-1).view(np.uint8)


def _contiguous(buffer: Buffer) -> NDArray[Any]:
    if buffer.data is None:
        raise ValueError(f"weight buffer {buffer.name!r} has no data")
    return np.ascontiguousarray(buffer.data)
