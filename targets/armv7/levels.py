"""32-bit Arm with NEON.

Sources: Arm Architecture Reference Manual, Armv7-A and Armv7-R edition (DDI 0406), Advanced
SIMD and VFPv4; the technical reference manual of the Cortex-A7 for caches.

NEON takes float numbers below 2**-126 for 0. Integer results do not depend on it: such numbers
are far below half a quantization step. Float steps give 0 in their place.
"""

from octavo.targets.base import Emulator, Target

ARMV7_NEON = Target(
    name="armv7-neon",
    description="32-bit Arm with NEON and VFPv4: Cortex-A7, A15, A17 (2011) and later",
    family="armv7",
    triple="armv7a-unknown-linux-gnueabihf",
    cpu="generic",
    features=("+neon", "+vfp4"),
    zig_target="arm-linux-gnueabihf.2.28",
    program_zig_target="arm-linux-musleabihf",
    emulator=Emulator(program="qemu-arm", cpu="cortex-a7"),
    isa="armv7_neon",
    activation_dtype="int8",
    l1_bytes=32 * 1024,
    l2_bytes=512 * 1024,
    memory_bytes=3 * 1024**3,  # of a process, where Linux keeps a quarter of the addresses
    sources=(
        "Arm Architecture Reference Manual, Armv7-A and Armv7-R edition, DDI 0406",
        "Arm Cortex-A7 MPCore Technical Reference Manual, DDI 0464",
    ),
)
