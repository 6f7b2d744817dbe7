"""Linking: a shared library of models and the runtime."""

from collections.abc import Sequence
from pathlib import Path

from octavo.compiler.artifact.system_libraries import system_libraries
from octavo.compiler.artifact.toolchain import zig
from octavo.targets.base import Target

LINK_FLAGS = ("-s", "-Wl,--build-id=none", "-Wl,--gc-sections", "-Wl,-z,noexecstack")

# Kernels come out of TVM with default visibility; two models in one process must not see each
# other's.
_EXPORTS = "octavo_*"


def link_shared(
    target: Target,
    objects: Sequence[str],
    build: Path,
    output: str,
    name: str,
    *,
    exports: str = _EXPORTS,
) -> None:
    """Link a shared library that needs the C library of the target only.

    Args:
        target: What it is for.
        objects: Object files, best relative to ``build``: the result depends on no path then.
        build: Folder that the linker runs in; it gets further files.
        output: The library, relative to ``build``.
        name: What a program asks its system for, where it is linked with the library.
        exports: Pattern of the functions that a program finds in it.

    Raises:
        ToolchainError: The linker failed.
    """
    (build / "exports.map").write_text(
        f"{{ global: {exports}; local: *; }};\n", encoding="ascii"
    )
    command = ["cc", "-target", target.zig_target, *target.c_flags]
    flags = [*LINK_FLAGS, *target.link_flags, "-shared", "-Wl,--version-script=exports.map"]
    libraries = system_libraries(target.abi, build, name)
    zig([*command, *flags, "-o", output, *objects, *libraries], build)
