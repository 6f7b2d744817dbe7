"""Samsung Galaxy S phones of 2021 to 2025; some were sold with two chips, by region."""

from octavo.targets.android import ANDROID_ARM64
from octavo.targets.device import Chip, Cluster, Device, Gpu
from octavo.targets.devices.cores import (
    CORTEX_A55,
    CORTEX_A78,
    CORTEX_A510,
    CORTEX_A520,
    CORTEX_A710,
    CORTEX_A720,
    CORTEX_X1,
    CORTEX_X2,
    CORTEX_X4,
    KIB,
)
from octavo.targets.devices.snapdragon import (
    SNAPDRAGON_8_ELITE_FOR_GALAXY,
    SNAPDRAGON_8_GEN_1,
    SNAPDRAGON_8_GEN_2_FOR_GALAXY,
    SNAPDRAGON_8_GEN_3_FOR_GALAXY,
    SNAPDRAGON_888,
)

MIB = 1024**2
GIB = 1024**3
_EXYNOS = "zeah.tistory.com/91, Exynos 2100, 2200 and 2400 compared"

EXYNOS_2100 = Chip(
    name="Exynos 2100",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_X1, count=1, max_mhz=2900),
        Cluster(core=CORTEX_A78, count=3, max_mhz=2800),
        Cluster(core=CORTEX_A55, count=4, max_mhz=2200),
    ),
    gpu=Gpu(name="Mali-G78", level="mali", num_cores=14),
    sources=("Pocket-lint, Samsung Exynos 2100, January 2021",),
)

EXYNOS_2200 = Chip(
    name="Exynos 2200",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X2, count=1, max_mhz=2800, l2_bytes=MIB),
        Cluster(core=CORTEX_A710, count=3, max_mhz=2500, l2_bytes=512 * KIB),
        Cluster(core=CORTEX_A510, count=4, max_mhz=1900, l2_bytes=256 * KIB),
    ),
    l3_bytes=4 * MIB,
    gpu=Gpu(name="Xclipse 920"),
    sources=(_EXYNOS,),
)

EXYNOS_2400 = Chip(
    name="Exynos 2400",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X4, count=1, max_mhz=3200, l2_bytes=2 * MIB),
        Cluster(core=CORTEX_A720, count=2, max_mhz=2900, l2_bytes=512 * KIB),
        Cluster(core=CORTEX_A720, count=3, max_mhz=2600, l2_bytes=512 * KIB),
        Cluster(core=CORTEX_A520, count=4, max_mhz=1950, l2_bytes=256 * KIB),
    ),
    l3_bytes=8 * MIB,
    gpu=Gpu(name="Xclipse 940"),
    sources=("SamMobile, Exynos 2400 detailed, January 2024", _EXYNOS),
)


def _galaxy(name: str, chip: Chip, memory_gib: int, api_level: int, *sources: str) -> Device:
    model = name.split("-")[1].upper()
    return Device(
        name=name,
        product=f"Samsung Galaxy {model}",
        chip=chip,
        memory_bytes=memory_gib * GIB,
        system="android",
        api_level=api_level,
        abi=ANDROID_ARM64,
        sources=sources,
    )


_S21 = "Firstpost, Samsung Galaxy S21, December 2020"
_S22 = ("Pocketnow, Galaxy S22 specifications, January 2022", "iGeekphone, Galaxy S22, 2021")
_S23 = ("SamMobile, Galaxy S23 in Geekbench, 2022: Android 13", "Ecochest, Galaxy S25 vs S23")
_S24 = "NewsBytes, Samsung Galaxy S24 specs, December 2023"
_S25 = (
    "Maagx, Samsung Galaxy S25 vs Galaxy S24, 2025: memory",
    "Android Central, Galaxy S25 vs Galaxy S23, 2024: Android 15",
)

DEVICES = (
    _galaxy("galaxy-s21-exynos", EXYNOS_2100, 8, 30, _S21),
    _galaxy("galaxy-s21-snapdragon", SNAPDRAGON_888, 8, 30, _S21),
    _galaxy("galaxy-s22-exynos", EXYNOS_2200, 8, 31, *_S22),
    _galaxy("galaxy-s22-snapdragon", SNAPDRAGON_8_GEN_1, 8, 31, *_S22),
    _galaxy("galaxy-s23", SNAPDRAGON_8_GEN_2_FOR_GALAXY, 8, 33, *_S23),
    _galaxy("galaxy-s24-exynos", EXYNOS_2400, 8, 34, _S24),
    _galaxy("galaxy-s24-snapdragon", SNAPDRAGON_8_GEN_3_FOR_GALAXY, 8, 34, _S24),
    _galaxy("galaxy-s25", SNAPDRAGON_8_ELITE_FOR_GALAXY, 12, 35, *_S25),
)
