"""How much of an object file is loaded into memory."""

import struct
from pathlib import Path

from octavo.errors import ToolchainError

_MAGIC = b"\x7fELF"
_LITTLE_ENDIAN = 1
_ALLOC = 2  # SHF_ALLOC: the section is in memory when the program runs

# Header and section record of 32-bit and 64-bit files.
# Source: System V ABI, chapter 4 (object files) and its 64-bit extension.
_HEADER = {1: "<16xHHIIIIIHHHHHH", 2: "<16xHHIQQQIHHHHHH"}
_SECTION = {1: "<IIIIIIIIII", 2: "<IIQQQQIIQQ"}


def loaded_bytes(path: Path) -> int:
    """Code, constants and variables of an ELF object file, without what links and debugs it.

    Raises:
        ToolchainError: It is no little-endian ELF file, or one that ends too early.
    """
    data = path.read_bytes()
    try:
        if data[:4] != _MAGIC or data[5] != _LITTLE_ENDIAN:
            raise ValueError
        header = struct.unpack_from(_HEADER[data[4]], data)
        sections_at, section_bytes, num_sections = header[5], header[10], header[11]
        sections = [
            struct.unpack_from(_SECTION[data[4]], data, sections_at + i * section_bytes)
            for i in range(num_sections)
        ]
    except (struct.error, KeyError, IndexError, ValueError) as error:
        raise ToolchainError(f"{path.name} is no ELF file that can be read") from error
    return sum(section[5] for section in sections if section[2] & _ALLOC)
