"""What differs between the files of object formats: kernels, archives, libraries, programs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from octavo.compiler.artifact.elf_format import ElfFormat
from octavo.compiler.artifact.macho_format import MachOFormat
from octavo.targets.base import Target


class ObjectFormat(Protocol):
    """Makes the files of an artifact that hold machine code.

    Attributes:
        library: Name of the artifact's library.
        archive: What ``zig ar --format`` is given.
    """

    library: ClassVar[str]
    archive: ClassVar[str]

    def write_kernels(self, module: Any, folder: Path, file_name: str) -> None:
        """Write the machine code of an LLVM module as an object, without debug sections.

        Args:
            module: From ``native_code``.
            folder: Where to work; nothing else is left behind.
            file_name: Name of the object.

        Raises:
            ToolchainError: A tool failed.
        """

    def link(self, target: Target, build: Path) -> None:
        """Make what of an artifact is linked, from ``model.c``, ``kernels.o`` and the runtime.

        Args:
            target: What it is for.
            build: Empty folder in the artifact's, which gets a library and, where it can be
                linked, ``bench``.

        Raises:
            ToolchainError: A tool failed, or the system lacks a function.
        """


@runtime_checkable
class JoinsObjects(Protocol):
    """A format whose linker makes one object of several."""

    def join(self, objects: Sequence[Path], folder: Path, file_name: str) -> None:
        """Write an object of what others have, but debug sections.

        Args:
            objects: What to join.
            folder: Where to work.
            file_name: Name of the object.

        Raises:
            ToolchainError: The linker failed.
        """


_FORMATS: dict[str, ObjectFormat] = {"elf": ElfFormat(), "mach-o": MachOFormat()}


def object_format(target: Target) -> ObjectFormat:
    """The format of a target's system."""
    return _FORMATS["elf" if target.abi is None else target.abi.object_format]
