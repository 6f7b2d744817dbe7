"""What a library is linked with: the linker's own C library, or stand-ins for a system's.

A stand-in has the name and the functions of the system's library, and no code. That is enough
for the linker: it notes which library has which function, and refuses one that none has.
"""

from pathlib import Path

from octavo.compiler.artifact.toolchain import zig
from octavo.targets.abi import Abi, SystemLibrary

_OWN = ("-lm",)
# Every function must be found, now and when the library is loaded.
_STRICT = ("-nostdlib", "-Wl,-z,defs", "-Wl,-z,now")
# Arithmetic that a CPU has no instruction for; behind the others, which are asked first.
_COMPILER_RUNTIME = "-lcompiler_rt"


def system_libraries(abi: Abi | None, build: Path, name: str) -> list[str]:
    """Arguments of the linker that say where functions come from.

    Args:
        abi: The system, or None for the C library that the linker brings.
        build: Folder that the linker runs in; stand-ins are written there.
        name: What the library that is linked is called.

    Raises:
        ToolchainError: A stand-in cannot be linked.
    """
    named = f"-Wl,-soname,{name}"
    if abi is None:
        return [named, *_OWN]
    stand_ins = [_stand_in(library, abi.zig_target, build) for library in abi.libraries]
    return [*_STRICT, named, *stand_ins, _COMPILER_RUNTIME]


def _stand_in(library: SystemLibrary, zig_target: str, build: Path) -> str:
    source = f"{library.name}.c"
    lines = (f"void {symbol}(void) {{}}\n" for symbol in library.symbols)
    (build / source).write_text("".join(lines), encoding="ascii")
    flags = ("-shared", "-nostdlib", "-fno-builtin", "-fno-sanitize=all", "-g0", "-w")
    name = f"-Wl,-soname,{library.name}"
    zig(["cc", "-target", zig_target, *flags, name, "-o", library.name, source], build)
    return f"./{library.name}"
