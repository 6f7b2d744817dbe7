"""Kernels for Apple's systems compute what those for Linux do, bit for bit.

Nothing here runs them as they are. What LLVM is given is compared, and what it makes of it is
assembled as a program for Linux, which an emulator runs.
"""

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.targets import test_binary, test_float_layer_norm, test_softmax
from tests.targets.emulation import cases_of, run_cases
from tests.targets.test_emulated import each_family
from tests.targets.test_machine_code import OPERATIONS, taken_by

from octavo.compiler.artifact.macho_format import for_linking
from octavo.compiler.artifact.native_code import native_code
from octavo.compiler.artifact.toolchain import zig
from octavo.targets import SYSTEMS, TARGETS
from octavo.targets.instructions import isa_of
from octavo.targets.library import select

APPLE = {n: t for n, t in SYSTEMS.items() if t.abi.object_format == "mach-o"}
# One for each level and its code on Linux; what is left differs by the system's name.
LEVELS = {target.level: target for target in reversed(APPLE.values())}
EMULATED = ("arm64-neon", "arm64-dotprod", "arm64-i8mm")
# How names are written, which alignment LLVM prefers where any is allowed, and a section.
OF_THE_SYSTEM = re.compile(r'^target (datalayout|triple) = .*$| section "[^"]*"', re.MULTILINE)
# What is known of types and loops has a number, and is behind the functions.
METADATA = re.compile(r"^!.*\n|,? ?!\w+(\.\w+)* !\d+", re.MULTILINE)


def llvm_code(functions, alignments, target):
    import tvm

    machine = tvm.target.Target(target.tvm_target())
    return native_code(functions, alignments, machine).inspect_source("ll")


def assembly(text):
    """What LLVM makes of its own language."""
    import tvm

    with TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.ll"
        path.write_text(text)
        return tvm.runtime.load_module(str(path)).inspect_source("asm")


def as_elf(code):
    """Assembler for Apple's systems, for Linux: the same instructions with other directives.

    Source: LLVM, MCSectionMachO.cpp and AArch64AsmParser.cpp; AArch64 ELF relocations.
    """
    of_apple = r"build_version|loh|subsections_via_symbols|data_region|end_data_region"
    code = re.sub(rf"^\s*\.({of_apple})\b.*\n", "", code, flags=re.MULTILINE)
    code = re.sub(r";.*$", "", code, flags=re.MULTILINE)  # comments
    code = re.sub(r"\.section\s+__TEXT,__text.*", ".text", code)
    code = re.sub(r"\.section\s+__(TEXT|DATA),__(const|literal).*", ".section .rodata", code)
    code = code.replace(".private_extern", ".hidden").replace(".weak_definition", ".weak")
    code = re.sub(r"\b(\w+)@PAGEOFF\b", r":lo12:\1", code).replace("@PAGE", "")
    return re.sub(r"(?<![\w.$])_(?=[A-Za-z_])", "", code)  # in front of C's names


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["3x3 strided, residual", "linear", "signed product"])
def test_llvm_is_given_the_same_as_for_linux(level, name):
    target, op = TARGETS[level], taken_by(OPERATIONS[name], TARGETS[level])
    isa = isa_of(target)
    function = select(op, isa).build(op, isa)
    given = {"kernel": function}, {"kernel": [64] * len(function.params)}
    codes = [llvm_code(*given, t) for t in (target, LEVELS[level])]
    assert codes[0] != codes[1]
    first, second = (
        METADATA.sub("", OF_THE_SYSTEM.sub("", for_linking(code))) for code in codes)
    assert first == second
    assert re.search(r"^define hidden .*@kernel\(", second, re.MULTILINE)
    assert not re.search(r"\b(fast|contract|reassoc|nnan|denormal-fp-math)\b", second)


def test_debuggers_are_told_nothing():
    level, target = "arm64-neon", LEVELS["arm64-neon"]
    op = taken_by(OPERATIONS["linear"], target)
    isa = isa_of(target)
    function = select(op, isa).build(op, isa)
    alignments = {"kernel": [64] * len(function.params)}
    text = llvm_code({"kernel": function}, alignments, target)
    assert "__DWARF" in assembly(text)
    code = assembly(for_linking(text))
    assert "__DWARF" not in code
    assert ".private_extern\t_kernel\n" in code
    assert level == target.level


def write_twin(functions, alignments, target, folder):
    """Write what is compiled for iOS as an object for Linux."""
    text = for_linking(llvm_code(functions, alignments, LEVELS[target.name]))
    code = assembly(text)
    assert "__TEXT,__text" in code
    assert not re.search(r"\b[wx]18\b", code)  # Apple's systems keep the register
    allowed = ".arch armv8.2-a+dotprod+i8mm+bf16\n"
    (folder / "kernels.s").write_text(allowed + as_elf(code))
    zig(["cc", "-target", "aarch64-linux-musl", "-c", "kernels.s", "-o", "kernels.o"], folder)


@pytest.mark.slow
@pytest.mark.parametrize("level", EMULATED)
def test_kernels_equal_their_references(level, tmp_path):
    target = TARGETS[level]
    if shutil.which(target.emulator.program) is None:
        pytest.skip(f"needs {target.emulator.program} (Debian package qemu-user)")
    chosen = (
        (each_family, 1),
        (test_softmax.test_extremes, 1),
        (test_float_layer_norm.test_rows, 15),
        (test_binary.test_float_is_exact, 7),
    )
    cases = [case for test, step in chosen for case in cases_of(test, target, step)]
    assert run_cases(cases, target, tmp_path, write_twin) == {}
    assert any(case.answers for case in cases)
