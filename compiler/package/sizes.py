"""What each part of a package weighs."""

from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.artifact.manifest import MANIFEST
from octavo.compiler.package.libraries import Objects
from octavo.compiler.package.models import PackagedModel
from octavo.compiler.package.object_sizes import loaded_bytes


@dataclass(frozen=True)
class ModelSize:
    """Bytes of one model for one target.

    Attributes:
        name: The model.
        kernel_bytes: Machine code and tables of the layers.
        table_bytes: The program that calls them, with names, and the C functions.
        weights_bytes: The weight file.
        manifest_bytes: The manifest, which no device needs.
    """

    name: str
    kernel_bytes: int
    table_bytes: int
    weights_bytes: int
    manifest_bytes: int


@dataclass(frozen=True)
class LibrarySize:
    """Bytes of the library of one target.

    Attributes:
        target: What the models were compiled for.
        library_bytes: The library: runtime, kernels and tables.
        runtime_bytes: The library without kernels and tables.
        models: The models in it.
    """

    target: str
    library_bytes: int
    runtime_bytes: int
    models: tuple[ModelSize, ...]


def measure_models(
    objects: Objects, models: tuple[PackagedModel, ...]
) -> tuple[ModelSize, ...]:
    """Weigh what each model has of its own."""
    return tuple(
        ModelSize(
            name=model.name,
            kernel_bytes=loaded_bytes(objects.target, objects.models[model.name].kernels),
            table_bytes=loaded_bytes(objects.target, objects.models[model.name].table),
            weights_bytes=model.num_bytes("weights.bin"),
            manifest_bytes=model.num_bytes(MANIFEST),
        )
        for model in models
    )


def measure_library(
    objects: Objects, models: tuple[PackagedModel, ...], library: Path
) -> LibrarySize:
    """Weigh a shared library, and what it is made of."""
    sizes = measure_models(objects, models)
    library_bytes = library.stat().st_size
    own_bytes = sum(size.kernel_bytes + size.table_bytes for size in sizes)
    return LibrarySize(objects.target.name, library_bytes, library_bytes - own_bytes, sizes)
