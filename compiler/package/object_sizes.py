"""How much of an object file is loaded into memory, in each object format."""

from pathlib import Path

from octavo.compiler.artifact.macho_file import read_macho
from octavo.compiler.package.elf_sizes import loaded_bytes as elf_bytes
from octavo.targets.base import Target


def _macho_bytes(path: Path) -> int:
    return read_macho(path).loaded_bytes


_LOADED_BYTES = {"elf": elf_bytes, "mach-o": _macho_bytes}


def loaded_bytes(target: Target, path: Path) -> int:
    """Code, constants and variables of an object file, without what links and debugs it.

    Args:
        target: What it is for.
        path: The file.

    Raises:
        ToolchainError: It is no file of the target's format, or one that ends too early.
    """
    return _LOADED_BYTES["elf" if target.abi is None else target.abi.object_format](path)
