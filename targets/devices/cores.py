"""Kinds of 64-bit Arm cores. Caches are given where the core has one size only.

What instructions a core has is LLVM's knowledge: a test compares it with the levels.
"""

from octavo.targets.device import Core

KIB = 1024
_LLVM = "LLVM, llvm/lib/Target/AArch64/AArch64Processors.td"


def _arm(name: str, l1_kib: int | None = None, source: str = _LLVM) -> Core:
    return Core(
        name=f"Cortex-{name}",
        llvm_cpu=f"cortex-{name.lower()}",
        l1_bytes=None if l1_kib is None else l1_kib * KIB,
        source=source,
    )


CORTEX_A53 = _arm("A53")
CORTEX_A55 = _arm("A55")
CORTEX_A57 = _arm("A57", 32, "pytorch/cpuinfo, src/arm/cache.c: Arm's manual of Cortex-A57")
CORTEX_A72 = _arm("A72", 32, "pytorch/cpuinfo, src/arm/cache.c: Arm's manual of Cortex-A72")
CORTEX_A76 = _arm("A76", 64, "Linux, bcm2712.dtsi: Arm's manual of Cortex-A76, 100798")
CORTEX_A77 = _arm("A77")
CORTEX_A78 = _arm("A78")
CORTEX_A78AE = _arm("A78AE")
CORTEX_X1 = _arm("X1", 64, "Wikipedia, ARM Cortex-X1")
CORTEX_A510 = _arm("A510")
CORTEX_A710 = _arm("A710")
CORTEX_X2 = _arm("X2", 64, "Wikipedia, ARM Cortex-X2")
CORTEX_A715 = _arm("A715")
CORTEX_X3 = _arm("X3")
CORTEX_A520 = _arm("A520")
CORTEX_A720 = _arm("A720")
CORTEX_X4 = _arm("X4")
CORTEX_A725 = _arm("A725")

ORYON = Core(name="Oryon", llvm_cpu="oryon-1", source=_LLVM)
