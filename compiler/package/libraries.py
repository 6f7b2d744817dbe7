"""One runtime and several models: objects, a static and a shared library for a target."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.artifact.link import link_shared
from octavo.compiler.artifact.object_format import object_format
from octavo.compiler.artifact.static_library import make_archive, named_runtime
from octavo.compiler.artifact.toolchain import COMPILE_FLAGS, zig
from octavo.compiler.package.models import PackagedModel
from octavo.errors import ArtifactError
from octavo.targets.base import Target


@dataclass(frozen=True)
class ModelObjects:
    """Object files of one model.

    Attributes:
        kernels: Machine code of the layers.
        table: The program, which calls them, and the model's own C functions.
    """

    kernels: Path
    table: Path


@dataclass(frozen=True)
class Objects:
    """What the libraries of one target are made of.

    Attributes:
        target: What they are for.
        runtime: Object files of the runtime.
        models: Of each model, by name.
    """

    target: Target
    runtime: tuple[Path, ...]
    models: dict[str, ModelObjects]

    def paths(self) -> list[Path]:
        """All of them, the models' first."""
        own = [path for model in self.models.values() for path in (model.table, model.kernels)]
        return [*own, *self.runtime]


def build_objects(target: Target, models: Sequence[PackagedModel], build: Path) -> Objects:
    """Compile the tables of models, and the runtime.

    Args:
        target: What all of the models were compiled for.
        models: They have different names.
        build: Folder that gets the objects; one target's, and empty.

    Raises:
        ToolchainError: The compiler failed.
    """
    build.mkdir(parents=True)
    command = ["cc", "-target", target.zig_target, *target.c_flags, *COMPILE_FLAGS]
    objects = {}
    for model in models:
        kernels, table = f"{model.name}_kernels.o", f"{model.name}_model.o"
        shutil.copyfile(model.folder / "kernels.o", build / kernels)
        source = os.path.relpath(model.folder / "model.c", build)
        zig([*command, "-c", source, "-o", table], build)
        objects[model.name] = ModelObjects(build / kernels, build / table)
    return Objects(target, tuple(named_runtime(target, build)), objects)


def make_static(objects: Objects, path: Path) -> None:
    """Write an archive, of which a program that is linked takes the models that it calls.

    Raises:
        ToolchainError: The archiver failed.
    """
    make_archive(object_format(objects.target).archive, objects.paths(), path)


def make_shared(objects: Objects, path: Path) -> None:
    """Write a shared library of all models.

    Raises:
        ArtifactError: The target's system has its own linker.
        ToolchainError: The linker failed.
    """
    if not objects.target.has_programs:
        raise ArtifactError(
            f"there are no shared libraries for {objects.target.name}:"
            " octavo package --ios makes a Swift package"
        )
    build = objects.runtime[0].parent
    names = [member.name for member in objects.paths()]
    link_shared(objects.target, names, build, os.path.relpath(path, build), path.name)
