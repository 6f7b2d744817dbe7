"""The /proc and /sys of a phone that nobody has: four small cores and two large ones."""

from pathlib import Path

SMALL, LARGE = range(4), range(4, 6)


def write_phone(
    root: Path, *, governor="schedutil", limit_khz=2_800_000, temperature=41_000, busy=1000
) -> None:
    """Write the files below ``root``.

    Args:
        root: Folder that stands for the root of the file system.
        governor: Of all CPUs.
        limit_khz: Of the large cores' clock, which is 2.8 GHz at most.
        temperature: Of the processor, thousandths of a degree; it slows down from 80.
        busy: Hundredths of a second that all CPUs have worked.
    """
    cpus = root / "sys/devices/system/cpu"
    for cpu in (*SMALL, *LARGE):
        is_large = cpu in LARGE
        folder = cpus / f"cpu{cpu}"
        (folder / "cpufreq").mkdir(parents=True, exist_ok=True)
        put(folder / "cpu_capacity", 1024 if is_large else 250)
        put(folder / "cpufreq/scaling_governor", governor)
        put(folder / "cpufreq/scaling_cur_freq", 1_200_000)
        put(folder / "cpufreq/scaling_max_freq", limit_khz if is_large else 1_700_000)
        put(folder / "cpufreq/cpuinfo_max_freq", 2_800_000 if is_large else 1_700_000)
    put(cpus / "online", "0-5")
    for number, (name, degrees) in enumerate((("battery", 30_000), ("cpu", temperature))):
        zone = root / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True, exist_ok=True)
        put(zone / "type", name)
        put(zone / "temp", degrees)
        for trip, (kind, at) in enumerate((("active", 35_000), ("passive", 80_000))):
            put(zone / f"trip_point_{trip}_type", kind)
            put(zone / f"trip_point_{trip}_temp", at)
    (root / "proc").mkdir(exist_ok=True)
    lines = [f"cpu  {busy} 0 0 5000 10 0 0 0 0 0", *(f"cpu{i} 1 0 0 9 0" for i in range(6))]
    put(root / "proc/stat", "\n".join([*lines, "intr 7 1", "procs_running 2"]))
    put(root / "proc/loadavg", "0.42 0.40 0.39 2/812 12345")


def put(path: Path, value: object) -> None:
    path.write_text(f"{value}\n")
