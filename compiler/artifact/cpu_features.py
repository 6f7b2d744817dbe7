"""Instruction sets that a target's code may use, as the bits that the runtime checks.

LLVM uses whatever the target's CPU has, so what a program needs is what LLVM believes of that
CPU, limited to the extensions that the runtime can look up. AMX is the exception: LLVM never
uses tiles on its own, so only a target that names it needs it.
"""

from collections.abc import Mapping
from typing import Any

# Bit i of the mask, under LLVM's names; the same order as runtime/src/cpu_features.c.
X86_FEATURES = (
    "sse4.2", "popcnt", "movbe", "lzcnt", "bmi", "bmi2", "gfni",
    "avx", "f16c", "fma", "avx2", "avxvnni", "avxvnniint8",
    "avx512f", "avx512dq", "avx512ifma", "avx512cd", "avx512bw", "avx512vl", "avx512vbmi",
    "avx512vbmi2", "avx512vnni", "avx512bitalg", "avx512vpopcntdq", "avx512bf16", "avx512fp16",
    "amx-tile", "amx-int8", "amx-bf16",
)  # fmt: skip
AARCH64_FEATURES = ("dotprod", "fullfp16", "sve", "sve2", "i8mm", "bf16")
ARM_FEATURES = ("neon", "vfp4")


def feature_table(triple: str) -> tuple[str, ...]:
    """Features that the runtime can check on the architecture of an LLVM triple."""
    architecture = triple.split("-", 1)[0]
    if architecture in ("x86_64", "i686", "i386"):
        return X86_FEATURES
    if architecture in ("aarch64", "arm64"):
        return AARCH64_FEATURES
    if architecture.startswith("armv7"):
        return ARM_FEATURES
    return ()


def required_features(tvm_target: Mapping[str, object]) -> tuple[str, ...]:
    """What a CPU must have to run code that is generated for ``tvm_target``.

    Args:
        tvm_target: ``Target.tvm_target()``: ``mtriple``, ``mcpu`` and perhaps ``mattr``.

    Returns:
        Feature names, in the order of their bits.
    """
    table = feature_table(str(tvm_target["mtriple"]))
    if not table:
        return ()
    import tvm
    from tvm.target.codegen import llvm_get_cpu_features

    enabled: Any = llvm_get_cpu_features(tvm.target.Target(dict(tvm_target)))
    attributes: Any = tvm_target.get("mattr", ())
    named = {str(attribute)[1:] for attribute in attributes}
    names = {str(name) for name in enabled}
    return tuple(n for n in table if n in names and (n in named or not n.startswith("amx-")))


def feature_mask(triple: str, names: tuple[str, ...]) -> int:
    """The bits of ``names``, 64-bit."""
    table = feature_table(triple)
    return sum(1 << table.index(name) for name in names)
