"""Kinds of 64-bit Arm cores. Caches are given where the core has one size only.

What instructions a core has is LLVM's knowledge: a test compares it with the levels.
"""

from octavo.targets.device import Core

KIB = 1024


def _arm(name: str, document: str, l1_kib: int | None = None) -> Core:
    return Core(
        name=f"Cortex-{name}",
        llvm_cpu=f"cortex-{name.lower()}",
        l1_bytes=None if l1_kib is None else l1_kib * KIB,
        source=f"Arm Cortex-{name} Technical Reference Manual, {document}",
    )


CORTEX_A53 = _arm("A53", "DDI 0500")
CORTEX_A55 = _arm("A55", "100442")
CORTEX_A57 = _arm("A57", "DDI 0488", 32)
CORTEX_A72 = _arm("A72", "100095", 32)
CORTEX_A76 = _arm("A76", "100798", 64)
CORTEX_A77 = _arm("A77", "101111", 64)
CORTEX_A78 = _arm("A78", "101430")
CORTEX_A78AE = _arm("A78AE", "101779")
CORTEX_X1 = _arm("X1", "101433", 64)
CORTEX_A510 = _arm("A510", "101604")
CORTEX_A710 = _arm("A710", "101800")
CORTEX_X2 = _arm("X2", "101803", 64)
CORTEX_A715 = _arm("A715", "101590")
CORTEX_X3 = _arm("X3", "101593", 64)
CORTEX_A520 = _arm("A520", "102517")
CORTEX_A720 = _arm("A720", "102530")
CORTEX_X4 = _arm("X4", "102484", 64)
CORTEX_A725 = _arm("A725", "107652")

ORYON = Core(
    name="Oryon",
    llvm_cpu="oryon-1",
    source="LLVM 22, llvm/lib/Target/AArch64/AArch64Processors.td: Oryon",
)
