"""Object files of Apple's systems: what they are for, what is in them, what they ask for."""

import struct
from dataclasses import dataclass
from pathlib import Path

from octavo.errors import ToolchainError

# Source: Apple, mach-o/nlist.h and mach-o/loader.h.
_EXTERNAL, _DEBUGGING = 0x01, 0xE0  # N_EXT, N_STAB
_DEBUG_SECTION = 0x02000000  # S_ATTR_DEBUG


@dataclass(frozen=True)
class MachOFile:
    """What is read of a file.

    Attributes:
        cpu_type: Architecture, as the header has it.
        file_type: 1 of an object, 2 of a program.
        platform: Number of the system, simulators apart; None where the file does not tell.
        min_version: Oldest version of the system, such as (15, 0).
        defined: Symbols that other files find.
        undefined: Symbols that other files must have.
        sections: Bytes by segment and section, such as "__TEXT,__text".
        loaded_bytes: Code, constants and variables, without what links and debugs it.
    """

    cpu_type: int
    file_type: int
    platform: int | None
    min_version: tuple[int, int] | None
    defined: frozenset[str]
    undefined: frozenset[str]
    sections: dict[str, int]
    loaded_bytes: int


def read_macho(path: Path) -> MachOFile:
    """Read a file for one architecture.

    Raises:
        ToolchainError: It is no Mach-O file, or one that ends too early.
    """
    from macholib.mach_o import LC_BUILD_VERSION
    from macholib.MachO import MachO
    from macholib.SymbolTable import SymbolTable

    try:
        file = MachO(str(path))
        (header,) = file.headers
        has_symbols = header.getSymbolTableCommand() is not None
        entries = SymbolTable(file, header).nlists if has_symbols else []
    except (ValueError, OSError, struct.error) as error:
        raise ToolchainError(f"{path.name} is no Mach-O file that can be read") from error
    sections: dict[str, int] = {}
    loaded_bytes = 0
    platform, version = None, None
    for load, command, data in header.commands:
        if load.cmd == LC_BUILD_VERSION:
            platform = int(command.platform)
            version = (int(command.minos) >> 16, int(command.minos) >> 8 & 0xFF)
        for section in data if isinstance(data, list) else ():
            sections[f"{_text(section.segname)},{_text(section.sectname)}"] = section.size
            loaded_bytes += 0 if section.flags & _DEBUG_SECTION else section.size
    visible = [
        (_text(name), entry.n_sect != 0)
        for entry, name in entries
        if entry.n_type & _EXTERNAL and not entry.n_type & _DEBUGGING
    ]
    return MachOFile(
        cpu_type=int(header.header.cputype),
        file_type=int(header.header.filetype),
        platform=platform,
        min_version=version,
        defined=frozenset(name for name, is_here in visible if is_here),
        undefined=frozenset(name for name, is_here in visible if not is_here),
        sections=sections,
        loaded_bytes=loaded_bytes,
    )


def _text(name: bytes) -> str:
    return bytes(name).rstrip(b"\0").decode("ascii", errors="replace")
