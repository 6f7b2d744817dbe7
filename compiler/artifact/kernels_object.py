"""Machine code of a program's kernels: one relocatable object."""

import math
from collections.abc import Mapping
from pathlib import Path

from octavo.compiler.artifact.elf_format import ElfFormat
from octavo.compiler.artifact.kernel_cache import KernelCache
from octavo.compiler.artifact.native_code import native_code
from octavo.compiler.artifact.object_format import JoinsObjects, ObjectFormat
from octavo.compiler.lowering.program import Program
from octavo.errors import ToolchainError


def kernel_symbol(program: Program, kernel: str) -> str:
    """Name of a kernel in the object file, distinct from C's own and other models' names."""
    return f"k_{program.name}_{kernel}"


def operand_alignments(program: Program) -> dict[str, tuple[int, ...]]:
    """Bytes that every address passed for each parameter is a multiple of.

    Buffers have an alignment of their own; operands that start inside one may have less.

    Raises:
        ValueError: A step passes another number of operands than its kernel takes.
    """
    alignments = {
        name: [program.alignment] * len(function.params)
        for name, function in program.functions.items()
    }
    for step in program.steps:
        if step.on_accelerator:
            continue
        parameters = alignments[step.kernel]
        if len(parameters) != len(step.operands):
            raise ValueError(
                f"step {step.name!r} passes {len(step.operands)} operands,"
                f" kernel {step.kernel!r} takes {len(parameters)}"
            )
        for index, operand in enumerate(step.operands):
            whole = operand.buffer.alignment_of(program.alignment)
            own = math.gcd(whole, operand.offset_bytes)
            parameters[index] = math.gcd(parameters[index], own)
    return {name: tuple(values) for name, values in alignments.items()}


def build_kernels(
    program: Program,
    tvm_target: Mapping[str, object],
    folder: Path,
    file_name: str,
    cache: KernelCache | None = None,
    files: ObjectFormat | None = None,
) -> None:
    """Compile the functions that the steps call into ``folder / file_name``.

    Args:
        program: Its functions, by symbol.
        tvm_target: ``Target.tvm_target()``.
        folder: Where to work; nothing else is left behind.
        file_name: Name of the object file.
        cache: Where objects of single functions are kept; None compiles all of them together,
            as does a format whose objects are not joined.
        files: Format of the object; None for ELF.

    Raises:
        LoweringError: A kernel needs too much local memory.
        ToolchainError: Code generation failed.
    """
    import tvm

    target = tvm.target.Target(dict(tvm_target))
    alignments = operand_alignments(program)
    # Sorted: the same program gives the same bytes, however its functions came together.
    names = sorted({step.kernel for step in program.steps if not step.on_accelerator})
    functions = {kernel_symbol(program, name): program.functions[name] for name in names}
    symbol_alignments = {kernel_symbol(program, name): alignments[name] for name in names}
    files = files or ElfFormat()
    try:
        if cache is not None and isinstance(files, JoinsObjects):
            objects = cache.objects(functions, symbol_alignments, target)
            files.join(objects, folder, file_name)
        else:
            code = native_code(functions, symbol_alignments, target)
            files.write_kernels(code, folder, file_name)
    except RuntimeError as error:  # TVM's own errors are subclasses
        raise ToolchainError(f"code generation failed: {_last_line(error)}") from error


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
