"""Give bfloat16 to LLVM, for which TVM has no type.

Functions that multiply bfloat16 numbers name intrinsics of half-precision numbers instead
(octavo.targets.x86.avx512_bf16, octavo.targets.arm64.bf16). Here the optimized LLVM code of
these functions gets the intrinsics and the type that were meant, and is loaded again. Other
functions stay as they are: half-precision numbers of theirs are just that.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

DEFINITION = re.compile(r"^define .*?^}$", re.MULTILINE | re.DOTALL)
DECLARATION = re.compile(r"^declare .*$", re.MULTILINE)
HALF = re.compile(r"\bhalf\b")


def names_stand_ins(functions: Mapping[str, Any]) -> bool:
    """Whether any of some PrimFuncs multiplies bfloat16 numbers."""
    from octavo.targets.bfloat16_isa import BFLOAT16_MARK

    return any(f.attrs is not None and BFLOAT16_MARK in f.attrs for f in functions.values())


def with_bfloat16(module: Any) -> Any:
    """Replace what stands for products of bfloat16 numbers in an LLVM module.

    Args:
        module: From ``codegen_build``, for a CPU with these products.
    """
    import tvm

    text = module.inspect_source("ll")
    text = DEFINITION.sub(lambda found: retyped(found.group()), text)
    text = DECLARATION.sub(lambda found: retyped(found.group()), text)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.ll"
        path.write_text(text, encoding="utf-8")
        return tvm.runtime.load_module(str(path))


def retyped(code: str) -> str:
    """One function or declaration of LLVM code, with the bfloat16 numbers that it means."""
    from octavo.targets.arm64 import bf16
    from octavo.targets.x86 import avx512_bf16

    meant = code
    for name, intended in (bf16.STAND_INS | avx512_bf16.STAND_INS).items():
        meant = meant.replace(f"@{name}(", f"@{intended}(")
    return code if meant == code else HALF.sub("bfloat", meant)
