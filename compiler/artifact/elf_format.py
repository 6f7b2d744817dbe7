"""ELF, the object format of Linux and its relatives: a shared library and a program."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from octavo.compiler.artifact.link import LINK_FLAGS, link_shared
from octavo.compiler.artifact.toolchain import COMPILE_FLAGS, runtime_objects, zig
from octavo.targets.base import Target

LIBRARY = "libmodel.so"
BENCH = "bench"


class ElfFormat:
    """See ``ObjectFormat`` and ``JoinsObjects``.

    Attributes:
        library: A shared library, which an artifact is loaded by.
        archive: GNU's format, that of Linux and its phones.
    """

    library: ClassVar[str] = LIBRARY
    archive: ClassVar[str] = "gnu"

    def write_kernels(self, module: Any, folder: Path, file_name: str) -> None:
        """Write the machine code of an LLVM module as an object, without debug sections."""
        raw = folder / f"raw-{file_name}"
        module.write_to_file(str(raw))
        self.join([raw], folder, file_name)
        raw.unlink()

    def join(self, objects: Sequence[Path], folder: Path, file_name: str) -> None:
        """Make one object of several, without debug sections."""
        # They describe the intermediate code, not anything that a user has.
        zig(["ld.lld", "-r", "--strip-debug", "-o", file_name, *map(str, objects)], folder)

    def link(self, target: Target, build: Path) -> None:
        """Make the shared library and the bench program of an artifact."""
        program_zig_target = target.program_zig_target or target.zig_target
        for zig_target in dict.fromkeys((target.zig_target, program_zig_target)):
            is_program = zig_target == program_zig_target
            paths = runtime_objects(zig_target, target.c_flags, with_bench=is_program)
            runtime = [str(path) for path in paths if path.name != "bench.o"]
            command = ["cc", "-target", zig_target, *target.c_flags]
            compile_flags = (*COMPILE_FLAGS, "-DOCTAVO_ENTRY", "-I..")
            zig([*command, *compile_flags, "-c", "../model.c", "-o", "model.o"], build)
            objects = ["model.o", "../kernels.o", *runtime]
            if zig_target == target.zig_target:
                link_shared(target, objects, build, f"../{LIBRARY}", LIBRARY)
            if is_program:
                bench = [*LINK_FLAGS, *target.link_flags, "-o", f"../{BENCH}", str(paths[-1])]
                zig([*command, *bench, *objects, "-lm"], build)
