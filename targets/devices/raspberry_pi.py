"""Raspberry Pi 3, 4 and 5 with a 64-bit system."""

from octavo.targets.device import Chip, Cluster, Device
from octavo.targets.devices.cores import CORTEX_A53, CORTEX_A72, CORTEX_A76, KIB

MIB = 1024**2
GIB = 1024**3
_PROCESSORS = "Raspberry Pi documentation, Processors"
_HARDWARE = "Raspberry Pi documentation, Raspberry Pi hardware"
_NEWS = "Raspberry Pi news, 1GB Raspberry Pi 5 now available at $45, December 2025"

BCM2837 = Chip(
    name="Broadcom BCM2837",
    level="arm64-neon",
    clusters=(
        Cluster(core=CORTEX_A53, count=4, max_mhz=1200, l1_bytes=32 * KIB, l2_bytes=512 * KIB),
    ),
    sources=(f"{_PROCESSORS}: BCM2837", "Linux, arch/arm/boot/dts/broadcom/bcm2837.dtsi"),
)

BCM2711 = Chip(
    name="Broadcom BCM2711",
    level="arm64-neon",
    clusters=(Cluster(core=CORTEX_A72, count=4, max_mhz=1500, l2_bytes=MIB),),
    sources=(f"{_PROCESSORS}: BCM2711", "Linux, arch/arm/boot/dts/broadcom/bcm2711.dtsi"),
)

BCM2712 = Chip(
    name="Broadcom BCM2712",
    level="arm64-dotprod",
    clusters=(Cluster(core=CORTEX_A76, count=4, max_mhz=2400, l2_bytes=512 * KIB),),
    l3_bytes=2 * MIB,
    sources=(f"{_PROCESSORS}: BCM2712", "Linux, arch/arm64/boot/dts/broadcom/bcm2712.dtsi"),
)


def _pi(generation: int, product: str, chip: Chip, memory_gib: int, *sources: str) -> Device:
    return Device(
        name=f"raspberry-pi-{generation}",
        product=f"Raspberry Pi {product}",
        chip=chip,
        memory_bytes=memory_gib * GIB,
        system="linux",
        sources=sources,
    )


DEVICES = (
    _pi(3, "3 Model B", BCM2837, 1, _HARDWARE),
    _pi(4, "4 Model B", BCM2711, 1, _HARDWARE),
    _pi(5, "5", BCM2712, 1, _HARDWARE, _NEWS),
)
