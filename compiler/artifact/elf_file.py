"""Files of systems with ELF: their sections, which all else is found by."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from octavo.errors import ToolchainError

Result = TypeVar("Result")
_MAGIC = b"\x7fELF"
_LITTLE_ENDIAN = 1
# Header and section record of 32-bit and 64-bit files.
# Source: System V ABI, chapter 4 (object files) and its 64-bit extension.
_HEADER = {1: "<16xHHIIIIIHHHHHH", 2: "<16xHHIQQQIHHHHHH"}
_SECTION = {1: "<IIIIIIIIII", 2: "<IIQQQQIIQQ"}


@dataclass(frozen=True)
class Section:
    """One section, by the names of the ABI's fields.

    Attributes:
        kind: Such as 2 of a symbol table (sh_type).
        flags: Bits, such as 2 of what is in memory when the program runs.
        offset: Place of its bytes in the file.
        num_bytes: How many.
        link: Number of a section that belongs to it, such as the names of a symbol table.
        info: What else its kind has.
    """

    kind: int
    flags: int
    offset: int
    num_bytes: int
    link: int
    info: int


@dataclass(frozen=True)
class ElfFile:
    """A file.

    Attributes:
        data: All of it.
        is_64: Whether addresses have 64 bits.
        sections: In the file's order.
    """

    data: bytes
    is_64: bool
    sections: tuple[Section, ...]

    def text(self, section: int, offset: int) -> str:
        """A name.

        Args:
            section: Number of the section that has it.
            offset: Place in the section.
        """
        start = self.sections[section].offset + offset
        return self.data[start : self.data.index(b"\0", start)].decode("utf-8", "replace")


def read_elf(path: Path, parse: Callable[[ElfFile], Result]) -> Result:
    """Read a file, and something of it.

    Args:
        path: The file.
        parse: What is read of it; may fail as reading of bytes fails.

    Raises:
        ToolchainError: It is no little-endian ELF file, or one that ends too early.
    """
    try:
        return parse(_read(path.read_bytes()))
    except (struct.error, KeyError, IndexError, ValueError) as error:
        raise ToolchainError(f"{path.name} is no ELF file that can be read") from error


def _read(data: bytes) -> ElfFile:
    if data[:4] != _MAGIC or data[5] != _LITTLE_ENDIAN:
        raise ValueError
    word = data[4]
    header = struct.unpack_from(_HEADER[word], data)
    sections_at, section_bytes, num_sections = header[5], header[10], header[11]
    records = [
        struct.unpack_from(_SECTION[word], data, sections_at + i * section_bytes)
        for i in range(num_sections)
    ]
    sections = (Section(r[1], r[2], r[4], r[5], r[6], r[7]) for r in records)
    return ElfFile(data, word == 2, tuple(sections))
