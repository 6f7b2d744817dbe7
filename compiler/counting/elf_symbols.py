"""Functions of an ELF file: what they are called and where they are."""

import struct
from dataclasses import dataclass
from pathlib import Path

from octavo.errors import ToolchainError

_MAGIC = b"\x7fELF"
_SYMBOL_TABLE = 2  # SHT_SYMTAB
_FUNCTION = 2  # STT_FUNC
_UNDEFINED = 0  # SHN_UNDEF

# Offsets of fields and records for 32-bit and 64-bit files.
# Source: System V ABI, chapter 4 (object files) and its 64-bit extension; little-endian only.
_HEADER = {1: "<16xHHIIIIIHHHHHH", 2: "<16xHHIQQQIHHHHHH"}
_SECTION = {1: "<IIIIIIIIII", 2: "<IIQQQQIIQQ"}
_SYMBOL = {1: "<IIIBBH", 2: "<IBBHQQ"}


@dataclass(frozen=True)
class Function:
    """One function.

    Attributes:
        name: Its symbol; functions that only their own file sees may share one.
        address: First byte, as the file is linked.
        num_bytes: Size; 0 where the assembler was not told.
    """

    name: str
    address: int
    num_bytes: int


def read_functions(path: Path) -> tuple[Function, ...]:
    """Read what functions an object file or a program defines; none when it was stripped.

    Raises:
        ToolchainError: It is no little-endian ELF file, or one that ends too early.
    """
    data = path.read_bytes()
    try:
        return _parse(data)
    except (struct.error, KeyError, IndexError, ValueError) as error:
        raise ToolchainError(f"{path.name} is no ELF file that can be read") from error


def _parse(data: bytes) -> tuple[Function, ...]:
    word, order = data[4], data[5]
    if data[:4] != _MAGIC or order != 1:
        raise ValueError("no little-endian ELF file")
    header = struct.unpack_from(_HEADER[word], data)
    sections_at, section_bytes, num_sections = header[5], header[10], header[11]
    sections = [
        struct.unpack_from(_SECTION[word], data, sections_at + i * section_bytes)
        for i in range(num_sections)
    ]
    functions: list[Function] = []
    for section in sections:
        if section[1] == _SYMBOL_TABLE:
            names_at = sections[section[6]][4]
            table = data[section[4] : section[4] + section[5]]
            functions += _functions(table, word, data, names_at)
    return tuple(functions)


def _functions(table: bytes, word: int, data: bytes, names_at: int) -> list[Function]:
    found = []
    for symbol in struct.iter_unpack(_SYMBOL[word], table):
        if word == 1:
            name_at, address, num_bytes, info, _, section = symbol
        else:
            name_at, info, _, section, address, num_bytes = symbol
        if info & 0xF == _FUNCTION and section != _UNDEFINED:
            start = names_at + name_at
            name = data[start : data.index(b"\0", start)].decode("utf-8", "replace")
            # The lowest bit of an Arm address says which instruction set is used, not where.
            found.append(Function(name, address & ~1, num_bytes))
    return found
