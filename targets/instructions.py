"""From the name in a target record to its instruction variant."""

from octavo.targets.arm64.dotprod import Dotprod
from octavo.targets.arm64.i8mm import I8mm
from octavo.targets.arm64.neon import Neon
from octavo.targets.armv7.neon import Neon as Armv7Neon
from octavo.targets.base import Target
from octavo.targets.hexagon.hvx import Hvx
from octavo.targets.isa import Isa
from octavo.targets.riscv64.rvv import Rvv
from octavo.targets.x86.amx import AmxInt8
from octavo.targets.x86.avx2 import Avx2
from octavo.targets.x86.avx512_bf16 import Avx512Bf16
from octavo.targets.x86.avx512_vnni import Avx512Vbmi, Avx512Vnni
from octavo.targets.x86.avx_vnni import AvxVnni
from octavo.targets.x86.sse41 import Sse41

ISAS: dict[str, Isa] = {
    isa.name: isa
    for isa in (
        Isa(), Sse41(), Avx2(), AvxVnni(), Avx512Vnni(), Avx512Vbmi(), AmxInt8(),
        Neon(), Dotprod(), I8mm(), Armv7Neon(), Rvv(), Hvx(),
    )
} | {
    # Its integer kernels are those of the variant that it adds to, and are called so.
    Avx512Bf16.bfloat16_name: Avx512Bf16(),
}


def isa_of(target: Target) -> Isa:
    """Instruction variant that a target's kernels are built for."""
    return ISAS[target.isa]
