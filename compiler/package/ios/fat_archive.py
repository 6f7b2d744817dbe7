"""Static libraries for several processors in one file, which Apple's linker reads.

Source: Apple, mach-o/fat.h and mach/machine.h; LLVM, lib/Object/MachOUniversalWriter.cpp, for
the order of the parts and the alignment of archives.
"""

import struct
from collections.abc import Mapping
from pathlib import Path

_MAGIC = 0xCAFEBABE  # FAT_MAGIC: offsets and sizes of 32 bits
_HEADER = ">II"  # magic, number of parts; all numbers are big-endian
_PART = ">IIIII"  # type and subtype of the processor, offset, size, alignment as power of two
_ALIGNMENT_BITS = 3  # of archives whose objects are of 64 bits
_LARGEST = 2**32 - 1

# Type and subtype; parts are in this order.
_PROCESSORS = {"x86_64": (0x01000007, 3), "arm64": (0x0100000C, 0)}


def write_fat_archive(path: Path, parts: Mapping[str, Path]) -> None:
    """Write a library for several processors, or copy the only one.

    Args:
        path: The library.
        parts: An archive for each processor, by Apple's name: "arm64", "x86_64".

    Raises:
        ValueError: There is no part, a processor is not known, or the file would need offsets
            of more than 32 bits.
    """
    if unknown := sorted(set(parts) - set(_PROCESSORS)):
        raise ValueError(f"processors {unknown}; known: {', '.join(_PROCESSORS)}")
    ordered = [name for name in _PROCESSORS if name in parts]
    if not ordered:
        raise ValueError("a library has at least one part")
    if len(ordered) == 1:
        path.write_bytes(parts[ordered[0]].read_bytes())
        return
    header = struct.pack(_HEADER, _MAGIC, len(ordered))
    offset = len(header) + len(ordered) * struct.calcsize(_PART)
    body = b""
    for name in ordered:
        data = parts[name].read_bytes()
        padding = -offset % 2**_ALIGNMENT_BITS
        offset += padding
        if offset + len(data) > _LARGEST:
            raise ValueError(f"{path.name} would be larger than 4 GiB")
        header += struct.pack(_PART, *_PROCESSORS[name], offset, len(data), _ALIGNMENT_BITS)
        body += bytes(padding) + data
        offset += len(data)
    path.write_bytes(header + body)
