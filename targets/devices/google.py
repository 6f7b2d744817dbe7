"""Google Pixel phones of 2021 to 2025.

Google names the chips; Linux describes the first. Cores and clocks of the others are what the
phones say of themselves, as LineageOS and reviewers report it.
"""

from octavo.targets.android import ANDROID_ARM64
from octavo.targets.device import Chip, Cluster, Device, Gpu
from octavo.targets.devices.cores import (
    CORTEX_A55,
    CORTEX_A76,
    CORTEX_A78,
    CORTEX_A510,
    CORTEX_A520,
    CORTEX_A715,
    CORTEX_A720,
    CORTEX_A725,
    CORTEX_X1,
    CORTEX_X3,
    CORTEX_X4,
)

MIB = 1024**2
GIB = 1024**3
_TENSOR_G2_BENCHMARKED = (
    "Android Authority, Tensor G2 versus the competition, October 2022: graphics of both"
)
_TENSOR_G4_EXPLAINED = "Android Authority, Google Tensor G4 explained, 2024: G2, G3 and G4"

TENSOR_G1 = Chip(
    name="Google Tensor",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_X1, count=2, max_mhz=2802),
        Cluster(core=CORTEX_A76, count=2, max_mhz=2253),
        Cluster(core=CORTEX_A55, count=4, max_mhz=1803),
    ),
    gpu=Gpu(name="Mali-G78", level="mali", num_cores=20),
    sources=(
        "Linux, arch/arm64/boot/dts/exynos/google/gs101.dtsi",
        "LineageOS wiki, oriole",
        _TENSOR_G2_BENCHMARKED,
    ),
)

TENSOR_G2 = Chip(
    name="Google Tensor G2",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_X1, count=2, max_mhz=2850),
        Cluster(core=CORTEX_A78, count=2, max_mhz=2350),
        Cluster(core=CORTEX_A55, count=4, max_mhz=1800),
    ),
    l3_bytes=4 * MIB,
    gpu=Gpu(name="Mali-G710", level="mali", num_cores=7),
    sources=(
        _TENSOR_G4_EXPLAINED,
        _TENSOR_G2_BENCHMARKED,
        "AndroidWorld.it, Tensor G2: le specifiche, October 2022: third-level cache",
    ),
)

TENSOR_G3 = Chip(
    name="Google Tensor G3",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X3, count=1, max_mhz=2910),
        Cluster(core=CORTEX_A715, count=4, max_mhz=2370),
        Cluster(core=CORTEX_A510, count=4, max_mhz=1700),
    ),
    gpu=Gpu(name="Mali-G715", level="mali", num_cores=7),
    sources=(
        _TENSOR_G4_EXPLAINED,
        "Android Authority, Tensor G3 specs, October 2023",
        "Mezha, Tensor G3 graphics in Pixel 8, October 2023: 7 cores",
    ),
)

TENSOR_G4 = Chip(
    name="Google Tensor G4",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X4, count=1, max_mhz=3100),
        Cluster(core=CORTEX_A720, count=3, max_mhz=2600),
        Cluster(core=CORTEX_A520, count=4, max_mhz=1920),
    ),
    gpu=Gpu(name="Mali-G715", level="mali", num_cores=7),
    sources=(
        _TENSOR_G4_EXPLAINED,
        "LineageOS wiki, tokay",
        "NotebookCheck, Google Tensor G4: 7 cores of the graphics processor",
    ),
)

TENSOR_G5 = Chip(
    name="Google Tensor G5",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X4, count=1, max_mhz=3780),
        Cluster(core=CORTEX_A725, count=5, max_mhz=3050),
        Cluster(core=CORTEX_A520, count=2, max_mhz=2250),
    ),
    gpu=Gpu(name="PowerVR DXT-48-1536"),
    sources=("LineageOS wiki, frankel",),
)


def _pixel(
    generation: int, chip: Chip, memory_gib: int, api_level: int, *sources: str
) -> Device:
    return Device(
        name=f"pixel-{generation}",
        product=f"Google Pixel {generation}",
        chip=chip,
        memory_bytes=memory_gib * GIB,
        system="android",
        api_level=api_level,
        abi=ANDROID_ARM64,
        sources=sources,
    )


_PIXEL_10 = "Daily8, Google Pixel 10 vs Pixel 9, 2025: Android 16 and 14"
_PIXEL_8 = "India TV, Google Pixel 8, September 2023: Android 14"
_PIXEL_6 = "PhoneWorld, Google Pixel 6 specifications, October 2021: Android 12"

DEVICES = (
    _pixel(6, TENSOR_G1, 8, 31, "LineageOS wiki, oriole", _PIXEL_6),
    _pixel(7, TENSOR_G2, 8, 33, "LineageOS wiki, panther: from version 20, of Android 13"),
    _pixel(8, TENSOR_G3, 8, 34, "LineageOS wiki, shiba", _PIXEL_8),
    _pixel(9, TENSOR_G4, 12, 34, "LineageOS wiki, tokay", _PIXEL_10),
    _pixel(10, TENSOR_G5, 12, 36, "LineageOS wiki, frankel", _PIXEL_10),
)
