"""A C SDK: headers, libraries and an example, for builds that have no Python."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from octavo.compiler.artifact.manifest import MANIFEST
from octavo.compiler.artifact.new_folder import new_folder
from octavo.compiler.package.c_example import example_source
from octavo.compiler.package.c_readme import c_readme
from octavo.compiler.package.cmake_config import cmake_files
from octavo.compiler.package.interfaces import package_headers
from octavo.compiler.package.libraries import build_objects, make_shared, make_static
from octavo.compiler.package.licences import LICENSE, licence_text
from octavo.compiler.package.models import PackagedModel, collect_models
from octavo.compiler.package.names import check_name, package_name
from octavo.compiler.package.pkg_config import pkg_config_file
from octavo.compiler.package.record import PACKAGE, Package, write_record
from octavo.compiler.package.sizes import LibrarySize, measure_library

Models = dict[str, tuple[PackagedModel, ...]]


@dataclass(frozen=True)
class SdkSize(LibrarySize):
    """Bytes of the libraries of one target; those of the base are of the shared one.

    Attributes:
        static_bytes: The static library, of which a program takes a part.
    """

    static_bytes: int


@dataclass(frozen=True)
class SdkPackage(Package):
    """What was written; the libraries have its name, behind ``lib``.

    Attributes:
        sizes: What each part weighs, by target.
    """

    sizes: tuple[SdkSize, ...]


def package_c(
    artifacts: Sequence[str | os.PathLike[str]],
    directory: str | os.PathLike[str],
    *,
    name: str | None = None,
    force: bool = False,
) -> SdkPackage:
    """Write a C SDK of artifacts, which share one runtime.

    Args:
        artifacts: Folders that the compiler wrote: every model for every target.
        directory: Folder to create.
        name: Of the package: a C identifier. None: ``octavo_`` and the model's name, or
            ``octavo_models`` where there are several.
        force: Replace a package that is already there.

    Raises:
        ArtifactError: An artifact does not fit, see ``collect_models``; the name is not one;
            ``directory`` exists, and ``force`` is off or it holds no package.
        TargetError: An artifact was compiled for a target that is not known.
        ToolchainError: The compiler or the linker failed.
    """
    check_name(name)
    with new_folder(directory, PACKAGE, force=force) as folder:
        models = collect_models(artifacts)
        package = package_name(name, models)
        _write_headers(models, folder)
        sizes = tuple(_write_target(t, m, folder, package) for t, m in models.items())
        _write_models(models, folder)
        _write_texts(models, folder, package, sizes)
        write_record(folder, "c", package, {"sizes": [asdict(size) for size in sizes]})
    return SdkPackage(Path(os.path.abspath(directory)), package, sizes)


def _write_headers(models: Models, folder: Path) -> None:
    include = folder / "include"
    include.mkdir()
    for file_name, text in package_headers(models).items():
        (include / file_name).write_text(text, encoding="ascii")


def _write_target(
    target_name: str, models: tuple[PackagedModel, ...], folder: Path, package: str
) -> SdkSize:
    libraries = folder / "lib" / target_name
    (libraries / "pkgconfig").mkdir(parents=True)
    shared, static = libraries / f"lib{package}.so", libraries / f"lib{package}.a"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as build:
        objects = build_objects(models[0].target, models, Path(build) / "objects")
        make_static(objects, static)
        make_shared(objects, shared)
        size = measure_library(objects, models, shared)
    text = pkg_config_file(package, package, target_name, tuple(m.name for m in models))
    (libraries / "pkgconfig" / f"{package}.pc").write_text(text, encoding="ascii")
    return SdkSize(**vars(size), static_bytes=static.stat().st_size)


def _write_models(models: Models, folder: Path) -> None:
    for target_name, same_target in models.items():
        for model in same_target:
            place = folder / "models" / target_name / model.name
            place.mkdir(parents=True)
            for file_name in ("weights.bin", MANIFEST):
                shutil.copyfile(model.folder / file_name, place / file_name)


def _write_texts(
    models: Models, folder: Path, package: str, sizes: tuple[SdkSize, ...]
) -> None:
    same_target = next(iter(models.values()))
    names = [model.name for model in same_target]
    targets = [of_target[0].target for of_target in models.values()]
    texts = {
        LICENSE: licence_text(),
        "README.md": c_readme(package, package, models, sizes),
        **{f"example/{name}.c": example_source(name) for name in names},
        **{
            f"lib/cmake/{package}/{file}": text
            for file, text in cmake_files(package, package, targets, names).items()
        },
    }
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
