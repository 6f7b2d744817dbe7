"""Mach-O, the object format of Apple's systems: a static library, which Xcode links to an app.

Objects come out of LLVM as they are shipped. What would need a linker, debug sections and the
visibility of functions, is settled before, in LLVM's own language: its computations stay.
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from octavo.compiler.artifact.macho_symbols import check_symbols
from octavo.compiler.artifact.static_library import make_archive, named_runtime
from octavo.compiler.artifact.toolchain import COMPILE_FLAGS, zig
from octavo.targets.base import Target

LIBRARY = "libmodel.a"

# Source: LLVM Language Reference Manual, debug records and metadata. What a name of metadata
# was given to and nobody names is not read.
_DEBUG = re.compile(r"^\s*#dbg_.*\n|^!llvm\.dbg\.cu = .*\n|,? !dbg !\d+", re.MULTILINE)
# Functions for other objects of the same app, but not for other libraries. Private ones have
# no visibility.
_EXPORTED = re.compile(
    r"^(define (?!private |internal )(?:weak )?)(?:dso_local )?(?:hidden )?(?:dllexport )?",
    re.MULTILINE,
)


class MachOFormat:
    """See ``ObjectFormat``.

    Attributes:
        library: A static library.
        archive: Apple's format, with an index that its linkers read.
    """

    library: ClassVar[str] = LIBRARY
    archive: ClassVar[str] = "darwin"

    def write_kernels(self, module: Any, folder: Path, file_name: str) -> None:
        """Write the machine code of an LLVM module as an object, without debug sections."""
        import tvm

        text = for_linking(module.inspect_source("ll"))
        with TemporaryDirectory() as name:
            path = Path(name) / "kernels.ll"
            path.write_text(text, encoding="utf-8")
            tvm.runtime.load_module(str(path)).write_to_file(str(folder / file_name))

    def link(self, target: Target, build: Path) -> None:
        """Make the static library of an artifact.

        Raises:
            ToolchainError: A tool failed, or the system lacks a function.
        """
        command = ["cc", "-target", target.zig_target, *target.c_flags, *COMPILE_FLAGS, "-I.."]
        zig([*command, "-c", "../model.c", "-o", "model.o"], build)
        (build / "kernels.o").write_bytes((build.parent / "kernels.o").read_bytes())
        members = [build / "model.o", build / "kernels.o", *named_runtime(target, build)]
        check_symbols(target, members)
        make_archive(self.archive, members, build.parent / LIBRARY)


def for_linking(text: str) -> str:
    """LLVM code whose functions other objects find, and debuggers do not.

    A debugger would look for the source of what TVM made up, and an app would export its
    kernels.

    Args:
        text: Of a module that defines functions.
    """
    return _EXPORTED.sub(r"\1hidden ", _DEBUG.sub("", text))
