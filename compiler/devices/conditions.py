"""The state of a device around a measurement: clocks, temperatures, and who else works."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from octavo.compiler.devices.base import Deployment
from octavo.compiler.devices.system_files import Files

_CPU = "/sys/devices/system/cpu/cpu[0-9]*"
_THERMAL = "/sys/class/thermal"
STAT, LOAD = "/proc/stat", "/proc/loadavg"
PATTERNS = (
    STAT, LOAD, "/proc/uptime",
    *(f"{_CPU}/cpufreq/{name}" for name in (
        "scaling_governor", "scaling_cur_freq", "scaling_max_freq", "cpuinfo_max_freq")),
    f"{_CPU}/thermal_throttle/core_throttle_count",
    *(f"{_THERMAL}/thermal_zone*/{name}" for name in (
        "type", "temp", "trip_point_*_temp", "trip_point_*_type")),
)  # fmt: skip
# Trip points at which the system slows the processor down, or more; the others start fans.
# https://docs.kernel.org/driver-api/thermal/sysfs-api.html
SLOWING = ("passive", "hot", "critical")
MAX_TRIPS = 16  # of a zone
TICKS_PER_S = 100  # USER_HZ, which is 100 for every program of Linux: proc(5), /proc/stat


@dataclass(frozen=True)
class CpuState:
    """One CPU; what the system does not tell is None or empty.

    Attributes:
        cpu: Its number.
        governor: Policy that sets its clock.
        frequency_khz: Now.
        limit_khz: Highest that is allowed now.
        max_khz: Highest that it has.
        num_throttles: How often it was slowed down for its temperature, since the start.
    """

    cpu: int
    governor: str = ""
    frequency_khz: int | None = None
    limit_khz: int | None = None
    max_khz: int | None = None
    num_throttles: int | None = None


@dataclass(frozen=True)
class Zone:
    """A thermal sensor.

    Attributes:
        name: What it measures.
        temperature_c: Degrees Celsius.
        trip_c: Lowest temperature at which the system slows the processor down, if it says so.
    """

    name: str
    temperature_c: float
    trip_c: float | None = None


@dataclass(frozen=True)
class Conditions:
    """A device at one moment.

    Attributes:
        num_cpus: CPUs that are on; 0 where it is not told.
        cpus: With what is told of their clocks; empty where nothing is, as in most virtual
            machines.
        zones: Thermal sensors.
        load: Programs that run or wait, mean of the last minute; None where it is not told.
        busy_s: Time of all CPUs at work since the start.
        stolen_s: Time that the host of a virtual machine gave to others since the start.
    """

    num_cpus: int = 0
    cpus: tuple[CpuState, ...] = ()
    zones: tuple[Zone, ...] = ()
    load: float | None = None
    busy_s: float = 0.0
    stolen_s: float = 0.0


def read_conditions(deployment: Deployment) -> Conditions:
    """Read them on the device.

    Raises:
        DeviceError: It does not answer.
    """
    return conditions_of(deployment.system_files(PATTERNS))


def conditions_of(files: Files) -> Conditions:
    """The same of files that were read: content by path."""
    stat = files.get(STAT, "")
    total = re.match(r"cpu\s+([\d ]+)", stat)
    # user nice system idle iowait irq softirq steal; guests count as user already: proc(5).
    ticks = [int(number) for number in total[1].split()] if total else []
    ticks += [0] * (8 - len(ticks))
    load = re.match(r"\d+(\.\d+)?", files.get(LOAD, ""))
    return Conditions(
        num_cpus=len(re.findall(r"^cpu\d+ ", stat, re.MULTILINE)),
        cpus=tuple(_cpus(files)),
        zones=tuple(_zones(files)),
        load=float(load[0]) if load else None,
        busy_s=(sum(ticks[:3]) + sum(ticks[5:7])) / TICKS_PER_S,
        stolen_s=ticks[7] / TICKS_PER_S,
    )


def _cpus(files: Files) -> Iterator[CpuState]:
    folder = _CPU.removesuffix("[0-9]*")
    found = {match[1] for path in files if (match := re.match(rf"{folder}(\d+)/", path))}
    for cpu in sorted(found, key=int):

        def number(name: str, cpu: str = cpu) -> int | None:
            text = files.get(f"{folder}{cpu}/{name}", "")
            return int(text) if text.isdigit() else None

        yield CpuState(
            cpu=int(cpu),
            governor=files.get(f"{folder}{cpu}/cpufreq/scaling_governor", ""),
            frequency_khz=number("cpufreq/scaling_cur_freq"),
            limit_khz=number("cpufreq/scaling_max_freq"),
            max_khz=number("cpufreq/cpuinfo_max_freq"),
            num_throttles=number("thermal_throttle/core_throttle_count"),
        )


def _zones(files: Files) -> Iterator[Zone]:
    for path in sorted(files):
        match = re.fullmatch(rf"({_THERMAL}/thermal_zone\d+)/temp", path)
        temperature = _degrees(files[path]) if match else None
        if match and temperature is not None:
            name = files.get(f"{match[1]}/type", match[1].rpartition("/")[2])
            yield Zone(name, temperature, min(_trips(files, match[1]), default=None))


def _trips(files: Files, zone: str) -> Iterator[float]:
    """Temperatures of a zone at which the system slows down."""
    for number in range(MAX_TRIPS):
        degrees = _degrees(files.get(f"{zone}/trip_point_{number}_temp", ""))
        if degrees is not None and files.get(f"{zone}/trip_point_{number}_type") in SLOWING:
            yield degrees


def _degrees(text: str) -> float | None:
    """Thousandths of a degree, as a number; None for what is none, or a sensor that is off."""
    return int(text) / 1000 if re.fullmatch(r"-?\d+", text) and int(text) > 0 else None
