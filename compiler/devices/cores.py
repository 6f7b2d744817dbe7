"""Which CPUs of a device a program runs on: all, the fast ones, the slow ones, or a list."""

import re
from collections.abc import Sequence

from octavo.compiler.devices.base import Deployment
from octavo.compiler.devices.system_files import Files
from octavo.errors import TargetError

ALL, BIG, LITTLE = "all", "big", "little"
FORMS = "all, big, little, or a list such as 4-7 or 0,2"
MAX_CPUS = 1024

_CPU = "/sys/devices/system/cpu"
ONLINE = f"{_CPU}/online"
CAPACITIES = f"{_CPU}/cpu[0-9]*/cpu_capacity"
MAX_FREQUENCIES = f"{_CPU}/cpu[0-9]*/cpufreq/cpuinfo_max_freq"


def parse_cpus(text: str) -> tuple[int, ...]:
    """Read a list such as ``0,4-7``, the form that Linux has too.

    Raises:
        ValueError: It is none.
    """
    cpus: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part.strip(), re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < MAX_CPUS:
            raise ValueError(f"{text!r} is no list of CPUs")
        cpus.update(range(first, last + 1))
    return tuple(sorted(cpus))


def cpus_text(cpus: Sequence[int]) -> str:
    """The list in its shortest form."""
    parts: list[list[int]] = []
    for cpu in cpus:
        if parts and parts[-1][-1] == cpu - 1:
            parts[-1] = [parts[-1][0], cpu]
        else:
            parts.append([cpu])
    return ",".join("-".join(map(str, part)) for part in parts)


def find_cpus(text: str, deployment: Deployment, num_threads: int) -> tuple[int, ...]:
    """The CPUs that a user means.

    Fast and slow are what the kernel's scheduler knows as capacity, else the highest clock:
    big are those with the most, little those with the least.

    Args:
        text: One of ``FORMS``.
        deployment: On the device.
        num_threads: That will share them.

    Returns:
        Their numbers; empty where all may be used.

    Raises:
        DeviceError: The device does not answer.
        TargetError: It has not these CPUs, its CPUs are alike, or threads are more than CPUs.
    """
    if text == ALL:
        return ()
    files = deployment.system_files((ONLINE, CAPACITIES, MAX_FREQUENCIES))
    online = parse_cpus(files[ONLINE]) if files.get(ONLINE) else ()
    if text in (BIG, LITTLE):
        cpus = _of_speed(text, files, online, deployment.device)
    else:
        cpus = parse_cpus(text)
    if online and not set(cpus) <= set(online):
        raise TargetError(
            f"--cores {text}: {deployment.device} has the CPUs {cpus_text(online)}")
    if len(cpus) < num_threads:
        raise TargetError(
            f"--cores {text}: {num_threads} threads do not fit on"
            f" {len(cpus)} CPU{'s' if len(cpus) > 1 else ''} ({cpus_text(cpus)})")
    return cpus


def _of_speed(
    text: str, files: Files, online: Sequence[int], device: str
) -> tuple[int, ...]:
    for name in ("cpu_capacity", "cpuinfo_max_freq"):
        speeds = {
            int(re.findall(r"/cpu(\d+)/", path)[0]): int(value)
            for path, value in files.items()
            if path.endswith(f"/{name}") and value.isdigit()
        }
        speeds = {cpu: speed for cpu, speed in speeds.items() if not online or cpu in online}
        if len(set(speeds.values())) > 1:
            wanted = (max if text == BIG else min)(speeds.values())
            return tuple(sorted(cpu for cpu, speed in speeds.items() if speed == wanted))
    raise TargetError(
        f"--cores {text}: the CPUs of {device} are alike; allowed: all, or a list")
