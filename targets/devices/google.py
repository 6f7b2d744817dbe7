"""Google Pixel phones of 2021 to 2025.

The Tensor G1 is described in Linux; Google states the phones' memory and Android version, and
of later chips only the names: their cores and clocks are what the phones say of themselves.
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

GIB = 1024**3

TENSOR_G1 = Chip(
    name="Google Tensor",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_X1, count=2, max_mhz=2802),
        Cluster(core=CORTEX_A76, count=2, max_mhz=2253),
        Cluster(core=CORTEX_A55, count=4, max_mhz=1803),
    ),
    gpu=Gpu(name="Mali-G78", level="mali"),
    sources=("Linux, arch/arm64/boot/dts/exynos/google/gs101.dtsi",),
)

TENSOR_G2 = Chip(
    name="Google Tensor G2",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_X1, count=2),
        Cluster(core=CORTEX_A78, count=2),
        Cluster(core=CORTEX_A55, count=4),
    ),
    gpu=Gpu(name="Mali-G710", level="mali"),
    sources=("Android Authority, Google Tensor G2 explained, 2022",),
)

TENSOR_G3 = Chip(
    name="Google Tensor G3",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X3, count=1, max_mhz=2910),
        Cluster(core=CORTEX_A715, count=4, max_mhz=2370),
        Cluster(core=CORTEX_A510, count=4, max_mhz=1700),
    ),
    gpu=Gpu(name="Mali-G715", level="mali"),
    sources=("Android Authority, Google Tensor G3 specs, October 2023",),
)

TENSOR_G4 = Chip(
    name="Google Tensor G4",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X4, count=1),
        Cluster(core=CORTEX_A720, count=3),
        Cluster(core=CORTEX_A520, count=4),
    ),
    gpu=Gpu(name="Mali-G715", level="mali"),
    sources=("Android Authority, Google Tensor G5 details, October 2024: the G4 beside it",),
)

TENSOR_G5 = Chip(
    name="Google Tensor G5",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X4, count=1),
        Cluster(core=CORTEX_A725, count=5),
        Cluster(core=CORTEX_A520, count=2),
    ),
    gpu=Gpu(name="PowerVR DXT-48-1536"),
    sources=("Android Authority, Google Tensor G5 details, October 2024",),
)


def _pixel(generation: int, chip: Chip, memory_gib: int, api_level: int) -> Device:
    return Device(
        name=f"pixel-{generation}",
        product=f"Google Pixel {generation}",
        chip=chip,
        memory_bytes=memory_gib * GIB,
        system="android",
        api_level=api_level,
        abi=ANDROID_ARM64,
        sources=(f"Google, Pixel {generation} technical specifications",),
    )


DEVICES = (
    _pixel(6, TENSOR_G1, 8, 31),
    _pixel(7, TENSOR_G2, 8, 33),
    _pixel(8, TENSOR_G3, 8, 34),
    _pixel(9, TENSOR_G4, 12, 34),
    _pixel(10, TENSOR_G5, 12, 36),
)
