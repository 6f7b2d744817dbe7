"""How much of an object file is loaded into memory."""

from pathlib import Path

from octavo.compiler.artifact.elf_file import ElfFile, read_elf

_ALLOC = 2  # SHF_ALLOC: the section is in memory when the program runs


def loaded_bytes(path: Path) -> int:
    """Code, constants and variables of an ELF object file, without what links and debugs it.

    Raises:
        ToolchainError: It is no little-endian ELF file, or one that ends too early.
    """
    return read_elf(path, _loaded_bytes)


def _loaded_bytes(file: ElfFile) -> int:
    return sum(section.num_bytes for section in file.sections if section.flags & _ALLOC)
