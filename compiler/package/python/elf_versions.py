"""Which version of glibc a library asks for."""

import re
import struct
from pathlib import Path

from octavo.compiler.artifact.elf_file import ElfFile, read_elf

# Records of needed versions, the same in 32-bit and 64-bit files.
# Source: Linux Standard Base Core, chapter 10.
_VERNEED, _VERNAUX = "<HHIII", "<IHHII"
_SHT_GNU_VERNEED = 0x6FFFFFFE

Version = tuple[int, int]


def needed_glibc(path: Path) -> Version:
    """The newest version of glibc that an ELF file names; (0, 0) where it names none.

    Raises:
        ToolchainError: It is no ELF file that can be read.
    """
    names = read_elf(path, _needed_versions)
    found = [re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", name) for name in names]
    return max([(0, 0), *((int(m[1]), int(m[2])) for m in found if m is not None)])


def _needed_versions(file: ElfFile) -> list[str]:
    names = []
    for section in file.sections:
        if section.kind != _SHT_GNU_VERNEED:
            continue
        need_at = section.offset
        for _ in range(section.info):
            _, num_names, _, name_at, next_need = struct.unpack_from(
                _VERNEED, file.data, need_at
            )
            version_at = need_at + name_at
            for _ in range(num_names):
                *_, name, next_version = struct.unpack_from(_VERNAUX, file.data, version_at)
                names.append(file.text(section.link, name))
                version_at += next_version
            need_at += next_need
    return names
