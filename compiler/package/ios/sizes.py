"""What each part of a package for Apple's systems weighs."""

from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.package.libraries import Objects
from octavo.compiler.package.models import PackagedModel
from octavo.compiler.package.object_sizes import loaded_bytes
from octavo.compiler.package.record import Package
from octavo.compiler.package.sizes import LibrarySize, measure_models


@dataclass(frozen=True)
class SliceSize(LibrarySize):
    """Bytes of one slice. The library is static: an app takes what its models need of it.

    Attributes:
        slice: Its name, such as "ios-arm64".
    """

    slice: str


@dataclass(frozen=True)
class IosPackage(Package):
    """What was written: the folder is a Swift package.

    Attributes:
        framework_bytes: The XCFramework: libraries and headers.
        weights_bytes: The weights of all slices, which an app gets.
        sizes: What each part weighs, by slice.
        notes: What the user should know.
    """

    framework_bytes: int
    weights_bytes: int
    sizes: tuple[SliceSize, ...]
    notes: tuple[str, ...]


def measure_slice(
    name: str, objects: Objects, models: tuple[PackagedModel, ...], library: Path
) -> SliceSize:
    """Weigh the library of a slice, and what it is made of."""
    return SliceSize(
        slice=name,
        target=objects.target.name,
        runtime_bytes=sum(loaded_bytes(objects.target, path) for path in objects.runtime),
        library_bytes=library.stat().st_size,
        models=measure_models(objects, models),
    )
