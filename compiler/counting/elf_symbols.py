"""Functions of an ELF file: what they are called and where they are."""

import struct
from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.artifact.elf_file import ElfFile, read_elf

_SYMBOL_TABLE = 2  # SHT_SYMTAB
_FUNCTION = 2  # STT_FUNC
_UNDEFINED = 0  # SHN_UNDEF

# Records of symbols. Source: System V ABI, chapter 4, and its 64-bit extension.
_SYMBOL_32, _SYMBOL_64 = "<IIIBBH", "<IBBHQQ"


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
    return read_elf(path, _functions)


def _functions(file: ElfFile) -> tuple[Function, ...]:
    found = []
    for section in file.sections:
        if section.kind != _SYMBOL_TABLE:
            continue
        table = file.data[section.offset : section.offset + section.num_bytes]
        for symbol in struct.iter_unpack(_SYMBOL_64 if file.is_64 else _SYMBOL_32, table):
            if file.is_64:
                name_at, info, _, place, address, num_bytes = symbol
            else:
                name_at, address, num_bytes, info, _, place = symbol
            if info & 0xF == _FUNCTION and place != _UNDEFINED:
                name = file.text(section.link, name_at)
                # The lowest bit of an Arm address says which instruction set is used.
                found.append(Function(name, address & ~1, num_bytes))
    return tuple(found)
