"""Qualcomm Snapdragon chips of phones and boards.

Linux's device trees state the kinds of cores, ExecuTorch's table of chips the version of the
signal processor. Code for one version of Hexagon runs on every later one. Samsung's variants
have clocks of their own.
"""

from dataclasses import replace

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
    KIB,
    ORYON,
)

MIB = 1024**2
_FREEDRENO = "Mesa, src/freedreno/common/a6xx_gpu.py and a7xx_gpu.py: graphics processor"
_DSP_VERSIONS = "ExecuTorch, backends/qualcomm/serialization/qc_schema.py"
_KRYO = "Linux, arch/arm64/include/asm/cputype.h: what Kryo 5XX and 6XX say they are"
_ANANDTECH_888 = "AnandTech, The Snapdragon 888 vs The Exynos 2100, February 2021"
_NANOREVIEW = "NanoReview, Snapdragon 8 Gen 2 vs Snapdragon 8 Gen 1"
_XDA_ELITE = "XDA, Qualcomm Snapdragon 8 Elite, October 2024: also the 8 Gen 3"


def _tree(name: str) -> str:
    return f"Linux, arch/arm64/boot/dts/qcom/{name}.dtsi"


QRB5165 = Chip(
    name="Qualcomm QRB5165",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_A77, count=1, max_mhz=2840, l2_bytes=512 * KIB),
        Cluster(core=CORTEX_A77, count=3, max_mhz=2420, l2_bytes=256 * KIB),
        Cluster(core=CORTEX_A55, count=4, max_mhz=1800, l2_bytes=128 * KIB),
    ),
    l3_bytes=4 * MIB,
    gpu=Gpu(name="Adreno 650", level="adreno", num_cores=3, opencl_version="2.0"),
    dsp=Dsp(name="Hexagon 698", version="v66", level="hexagon-v66"),
    sources=(
        "96Boards, Qualcomm Robotics RB5: signal and graphics processor",
        f"{_ANANDTECH_888}: the Snapdragon 865",
        _tree("sm8250"),
        _FREEDRENO,
        _KRYO,
    ),
)

# Linux has one name for all cores. Those of the fastest cluster have first-level caches of
# 32 KiB, which of the kinds that Kryo 6XX has only Cortex-A78 can.
QCS6490 = Chip(
    name="Qualcomm QCS6490",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_A78, count=1, max_mhz=2707, l1_bytes=32 * KIB, l2_bytes=256 * KIB),
        Cluster(core=CORTEX_A78, count=3, max_mhz=2400, l1_bytes=32 * KIB, l2_bytes=256 * KIB),
        Cluster(core=CORTEX_A55, count=4, max_mhz=1958, l1_bytes=32 * KIB, l2_bytes=128 * KIB),
    ),
    l3_bytes=2 * MIB,
    gpu=Gpu(name="Adreno 643", level="adreno", num_cores=2),
    dsp=Dsp(name="Hexagon", version="v68", level="hexagon-v68"),
    sources=(
        "Qualcomm Linux Performance Guide, 80-70017-10: QCS6490",
        _tree("sc7280"),
        _FREEDRENO,
        _KRYO,
        _DSP_VERSIONS,
    ),
)

# The same chip with a modem.
QCM6490 = replace(
    QCS6490,
    name="Qualcomm QCM6490",
    gpu=Gpu(name="Adreno 643L", level="adreno", num_cores=2),
    sources=("LineageOS wiki, FP5", *QCS6490.sources),
)

SNAPDRAGON_888 = Chip(
    name="Snapdragon 888",
    level="arm64-dotprod",
    clusters=(
        Cluster(core=CORTEX_X1, count=1, max_mhz=2840, l2_bytes=MIB),
        Cluster(core=CORTEX_A78, count=3, max_mhz=2420, l2_bytes=512 * KIB),
        Cluster(core=CORTEX_A55, count=4, max_mhz=1800, l2_bytes=128 * KIB),
    ),
    l3_bytes=4 * MIB,
    gpu=Gpu(name="Adreno 660", level="adreno", num_cores=3),
    dsp=Dsp(name="Hexagon 780", version="v68", level="hexagon-v68"),
    sources=(_ANANDTECH_888, _tree("sm8350"), _FREEDRENO, _DSP_VERSIONS),
)

SNAPDRAGON_8_GEN_1 = Chip(
    name="Snapdragon 8 Gen 1",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X2, count=1, max_mhz=3000, l2_bytes=MIB),
        Cluster(core=CORTEX_A710, count=3, max_mhz=2500),
        Cluster(core=CORTEX_A510, count=4, max_mhz=1800),
    ),
    l3_bytes=6 * MIB,
    gpu=Gpu(name="Adreno 730", level="adreno", num_cores=4, registers=96),
    dsp=Dsp(name="Hexagon", version="v69", level="hexagon-v68"),
    sources=(_NANOREVIEW, "GizBot, Snapdragon 8 Gen 1, December 2021", _FREEDRENO,
             _DSP_VERSIONS),
)

SNAPDRAGON_8_GEN_2 = Chip(
    name="Snapdragon 8 Gen 2",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X3, count=1, max_mhz=3200, l2_bytes=MIB),
        Cluster(core=CORTEX_A715, count=2, max_mhz=2800),
        Cluster(core=CORTEX_A710, count=2, max_mhz=2800),
        Cluster(core=CORTEX_A510, count=3, max_mhz=2000),
    ),
    l3_bytes=8 * MIB,
    gpu=Gpu(name="Adreno 740", level="adreno", num_cores=6, registers=96),
    dsp=Dsp(name="Hexagon", version="v73", level="hexagon-v73"),
    sources=(_NANOREVIEW, _tree("sm8550"), _FREEDRENO, _DSP_VERSIONS),
)

SNAPDRAGON_8_GEN_3 = Chip(
    name="Snapdragon 8 Gen 3",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=CORTEX_X4, count=1, max_mhz=3300),
        Cluster(core=CORTEX_A720, count=3, max_mhz=3200),
        Cluster(core=CORTEX_A720, count=2, max_mhz=3000),
        Cluster(core=CORTEX_A520, count=2, max_mhz=2300),
    ),
    gpu=Gpu(name="Adreno 750", level="adreno", num_cores=6, registers=96),
    dsp=Dsp(name="Hexagon", version="v75", level="hexagon-v73"),
    sources=("LineageOS wiki, waffle", _XDA_ELITE, _tree("sm8650"), _FREEDRENO,
             _DSP_VERSIONS),
)

SNAPDRAGON_8_ELITE = Chip(
    name="Snapdragon 8 Elite",
    level="arm64-i8mm",
    clusters=(
        Cluster(core=ORYON, count=2, max_mhz=4320, l2_bytes=12 * MIB),
        Cluster(core=ORYON, count=6, max_mhz=3530, l2_bytes=12 * MIB),
    ),
    gpu=Gpu(name="Adreno 830", level="adreno"),
    dsp=Dsp(name="Hexagon", version="v79", level="hexagon-v73"),
    sources=(_XDA_ELITE, "LineageOS wiki, dodge", _tree("sm8750"), _DSP_VERSIONS),
)


def _for_galaxy(chip: Chip, clocks: tuple[int | None, ...], source: str) -> Chip:
    pairs = zip(chip.clusters, clocks, strict=True)
    return replace(
        chip,
        name=f"{chip.name} for Galaxy",
        clusters=tuple(replace(cluster, max_mhz=clock) for cluster, clock in pairs),
        sources=(source, *chip.sources),
    )


SNAPDRAGON_8_GEN_2_FOR_GALAXY = _for_galaxy(
    SNAPDRAGON_8_GEN_2, (3360, 2800, 2800, 2020), "SamMobile, Galaxy S23 in Geekbench, 2022"
)
# Neither vendor states the clocks of the next two.
SNAPDRAGON_8_GEN_3_FOR_GALAXY = _for_galaxy(
    SNAPDRAGON_8_GEN_3,
    (None,) * 4,
    "Android Authority, Snapdragon 8 Gen 3 for Galaxy, January 2024",
)
SNAPDRAGON_8_ELITE_FOR_GALAXY = _for_galaxy(
    SNAPDRAGON_8_ELITE, (None,) * 2, "Maagx, Samsung Galaxy S25 vs Galaxy S24, 2025"
)
