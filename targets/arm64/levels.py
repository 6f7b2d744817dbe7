"""AArch64 by instruction set level: no CPU model, so that artifacts fit a whole generation.

Sources: Arm Architecture Reference Manual for A-profile (DDI 0487), features by version; the
technical reference manual of each core for caches. A level has the caches of the smallest of
its usual big cores.
"""

from octavo.targets.base import Emulator, Target

FAMILY = "arm64"
TRIPLE = "aarch64-unknown-linux-gnu"
ZIG_TARGET = "aarch64-linux-gnu.2.28"
PROGRAM_ZIG_TARGET = "aarch64-linux-musl"
# Android 15 maps libraries in pages of 16 KiB.
LINK_FLAGS = ("-Wl,-z,max-page-size=16384",)
_ARCHITECTURE = "Arm Architecture Reference Manual for A-profile, DDI 0487"

ARM64_NEON = Target(
    name="arm64-neon",
    description="any 64-bit Arm CPU: Cortex-A53, A57, A72, A73 (2012) and later",
    family=FAMILY,
    triple=TRIPLE,
    # For the order of instructions only: the order for "generic", an in-order core, has more
    # products under way than there are registers. What the core has beyond NEON is left out.
    cpu="cortex-a57",
    features=("-aes", "-sha2", "-crc"),
    zig_target=ZIG_TARGET,
    program_zig_target=PROGRAM_ZIG_TARGET,
    link_flags=LINK_FLAGS,
    emulator=Emulator(program="qemu-aarch64", cpu="cortex-a72"),
    isa="arm64_neon",
    activation_dtype="int8",
    l1_bytes=32 * 1024,
    l2_bytes=512 * 1024,
    sources=(_ARCHITECTURE, "Arm Cortex-A72 MPCore Technical Reference Manual, 100095"),
)

ARM64_DOTPROD = Target(
    name="arm64-dotprod",
    description="int8 dot products: Cortex-A55, A75 to A78, X1, Neoverse N1 (2017) and later",
    family=FAMILY,
    triple=TRIPLE,
    cpu="generic",
    features=("+v8.2a", "+dotprod"),
    zig_target=ZIG_TARGET,
    program_zig_target=PROGRAM_ZIG_TARGET,
    link_flags=LINK_FLAGS,
    emulator=Emulator(program="qemu-aarch64", cpu="cortex-a76"),
    isa="arm64_dotprod",
    activation_dtype="int8",
    l1_bytes=64 * 1024,
    l2_bytes=256 * 1024,
    sources=(_ARCHITECTURE, "Arm Cortex-A76 Core Technical Reference Manual, 100798"),
)

ARM64_I8MM = Target(
    name="arm64-i8mm",
    description="int8 matrix products: Cortex-A510, A710, X2, Neoverse V1 (2020) and later",
    family=FAMILY,
    triple=TRIPLE,
    # For the order of instructions, as above; what it has beyond the level is left out.
    cpu="cortex-a710",
    features=(
        "-sve", "-fullfp16", "-complxnum", "-flagm", "-altnzcv", "-fptoint",
        "+dotprod", "+i8mm", "+bf16",
    ),
    zig_target=ZIG_TARGET,
    program_zig_target=PROGRAM_ZIG_TARGET,
    link_flags=LINK_FLAGS,
    # No core with matrix products and without scalable vectors is emulated by name.
    emulator=Emulator(program="qemu-aarch64", cpu="max,sve=off,sme=off"),
    isa="arm64_i8mm",
    float_precisions=("float32", "bf16"),
    l1_bytes=64 * 1024,
    l2_bytes=512 * 1024,
    sources=(_ARCHITECTURE, "Arm Cortex-A710 Core Technical Reference Manual, 101800"),
)
