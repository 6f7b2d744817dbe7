"""Development boards: the CPUs of NVIDIA Jetson modules, and Qualcomm's robotics kits."""

from octavo.targets.device import Chip, Cluster, Device
from octavo.targets.devices.cores import CORTEX_A57, CORTEX_A78AE, KIB
from octavo.targets.devices.snapdragon import QCS6490, QRB5165

MIB = 1024**2
GIB = 1024**3

TEGRA_X1 = Chip(
    name="NVIDIA Tegra X1",
    level="arm64-neon",
    clusters=(Cluster(core=CORTEX_A57, count=4, max_mhz=1430, l2_bytes=2 * MIB),),
    sources=("NVIDIA, Jetson Nano System-on-Module Data Sheet, DS-09366",),
)

ORIN_NANO = Chip(
    name="NVIDIA Orin",
    level="arm64-dotprod",
    clusters=(
        Cluster(
            core=CORTEX_A78AE, count=6, max_mhz=1500, l1_bytes=64 * KIB, l2_bytes=256 * KIB
        ),
    ),
    l3_bytes=4 * MIB,
    sources=("NVIDIA, Jetson Orin Nano Series Modules Data Sheet, DS-11105",),
)


def _board(name: str, product: str, chip: Chip, memory_gib: int, source: str) -> Device:
    return Device(
        name=name,
        product=product,
        chip=chip,
        memory_bytes=memory_gib * GIB,
        system="linux",
        sources=(source,),
    )


DEVICES = (
    _board("jetson-nano", "NVIDIA Jetson Nano", TEGRA_X1, 4, TEGRA_X1.sources[0]),
    _board("jetson-orin-nano", "NVIDIA Jetson Orin Nano", ORIN_NANO, 4, ORIN_NANO.sources[0]),
    _board(
        "rb3-gen2",
        "Qualcomm RB3 Gen 2",
        QCS6490,
        6,
        "Qualcomm, RB3 Gen 2 Development Kit product brief",
    ),
    _board(
        "rb5", "Qualcomm Robotics RB5", QRB5165, 8, "Qualcomm, Robotics RB5 Platform brief"
    ),
)
