"""The bench program of an artifact with its symbols: those of the shipped one are stripped."""

from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.artifact.toolchain import runtime_objects, zig
from octavo.compiler.counting.elf_symbols import read_functions
from octavo.compiler.counting.execute import Mark
from octavo.targets.base import Target

_PROGRAM = "bench"
_COMPILE_FLAGS = ("-std=c11", "-O2", "-fPIC", "-fno-sanitize=all", "-g0", "-DOCTAVO_ENTRY")
_LINK_FLAGS = ("-no-pie", "-Wl,--gc-sections", "-Wl,-z,noexecstack")
_RUN = "run.o"  # of the runtime: calls the steps


@dataclass(frozen=True)
class BenchProgram:
    """A program that runs an artifact's model.

    Attributes:
        path: The executable.
        marks: Step ``i`` owns what it executes under label ``i + 1``, the runtime between the
            steps under ``runtime_label``, and the rest of the program under others.
        runtime_label: As said.
    """

    path: Path
    marks: tuple[Mark, ...]
    runtime_label: int


def build_bench_program(
    artifact: Path, target: Target, num_steps: int, folder: Path
) -> BenchProgram:
    """Link an artifact's model and kernels to a program whose functions can be found.

    Args:
        artifact: The artifact's folder.
        target: What it was compiled for.
        num_steps: Of the artifact's program.
        folder: Where the program goes.

    Raises:
        ToolchainError: The compiler or the linker failed.
    """
    zig_target = target.program_zig_target or target.zig_target
    objects = runtime_objects(zig_target, target.c_flags)
    source = artifact.resolve()
    command = ["cc", "-target", zig_target, *target.c_flags]
    zig([*command, *_COMPILE_FLAGS, "-c", str(source / "model.c"), "-o", "model.o"], folder)
    command += [*_LINK_FLAGS, *target.link_flags, "-o", _PROGRAM]
    linked = ["model.o", str(source / "kernels.o"), *map(str, objects), "-lm"]
    zig([*command, *linked], folder)
    *runtime, bench = objects
    steps = {f"step_{index}": index + 1 for index in range(num_steps)}
    runtime_label = num_steps + 1
    between = _names(next(path for path in runtime if path.name == _RUN))
    around = _names(bench)
    marks = []
    for function in read_functions(folder / _PROGRAM):
        begin, name = function.address, function.name
        if name in steps:
            # Its first instruction only: the step's kernel is called from there, or jumped to.
            marks.append(Mark(begin, begin + 1, steps[name]))
        elif name in between or name in around:
            label = runtime_label if name in between else num_steps + 2
            marks.append(Mark(begin, begin + max(function.num_bytes, 1), label))
    return BenchProgram(folder / _PROGRAM, tuple(marks), runtime_label)


def _names(path: Path) -> set[str]:
    return {function.name for function in read_functions(path)}
