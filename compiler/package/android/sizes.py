"""What each part of an AAR weighs."""

from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.package.record import Package
from octavo.compiler.package.sizes import LibrarySize


@dataclass(frozen=True)
class AbiSize(LibrarySize):
    """Bytes of one ABI.

    Attributes:
        abi: Android's name of it.
    """

    abi: str


@dataclass(frozen=True)
class AndroidPackage(Package):
    """What was written.

    Attributes:
        aar: The archive.
        aar_bytes: Its size.
        classes_bytes: Of classes.jar in it.
        sizes: What each part weighs, by ABI.
    """

    aar: Path
    aar_bytes: int
    classes_bytes: int
    sizes: tuple[AbiSize, ...]
