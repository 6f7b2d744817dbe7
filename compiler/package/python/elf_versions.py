"""Which version of glibc a library asks for."""

import re
import struct
from pathlib import Path

from octavo.errors import ToolchainError

# Header and section record of 32-bit and 64-bit files; records of needed versions, which are
# the same in both. Source: System V ABI, chapter 4, and Linux Standard Base Core, chapter 10.
_HEADER = {1: "<16xHHIIIIIHHHHHH", 2: "<16xHHIQQQIHHHHHH"}
_SECTION = {1: "<IIIIIIIIII", 2: "<IIQQQQIIQQ"}
_VERNEED, _VERNAUX = "<HHIII", "<IHHII"
_SHT_GNU_VERNEED = 0x6FFFFFFE

Version = tuple[int, int]


def needed_glibc(path: Path) -> Version:
    """The newest version of glibc that an ELF file names; (0, 0) where it names none.

    Raises:
        ToolchainError: It is no ELF file that can be read.
    """
    data = path.read_bytes()
    try:
        names = list(_needed_versions(data))
    except (struct.error, KeyError, IndexError, ValueError) as error:
        raise ToolchainError(f"{path.name} is no ELF file that can be read") from error
    found = [re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", name) for name in names]
    return max([(0, 0), *((int(m[1]), int(m[2])) for m in found if m is not None)])


def _needed_versions(data: bytes) -> list[str]:
    if data[:4] != b"\x7fELF":
        raise ValueError
    header = struct.unpack_from(_HEADER[data[4]], data)
    sections_at, section_bytes, num_sections = header[5], header[10], header[11]
    sections = [
        struct.unpack_from(_SECTION[data[4]], data, sections_at + i * section_bytes)
        for i in range(num_sections)
    ]
    names = []
    for section in sections:
        if section[1] != _SHT_GNU_VERNEED:
            continue
        strings_at = sections[section[6]][4]
        need_at = section[4]
        for _ in range(section[7]):
            _, num_names, _, name_at, next_need = struct.unpack_from(_VERNEED, data, need_at)
            version_at = need_at + name_at
            for _ in range(num_names):
                *_, name, next_version = struct.unpack_from(_VERNAUX, data, version_at)
                end = data.index(b"\0", strings_at + name)
                names.append(data[strings_at + name : end].decode("ascii"))
                version_at += next_version
            need_at += next_need
    return names
