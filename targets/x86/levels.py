"""x86-64 by instruction set level: no CPU model, so that artifacts fit a whole generation.

Sources: System V ABI for AMD64, micro-architecture levels (x86-64-v2, -v3, -v4); Intel 64 and
IA-32 Architectures Optimization Reference Manual (248966), cache sizes of each generation; AMD
Software Optimization Guide for Zen 4 (57647).
"""

from octavo.targets.base import Target

FAMILY = "x86-64"
FLOAT_PRECISIONS = ("float32", "bf16")  # of CPUs with AVX512_BF16
TRIPLE = "x86_64-unknown-linux-gnu"
ZIG_TARGET = "x86_64-linux-gnu.2.28"  # as old as boards and servers in use: Debian 10, RHEL 8
# Android and some Linux systems map libraries in pages of 16 KiB.
LINK_FLAGS = ("-Wl,-z,max-page-size=16384",)
_LEVELS = "System V ABI for AMD64, micro-architecture levels"
_INTEL = "Intel 64 and IA-32 Architectures Optimization Reference Manual, 248966"
_INTEL_AMX = "Intel Architecture Instruction Set Extensions Programming Reference, 319433"

X86_64 = Target(
    name="x86-64",
    description="any x86-64 CPU with SSE4.2 (2008 and later)",
    family=FAMILY,
    triple=TRIPLE,
    cpu="x86-64-v2",
    zig_target=ZIG_TARGET,
    link_flags=LINK_FLAGS,
    isa="sse41",
    l1_bytes=32 * 1024,
    l2_bytes=256 * 1024,
    sources=(_LEVELS, _INTEL),
)

X86_64_V3 = Target(
    name="x86-64-avx2",
    description="AVX2 and FMA: Haswell (2013), Zen (2017) and later",
    family=FAMILY,
    triple=TRIPLE,
    cpu="x86-64-v3",
    zig_target=ZIG_TARGET,
    link_flags=LINK_FLAGS,
    isa="avx2",
    l1_bytes=32 * 1024,
    l2_bytes=256 * 1024,
    sources=(_LEVELS, _INTEL),
)

X86_64_AVX_VNNI = Target(
    name="x86-64-avxvnni",
    description="256-bit int8 dot products: Alder Lake, Sierra Forest, Zen 5 and later",
    family=FAMILY,
    triple=TRIPLE,
    cpu="x86-64-v3",
    features=("+avxvnni",),
    zig_target=ZIG_TARGET,
    link_flags=LINK_FLAGS,
    isa="avx_vnni",
    l1_bytes=32 * 1024,
    l2_bytes=1024 * 1024,
    sources=(_LEVELS, _INTEL),
)

X86_64_CASCADE_LAKE = Target(
    name="x86-64-cascade-lake",
    description="512-bit int8 dot products without byte permutations: Cascade and Cooper Lake",
    family=FAMILY,
    triple=TRIPLE,
    cpu="x86-64-v4",
    features=("+avx512vnni",),
    zig_target=ZIG_TARGET,
    link_flags=LINK_FLAGS,
    isa="avx512_vnni",
    l1_bytes=32 * 1024,
    l2_bytes=1024 * 1024,
    sources=(_LEVELS, _INTEL),
)

X86_64_AVX512_VNNI = Target(
    name="x86-64-avx512vnni",
    description="512-bit int8 dot products: Ice Lake servers (2021), Zen 4 and later",
    family=FAMILY,
    triple=TRIPLE,
    cpu="x86-64-v4",
    features=("+avx512vnni", "+avx512vbmi"),
    zig_target=ZIG_TARGET,
    link_flags=LINK_FLAGS,
    isa="avx512_vbmi",
    l1_bytes=32 * 1024,
    l2_bytes=1024 * 1024,
    sources=(_LEVELS, _INTEL, "AMD Software Optimization Guide for Zen 4, 57647"),
)

X86_64_AVX512_BF16 = Target(
    name="x86-64-avx512bf16",
    description="also products of bfloat16 numbers: Zen 4 (2022), Sapphire Rapids and later",
    family=FAMILY,
    triple=TRIPLE,
    cpu="x86-64-v4",
    features=("+avx512vnni", "+avx512vbmi", "+avx512bf16"),
    zig_target=ZIG_TARGET,
    link_flags=LINK_FLAGS,
    isa="avx512_bf16",
    float_precisions=FLOAT_PRECISIONS,
    l1_bytes=32 * 1024,
    l2_bytes=1024 * 1024,
    sources=(_LEVELS, _INTEL, "AMD Software Optimization Guide for Zen 4, 57647"),
)

X86_64_AMX = Target(
    name="x86-64-amx",
    description="products of 16x64-byte tiles: Sapphire Rapids (2023) and later Xeons",
    family=FAMILY,
    triple=TRIPLE,
    cpu="x86-64-v4",
    features=("+avx512vnni", "+avx512vbmi", "+avx512bf16", "+amx-tile", "+amx-int8"),
    zig_target=ZIG_TARGET,
    link_flags=LINK_FLAGS,
    isa="amx_int8",
    float_precisions=FLOAT_PRECISIONS,
    l1_bytes=48 * 1024,
    l2_bytes=2 * 1024 * 1024,
    sources=(_LEVELS, _INTEL, _INTEL_AMX),
)
