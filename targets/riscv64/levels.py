"""64-bit RISC-V with the vector extension.

Sources: RISC-V Instruction Set Manual, volume I, V extension 1.0 (Zvl128b: registers have at
least 128 bits) and profile RVA22; SpacemiT K1 user manual for caches.
"""

from octavo.targets.base import Emulator, Target

RISCV64_RVV = Target(
    name="riscv64-rvv",
    description="64-bit RISC-V with vectors of 128 bits or more: RVA22+V and later (2023)",
    family="riscv64",
    triple="riscv64-unknown-linux-gnu",
    cpu="generic-rv64",
    features=("+m", "+a", "+f", "+d", "+c", "+v", "+zvl128b"),
    llvm_abi="lp64d",
    zig_target="riscv64-linux-gnu.2.28",
    program_zig_target="riscv64-linux-musl",
    emulator=Emulator(program="qemu-riscv64", cpu="rv64,v=true,vext_spec=v1.0,vlen=128"),
    isa="riscv64_rvv",
    l1_bytes=32 * 1024,
    l2_bytes=512 * 1024,
    sources=(
        "RISC-V Instruction Set Manual, volume I: V extension 1.0; RVA22 profile",
        "SpacemiT K1 user manual",
    ),
)
