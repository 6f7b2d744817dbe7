"""Development boards: the CPUs of NVIDIA Jetson modules, and Qualcomm's robotics kits."""

from octavo.targets.device import Chip, Cluster, Device
from octavo.targets.devices.cores import CORTEX_A57, CORTEX_A78AE, KIB
from octavo.targets.devices.snapdragon import QCS6490, QRB5165

MIB = 1024**2
GIB = 1024**3
_NANO = "NVIDIA, Jetson Nano System-on-Module Data Sheet, DA-09366"
_ORIN_NANO = "NVIDIA, Jetson Orin Nano Series Data Sheet"

TEGRA_X1 = Chip(
    name="NVIDIA Tegra X1",
    level="arm64-neon",
    clusters=(Cluster(core=CORTEX_A57, count=4, max_mhz=1430, l2_bytes=2 * MIB),),
    sources=(_NANO,),
)

# Four cores share one third-level cache, two another: 2 MiB each.
ORIN_NANO = Chip(
    name="NVIDIA Orin",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_A78AE, count=4, l2_bytes=256 * KIB),
        Cluster(core=CORTEX_A78AE, count=2, l2_bytes=256 * KIB),
    ),
    l3_bytes=2 * MIB,
    sources=(_ORIN_NANO,),
)


def _board(name: str, product: str, chip: Chip, memory_gib: int | None, source: str) -> Device:
    return Device(
        name=name,
        product=product,
        chip=chip,
        memory_bytes=None if memory_gib is None else memory_gib * GIB,
        system="linux",
        sources=(source,),
    )


DEVICES = (
    _board("jetson-nano", "NVIDIA Jetson Nano", TEGRA_X1, 4, _NANO),
    _board("jetson-orin-nano", "NVIDIA Jetson Orin Nano", ORIN_NANO, 4, _ORIN_NANO),
    _board(
        "rb3-gen2",
        "Qualcomm RB3 Gen 2",
        QCS6490,
        None,
        "Qualcomm, RB3 Gen 2 Development Kit, 80-70015-251",
    ),
    _board("rb5", "Qualcomm Robotics RB5", QRB5165, 8, "96Boards, Qualcomm Robotics RB5"),
)
