"""Qualcomm Snapdragon chips of phones and boards.

Sources: Qualcomm's product briefs for cores and clocks, Linux's device trees for the kinds of
cores; the version of the signal processor as Qualcomm's AI Engine Direct documentation lists
it. Code for one version of Hexagon runs on every later one.
"""

from octavo.targets.device import Chip, Cluster, Dsp, Gpu
from octavo.targets.devices.cores import (
    CORTEX_A55,
    CORTEX_A77,
    CORTEX_A78,
    CORTEX_A510,
    CORTEX_A520,
    CORTEX_A710,
    CORTEX_A715,
    CORTEX_A720,
    CORTEX_X1,
    CORTEX_X2,
    CORTEX_X3,
    CORTEX_X4,
    ORYON,
)

_DSP_VERSIONS = "Qualcomm AI Engine Direct SDK documentation, supported devices"


def _sources(brief: str, tree: str) -> tuple[str, ...]:
    return (
        f"Qualcomm, {brief} product brief",
        f"Linux, arch/arm64/boot/dts/qcom/{tree}.dtsi",
        _DSP_VERSIONS,
    )


QRB5165 = Chip(
    name="Qualcomm QRB5165",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_A77, count=1, max_mhz=2842),
        Cluster(core=CORTEX_A77, count=3, max_mhz=2419),
        Cluster(core=CORTEX_A55, count=4, max_mhz=1804),
    ),
    gpu=Gpu(name="Adreno 650", level="adreno"),
    dsp=Dsp(name="Hexagon 698", version="v66", level="hexagon-v66"),
    sources=_sources("QRB5165", "sm8250"),
)

QCS6490 = Chip(
    name="Qualcomm QCS6490",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_A78, count=1, max_mhz=2707),
        Cluster(core=CORTEX_A78, count=3, max_mhz=2400),
        Cluster(core=CORTEX_A55, count=4, max_mhz=1958),
    ),
    gpu=Gpu(name="Adreno 643", level="adreno"),
    dsp=Dsp(name="Hexagon 770", version="v68", level="hexagon-v68"),
    sources=_sources("QCS6490", "kodiak"),
)

SNAPDRAGON_888 = Chip(
    name="Snapdragon 888",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_X1, count=1, max_mhz=2840),
        Cluster(core=CORTEX_A78, count=3, max_mhz=2420),
        Cluster(core=CORTEX_A55, count=4, max_mhz=1800),
    ),
    gpu=Gpu(name="Adreno 660", level="adreno"),
    dsp=Dsp(name="Hexagon 780", version="v68", level="hexagon-v68"),
    sources=_sources("Snapdragon 888", "sm8350"),
)

SNAPDRAGON_8_GEN_1 = Chip(
    name="Snapdragon 8 Gen 1",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X2, count=1, max_mhz=3000),
        Cluster(core=CORTEX_A710, count=3, max_mhz=2500),
        Cluster(core=CORTEX_A510, count=4, max_mhz=1800),
    ),
    gpu=Gpu(name="Adreno 730", level="adreno"),
    dsp=Dsp(name="Hexagon", version="v69", level="hexagon-v68"),
    sources=_sources("Snapdragon 8 Gen 1", "sm8450"),
)

SNAPDRAGON_8_GEN_2 = Chip(
    name="Snapdragon 8 Gen 2 for Galaxy",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X3, count=1, max_mhz=3360),
        Cluster(core=CORTEX_A715, count=2, max_mhz=2800),
        Cluster(core=CORTEX_A710, count=2, max_mhz=2800),
        Cluster(core=CORTEX_A510, count=3, max_mhz=2000),
    ),
    gpu=Gpu(name="Adreno 740", level="adreno"),
    dsp=Dsp(name="Hexagon", version="v73", level="hexagon-v73"),
    sources=_sources("Snapdragon 8 Gen 2", "sm8550"),
)

SNAPDRAGON_8_GEN_3 = Chip(
    name="Snapdragon 8 Gen 3 for Galaxy",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X4, count=1, max_mhz=3390),
        Cluster(core=CORTEX_A720, count=5),
        Cluster(core=CORTEX_A520, count=2),
    ),
    gpu=Gpu(name="Adreno 750", level="adreno"),
    dsp=Dsp(name="Hexagon", version="v75", level="hexagon-v73"),
    sources=_sources("Snapdragon 8 Gen 3", "sm8650"),
)

SNAPDRAGON_8_ELITE = Chip(
    name="Snapdragon 8 Elite for Galaxy",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=ORYON, count=2, max_mhz=4470),
        Cluster(core=ORYON, count=6, max_mhz=3530),
    ),
    gpu=Gpu(name="Adreno 830", level="adreno"),
    dsp=Dsp(name="Hexagon", version="v79", level="hexagon-v73"),
    sources=_sources("Snapdragon 8 Elite", "sm8750"),
)
