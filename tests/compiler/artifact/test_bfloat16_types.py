"""LLVM code gets the type and the intrinsic that kernels mean, and nothing else changes."""

import re

from octavo.compiler.artifact.bfloat16_types import retyped
from octavo.compiler.artifact.native_code import native_code
from octavo.targets import get_target
from octavo.targets.instructions import isa_of
from octavo.targets.library import select
from octavo.targets.ops.bfloat16_conv import Bfloat16Conv
from octavo.targets.ops.conv import Conv

TARGET = get_target("x86-64-avx512bf16")
ISA = isa_of(TARGET)
PRODUCT = "  %1 = call <16 x float> @llvm.x86.avx10.vdpphps.512(<32 x half> %a)"


def module_of(*operations):
    import tvm

    functions = {f"k{i}": select(op, ISA).build(op, ISA) for i, op in enumerate(operations)}
    alignments = {name: [64] * len(f.params) for name, f in functions.items()}
    return native_code(functions, alignments, tvm.target.Target(TARGET.tvm_target()))


def definitions(module):
    text = module.inspect_source("ll")
    return {
        re.search(r"@(\S+)\(", body).group(1): body
        for body in re.findall(r"^define .*?^}$", text, re.MULTILINE | re.DOTALL)
    }


def test_only_code_with_a_stand_in_is_retyped():
    assert retyped("  %1 = fadd half %a, %b") == "  %1 = fadd half %a, %b"
    meant = "  %1 = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<32 x bfloat> %a)"
    assert retyped(PRODUCT) == meant


def test_functions_of_one_program_keep_their_own_types():
    """Those that convert half-precision numbers come with every module."""
    found = definitions(module_of(Bfloat16Conv(1, 1, 64, 64, 64), Conv(1, 1, 64, 64, 64)))
    products = [name for name, body in found.items() if "dpbf16ps" in body]
    assert [name for name in products if name.startswith("k0")]
    assert not [name for name in products if name.startswith("k1")]
    assert "half" in found["__extendhfsf2"]
    assert not any("bfloat" in body for name, body in found.items() if name not in products)
    assert not any("vdpphps" in body for body in found.values())


def test_the_same_code_comes_out_every_time():
    first, second = (
        module_of(Bfloat16Conv(1, 1, 64, 64, 64)).inspect_source("asm") for _ in range(2))
    assert first == second
