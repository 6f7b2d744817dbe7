"""What objects of Apple's systems ask of the system."""

from collections.abc import Iterable
from pathlib import Path

from octavo.compiler.artifact.macho_file import read_macho
from octavo.errors import ToolchainError
from octavo.targets.base import Target

_PREFIX = "_"  # of every C name. Source: Apple, Mach-O Programming Topics


def check_symbols(target: Target, objects: Iterable[Path]) -> None:
    """Refuse objects that would not link on the system.

    Args:
        target: What they are for, with an ``abi``.
        objects: All that is linked; they may ask each other.

    Raises:
        ToolchainError: None of the objects has a function, and the system lacks it.
    """
    assert target.abi is not None
    files = [read_macho(path) for path in objects]
    offered = {_PREFIX + s for library in target.abi.libraries for s in library.symbols}
    offered.update(*(file.defined for file in files))
    missing = sorted({s for file in files for s in file.undefined} - offered)
    if missing:
        raise ToolchainError(
            f"{target.abi.system} has no {missing[0].removeprefix(_PREFIX)},"
            f" which code for {target.name} calls"
        )
