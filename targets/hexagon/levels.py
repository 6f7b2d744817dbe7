"""Hexagon DSPs with vector extensions (HVX) of 128 bytes, by version.

Sources: Qualcomm Hexagon V66, V68 and V73 HVX Programmer's Reference Manuals. They leave the
sizes of caches to the product, so the records keep the defaults.
"""

from octavo.targets.base import Emulator, Target

FAMILY = "hexagon"
TRIPLE = "hexagon-unknown-linux-musl"
ZIG_TARGET = "hexagon-linux-musl"
# One model runs the code of every version: the emulator knows no older flags of newer files.
EMULATOR = Emulator(program="qemu-hexagon", cpu="v67", unit="packets")
VECTOR_BYTES = 128

# From v68 on LLVM would take them by itself: other numbers than those of IEEE 754.
NO_VECTOR_FLOAT = "-hvx-qfloat"
# The emulator cannot run what came with v69, such as the upper halves of 16-bit products.
LAST_EMULATED_VECTORS = "v68"


def _level(version: str, description: str, source: str) -> Target:
    """The record of one version; they differ in nothing else."""
    vectors = min(version, LAST_EMULATED_VECTORS)
    return Target(
        name=f"hexagon-{version}",
        description=description,
        family=FAMILY,
        triple=TRIPLE,
        cpu=f"hexagon{version}",
        features=(f"+hvx{vectors}", "+hvx-length128b", NO_VECTOR_FLOAT),
        zig_target=ZIG_TARGET,
        # The linker leaves calls for thread-local memory in static programs, and nothing there
        # answers them.
        c_flags=(f"-mcpu=hexagon{version}", "-ftls-model=initial-exec"),
        emulator=EMULATOR,
        isa="hvx",
        alignment=VECTOR_BYTES,
        requantize="dyadic",
        requantize_modes=("dyadic",),  # floating point is scalar before v68
        memory_bytes=4 * 1024**3,  # addresses of 32 bits
        sources=(source,),
    )


HEXAGON_V66 = _level(
    "v66",
    "Hexagon 690 and 698: Snapdragon 855, 865",
    "Qualcomm Hexagon V66 HVX Programmer's Reference Manual",
)
HEXAGON_V68 = _level(
    "v68",
    "Hexagon 780: Snapdragon 888",
    "Qualcomm Hexagon V68 HVX Programmer's Reference Manual",
)
HEXAGON_V73 = _level(
    "v73",
    "Hexagon of Snapdragon 8 Gen 2 and later",
    "Qualcomm Hexagon V73 HVX Programmer's Reference Manual",
)
