"""What each part of a package for Apple's systems weighs."""

from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.package.libraries import Objects
from octavo.compiler.package.models import PackagedModel
from octavo.compiler.package.object_sizes import loaded_bytes
from octavo.compiler.package.sizes import ModelSize, measure_models


@dataclass(frozen=True)
class SliceSize:
    """Bytes of one slice.

    Attributes:
        slice: Its name, such as "ios-arm64".
        target: What the models were compiled for.
        runtime_bytes: Code and constants of the runtime, of which an app takes what its models
            need.
        library_bytes: The static library.
        models: The models in it.
    """

    slice: str
    target: str
    runtime_bytes: int
    library_bytes: int
    models: tuple[ModelSize, ...]


@dataclass(frozen=True)
class IosPackage:
    """What was written.

    Attributes:
        directory: The folder, a Swift package.
        name: Of the package.
        framework_bytes: The XCFramework: libraries and headers.
        weights_bytes: The weights of all slices, which an app gets.
        sizes: What each part weighs, by slice.
        notes: What the user should know.
    """

    directory: Path
    name: str
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
