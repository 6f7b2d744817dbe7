"""The machine that compiles: the best x86-64 level that its CPU and system support."""

import os
import platform
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

from octavo.targets.base import Target
from octavo.targets.x86.levels import (
    X86_64,
    X86_64_AMX,
    X86_64_AVX512_BF16,
    X86_64_AVX512_VNNI,
    X86_64_AVX_VNNI,
    X86_64_CASCADE_LAKE,
    X86_64_V3,
)

# Flags of /proc/cpuinfo, which lists only what the system lets programs use.
_V2 = {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}
_V3 = _V2 | {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"}
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
_BF16 = frozenset(_V4 | {"avx512_vnni", "avx512vbmi", "avx512_bf16"})

# Best first.
LEVELS: tuple[tuple[Target, frozenset[str]], ...] = (
    (X86_64_AMX, frozenset(_BF16 | {"amx_tile", "amx_int8"})),
    (X86_64_AVX512_BF16, _BF16),
    (X86_64_AVX512_VNNI, frozenset(_V4 | {"avx512_vnni", "avx512vbmi"})),
    (X86_64_CASCADE_LAKE, frozenset(_V4 | {"avx512_vnni"})),
    (X86_64_AVX_VNNI, frozenset(_V3 | {"avx_vnni"})),
    (X86_64_V3, frozenset(_V3)),
    (X86_64, frozenset(_V2)),
)

CPUINFO = Path("/proc/cpuinfo")
CACHE_FOLDER = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}


@cache
def host_target() -> Target | None:
    """This machine as a target named "host"; None where it is not a supported one."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return None
    level = best_level(cpu_flags(CPUINFO))
    if level is None:
        return None
    l1_bytes, l2_bytes = cache_bytes(CACHE_FOLDER)
    return replace(
        level,
        name="host",
        description=f"this machine: {level.name}",
        num_cores=len(os.sched_getaffinity(0)),
        l1_bytes=l1_bytes or level.l1_bytes,
        l2_bytes=l2_bytes or level.l2_bytes,
    )


def best_level(flags: frozenset[str]) -> Target | None:
    """The first of ``LEVELS`` that a CPU with these flags runs."""
    return next((target for target, needed in LEVELS if needed <= flags), None)


def cpu_flags(cpuinfo: Path) -> frozenset[str]:
    """Flags of the first CPU; empty where the file cannot be read."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)  # x86; Arm
    return frozenset(found.group(1).split()) if found else frozenset()


def cache_bytes(folder: Path) -> tuple[int, int]:
    """Sizes of the first-level data cache and of the second level; 0 where unknown."""
    levels = cache_levels(folder)
    return levels.get(1, 0), levels.get(2, 0)


def cache_levels(folder: Path) -> dict[int, int]:
    """Bytes of every level of data cache that the system tells of."""
    sizes: dict[int, int] = {}
    for index in sorted(folder.glob("index*")):
        try:
            kind, level, size = (
                (index / name).read_text(encoding="utf-8").strip()
                for name in ("type", "level", "size")
            )
        except OSError:
            continue
        parsed = re.fullmatch(r"(\d+)([KM]?)", size)
        if parsed and level.isdecimal() and kind in ("Data", "Unified"):
            sizes[int(level)] = int(parsed.group(1)) * _UNITS[parsed.group(2)]
    return sizes


def missing_flags(target: Target) -> frozenset[str] | None:
    """What this CPU lacks to run code for a target, in the words of /proc/cpuinfo.

    Returns:
        None where the target is of another architecture or system.
    """
    host = host_target()
    if host is None:
        return None
    if target.name == host.name:
        return frozenset()
    needed = next((flags for level, flags in LEVELS if level.name == target.name), None)
    return None if needed is None else needed - cpu_flags(CPUINFO)
