"""The machine that measures: what tells it from another one."""

import re
from dataclasses import dataclass
from pathlib import Path

from octavo.targets.host import CACHE_FOLDER, CPUINFO, cache_levels, cpu_flags

# Lines of /proc/cpuinfo that name a CPU, on x86 and on Arm.
X86_NAMES = ("model name", "cpu family", "model", "stepping")
ARM_NAMES = ("CPU implementer", "CPU part", "CPU revision", "Hardware")


@dataclass(frozen=True)
class Machine:
    """Facts that measured rates depend on.

    Attributes:
        cpu: Name of the CPU, as the system tells it.
        flags: Its features, sorted.
        caches: (level, bytes of one core), from the first level.
    """

    cpu: str
    flags: tuple[str, ...]
    caches: tuple[tuple[int, int], ...]


def this_machine(cpuinfo: Path = CPUINFO, caches: Path = CACHE_FOLDER) -> Machine:
    """Read the facts; what the system does not tell is empty."""
    return Machine(
        cpu=_cpu_name(cpuinfo),
        flags=tuple(sorted(cpu_flags(cpuinfo))),
        caches=tuple(sorted(cache_levels(caches).items())),
    )


def _cpu_name(cpuinfo: Path) -> str:
    """Family, model and stepping too: virtual machines often hide the name."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = (
        re.search(rf"^{key}\s*:\s*(.*)$", text, re.MULTILINE)
        for key in (*X86_NAMES, *ARM_NAMES)
    )
    return " ".join(line.group(1).strip() for line in lines if line)
