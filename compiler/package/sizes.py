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
class TargetSize:
    """Bytes of the libraries of one target.

    Attributes:
        target: Its name.
        shared_bytes: The shared library: runtime, kernels and tables.
        static_bytes: The archive; a program takes a part of it.
        runtime_bytes: The shared library without kernels and tables.
        models: The models in it.
    """

    target: str
    shared_bytes: int
    static_bytes: int
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


def measure_target(
    objects: Objects, models: tuple[PackagedModel, ...], shared: Path, static: Path
) -> TargetSize:
    """Weigh the libraries of a target, and what they are made of."""
    sizes = measure_models(objects, models)
    shared_bytes = shared.stat().st_size
    own_bytes = sum(size.kernel_bytes + size.table_bytes for size in sizes)
    return TargetSize(
        target=objects.target.name,
        shared_bytes=shared_bytes,
        static_bytes=static.stat().st_size,
        runtime_bytes=shared_bytes - own_bytes,
        models=sizes,
    )
