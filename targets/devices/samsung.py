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
)
from octavo.targets.devices.snapdragon import (
    SNAPDRAGON_8_ELITE,
    SNAPDRAGON_8_GEN_1,
    SNAPDRAGON_8_GEN_2,
    SNAPDRAGON_8_GEN_3,
    SNAPDRAGON_888,
)

GIB = 1024**3

EXYNOS_2100 = Chip(
    name="Exynos 2100",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_X1, count=1, max_mhz=2900),
        Cluster(core=CORTEX_A78, count=3, max_mhz=2800),
        Cluster(core=CORTEX_A55, count=4, max_mhz=2200),
    ),
    gpu=Gpu(name="Mali-G78", level="mali"),
    sources=("Samsung Semiconductor, Exynos 2100 specifications",),
)

EXYNOS_2200 = Chip(
    name="Exynos 2200",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X2, count=1),
        Cluster(core=CORTEX_A710, count=3),
        Cluster(core=CORTEX_A510, count=4),
    ),
    gpu=Gpu(name="Xclipse 920"),
    sources=("Samsung Semiconductor, Exynos 2200 specifications",),
)

EXYNOS_2400 = Chip(
    name="Exynos 2400",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X4, count=1, max_mhz=3200),
        Cluster(core=CORTEX_A720, count=2, max_mhz=2900),
        Cluster(core=CORTEX_A720, count=3, max_mhz=2600),
        Cluster(core=CORTEX_A520, count=4, max_mhz=1950),
    ),
    gpu=Gpu(name="Xclipse 940"),
    sources=("Samsung Semiconductor, Exynos 2400 specifications",),
)


def _galaxy(name: str, product: str, chip: Chip, memory_gib: int, api_level: int) -> Device:
    return Device(
        name=name,
        product=f"Samsung {product}",
        chip=chip,
        memory_bytes=memory_gib * GIB,
        system="android",
        api_level=api_level,
        abi=ANDROID_ARM64,
        sources=(f"Samsung, {product} specifications",),
    )


DEVICES = (
    _galaxy("galaxy-s21-exynos", "Galaxy S21", EXYNOS_2100, 8, 30),
    _galaxy("galaxy-s21-snapdragon", "Galaxy S21", SNAPDRAGON_888, 8, 30),
    _galaxy("galaxy-s22-exynos", "Galaxy S22", EXYNOS_2200, 8, 31),
    _galaxy("galaxy-s22-snapdragon", "Galaxy S22", SNAPDRAGON_8_GEN_1, 8, 31),
    _galaxy("galaxy-s23", "Galaxy S23", SNAPDRAGON_8_GEN_2, 8, 33),
    _galaxy("galaxy-s24-exynos", "Galaxy S24", EXYNOS_2400, 8, 34),
    _galaxy("galaxy-s24-snapdragon", "Galaxy S24", SNAPDRAGON_8_GEN_3, 8, 34),
    _galaxy("galaxy-s25", "Galaxy S25", SNAPDRAGON_8_ELITE, 12, 35),
)
