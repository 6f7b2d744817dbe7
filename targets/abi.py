"""The system that a library is linked for, where that is not the linker's own C library."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SystemLibrary:
    """A shared library that every device of a system has.

    Attributes:
        name: Its file name, as libraries ask for it.
        symbols: Functions that may be taken from it; it can have more.
    """

    name: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Abi:
    """Binary interface of a system whose C library the linker does not have.

    A library for it is linked against ``libraries`` and nothing else, so that one that would
    not load on the device does not link. Where the system's own linker makes the program, an
    artifact has a static library, which is checked in the same way.

    Attributes:
        system: Name of the system.
        name: The system's own name of the interface, such as "arm64-v8a".
        variant: What else tells it apart, such as "simulator"; "" for devices.
        api_level: Oldest version of its interface that has all of ``libraries``; of systems
            without such a number, the oldest version of the system.
        object_format: "elf" or "mach-o", how machine code is stored.
        headers: Folder of the C library's headers among those of the C compiler, where it does
            not look there on its own for ``zig_target``.
        triple: LLVM target triple: registers that the system keeps for itself, thread-local
            variables.
        zig_target: What ``zig cc -target`` is given to compile and link for it.
        program_zig_target: What programs are linked for that an emulator runs; "" takes the
            level's own.
        libraries: What the system has.
        sources: Where the facts come from.
    """

    system: str
    name: str
    variant: str = ""
    api_level: int
    object_format: str = "elf"
    headers: str = ""
    triple: str
    zig_target: str
    program_zig_target: str = ""
    libraries: tuple[SystemLibrary, ...]
    sources: tuple[str, ...]

    @property
    def has_programs(self) -> bool:
        """Whether programs and shared libraries are linked here, not by the system's own."""
        return self.object_format == "elf"
