"""A package for Apple's systems: an XCFramework, weights, and Swift code that uses them."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from octavo.compiler.artifact.new_folder import new_folder
from octavo.compiler.package.interfaces import package_headers
from octavo.compiler.package.ios.privacy import PRIVACY_MANIFEST, privacy_manifest
from octavo.compiler.package.ios.readme import ios_readme
from octavo.compiler.package.ios.resources import (
    WEIGHTS_FOLDER,
    models_source,
    name_weights,
    write_weights,
)
from octavo.compiler.package.ios.samples import (
    SAMPLES_FOLDER,
    Reference,
    Sample,
    make_samples,
    write_samples,
)
from octavo.compiler.package.ios.sizes import IosPackage, SliceSize, measure_slice
from octavo.compiler.package.ios.slices import Slices, collect_slices
from octavo.compiler.package.ios.swift_package import (
    CHECK,
    SOURCES,
    package_manifest,
    write_sources,
)
from octavo.compiler.package.ios.xcframework import FRAMEWORK, write_xcframework
from octavo.compiler.package.libraries import build_objects, make_static
from octavo.compiler.package.licences import LICENSE, licence_text
from octavo.compiler.package.names import check_name, package_name
from octavo.compiler.package.record import PACKAGE, write_record


def package_ios(
    artifacts: Sequence[str | os.PathLike[str]],
    directory: str | os.PathLike[str],
    *,
    name: str | None = None,
    references: Sequence[Reference] = (),
    force: bool = False,
) -> IosPackage:
    """Write a Swift package of artifacts, which share one runtime.

    Args:
        artifacts: Folders that the compiler wrote: every model for every slice.
        directory: Folder to create.
        name: Of the package: a C identifier. None: ``octavo_`` and the model's name, or
            ``octavo_models`` where there are several.
        references: What the package checks its models with.
        force: Replace a package that is already there.

    Raises:
        ArtifactError: An artifact does not fit, see ``collect_slices``, or a reference, see
            ``make_samples``; the name is not one; ``directory`` exists, and ``force`` is off
            or it holds no package.
        DataError: The inputs of a reference do not fit.
        TargetError: An artifact was compiled for a target that is not known, or a reference
            does not run here.
        ToolchainError: The compiler or the archiver failed.
    """
    check_name(name)
    with new_folder(directory, PACKAGE, force=force) as folder:
        slices = collect_slices(artifacts)
        first = next(iter(slices.values()))
        samples = make_samples(first, references)
        package = package_name(name, {own.name: models for own, models in slices.items()})
        sizes = _write_framework(slices, folder, f"lib{package}.a")
        weights_bytes = _write_swift(slices, samples, folder, package)
        written = IosPackage(
            directory=Path(os.path.abspath(directory)),
            name=package,
            framework_bytes=_folder_bytes(folder / FRAMEWORK),
            weights_bytes=weights_bytes,
            sizes=sizes,
            notes=_notes(slices),
        )
        text = ios_readme(written, slices, samples)
        (folder / "README.md").write_text(text, encoding="utf-8")
        (folder / LICENSE).write_text(licence_text(), encoding="utf-8")
        facts = asdict(written)
        del facts["directory"], facts["name"]
        write_record(folder, "ios", package, facts)
    return written


def _write_framework(slices: Slices, folder: Path, library: str) -> tuple[SliceSize, ...]:
    sizes, archives = [], {}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as build:
        for own, models in slices.items():
            objects = build_objects(models[0].target, models, Path(build) / own.name)
            archives[own] = Path(build) / f"{own.name}.a"
            make_static(objects, archives[own])
            sizes.append(measure_slice(own.name, objects, models, archives[own]))
        write_xcframework(folder / FRAMEWORK, library, archives, package_headers(slices))
    return tuple(sizes)


def _write_swift(slices: Slices, samples: Sequence[Sample], folder: Path, package: str) -> int:
    """Write sources, resources and tests; returns bytes of the weights."""
    weights = name_weights(slices)
    write_sources(folder)
    sources = folder / SOURCES
    (folder / "Package.swift").write_text(package_manifest(package, slices), encoding="ascii")
    (sources / "Models.swift").write_text(models_source(weights), encoding="ascii")
    (sources / PRIVACY_MANIFEST).write_bytes(privacy_manifest())
    write_samples(samples, folder / CHECK / SAMPLES_FOLDER)
    return write_weights(slices, weights, sources / WEIGHTS_FOLDER)


def _notes(slices: Slices) -> tuple[str, ...]:
    if any(own.platform.is_device for own in slices):
        return ()
    return ("no artifact for a device: apps with this package do not build for a phone",)


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
