"""``octavo package``: artifacts as something that an app's build takes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.options import (
    EXISTING_FOLDER,
    NEW_PATH,
    READABLE_FILE,
    force_option,
    output_options,
)


@click.command("package")
@click.argument("artifacts", type=EXISTING_FOLDER, nargs=-1, required=True)
@click.option(
    "--c",
    "c_folder",
    type=NEW_PATH,
    metavar="DIR",
    help="Write a C SDK: headers, static and shared library, pkg-config and CMake files, an"
    " example.",
)
@click.option(
    "--android",
    "android_folder",
    type=NEW_PATH,
    metavar="DIR",
    help="Write an AAR, of one target for each ABI, and a sample app. Needs a JDK.",
)
@click.option(
    "--ios",
    "ios_folder",
    type=NEW_PATH,
    metavar="DIR",
    help="Write an XCFramework, of one target for each slice, in a Swift package.",
)
@click.option(
    "--python",
    "python_folder",
    type=NEW_PATH,
    metavar="DIR",
    help="Write a wheel for each target, for boards that run Python.",
)
@click.option(
    "--picture",
    type=READABLE_FILE,
    metavar="FILE",
    help="What the sample app classifies (.png, .jpg, .webp); drawn when left out.",
)
@click.option(
    "--labels",
    type=READABLE_FILE,
    metavar="FILE.txt",
    help="Names of the sample app's classes, one a line; numbers when left out.",
)
@click.option(
    "--reference",
    "references",
    type=(EXISTING_FOLDER, READABLE_FILE),
    multiple=True,
    metavar="ARTIFACT FILE.npz",
    help="What a package of --ios checks a model with: its artifact for this machine, run on"
    " the inputs of a file. May be given for each model.",
)
@click.option(
    "--name",
    metavar="NAME",
    help="Name of the package and its libraries; octavo_MODEL when left out, or octavo_models"
    " where there are several.",
)
@click.option(
    "--version",
    metavar="VERSION",
    help="Version of the wheels of --python, such as 1.2.0; Octavo's when left out.",
)
@force_option
@output_options
@click.pass_obj
def package_command(
    console: Console,
    artifacts: tuple[Path, ...],
    c_folder: Path | None,
    android_folder: Path | None,
    ios_folder: Path | None,
    python_folder: Path | None,
    references: tuple[tuple[Path, Path], ...],
    picture: Path | None,
    labels: Path | None,
    name: str | None,
    version: str | None,
    force: bool,
) -> None:
    """Pack the folders ARTIFACTS, which share one runtime, for an app's build."""
    if [c_folder, android_folder, ios_folder, python_folder].count(None) != 3:
        raise click.UsageError(
            "say what to make, one of: --c DIR, --android DIR, --ios DIR, --python DIR"
        )
    if android_folder is None and (picture or labels):
        raise click.UsageError("--picture and --labels are of the sample app of --android")
    if ios_folder is None and references:
        raise click.UsageError("--reference is of the checks of --ios")
    if python_folder is None and version:
        raise click.UsageError("--version is of the wheels of --python")
    if c_folder is not None:
        from octavo.compiler.package.c_sdk import package_c

        sdk = package_c(artifacts, c_folder, name=name, force=force)
        console.result(
            {"package": sdk.directory, "name": sdk.name, "sizes": sdk.sizes},
            _size_table(sdk.sizes),
            f"{sdk.name}: {sdk.directory}",
        )
    elif android_folder is not None:
        from octavo.compiler.package.android.aar import SampleFiles, package_android

        sample = SampleFiles(picture, labels)
        package = package_android(
            artifacts, android_folder, name=name, sample=sample, force=force
        )
        facts = {"package": package.directory} | asdict(package)
        del facts["directory"]
        console.result(facts, _aar_table(package), f"{package.name}: {package.aar}")
    elif ios_folder is not None:
        from octavo.compiler.package.ios.app_package import package_ios

        ios = package_ios(
            artifacts, ios_folder, name=name, references=_read(references), force=force
        )
        facts = {"package": ios.directory} | asdict(ios)
        del facts["directory"]
        lines = [*ios.notes, f"{ios.name}: {ios.directory}"]
        console.result(facts, _ios_table(ios), *lines)
    elif python_folder is not None:
        from octavo.compiler.package.python.wheels import package_python

        wheels = package_python(
            artifacts, python_folder, name=name, version=version, force=force
        )
        facts = {"package": wheels.directory} | asdict(wheels)
        del facts["directory"]
        console.result(facts, _wheel_table(wheels), f"{wheels.name}: {wheels.directory}")


def _size_table(sizes: Sequence[Any]) -> Any:
    """Code is in the shared library; weights and manifests are files beside it."""
    table = _parts_table("target", ("kernels", "tables", "weights", "manifest"))
    for target in sizes:
        totals = {"runtime": target.runtime_bytes, "shared library": target.shared_bytes}
        _add_parts(table, target.target, target.models, totals, has_manifests=True)
    return table


def _read(references: Sequence[tuple[Path, Path]]) -> Any:
    """Artifacts to compare with, and what they are run on."""
    from octavo.compiler.cli.tensors import read_tensors
    from octavo.compiler.devices.inference import input_names
    from octavo.compiler.package.ios.samples import Reference

    return [
        Reference(folder, read_tensors(file, input_names(folder)))
        for folder, file in references
    ]


def _ios_table(package: Any) -> Any:
    """Code is in a static library for each slice; an app takes one, and all weights."""
    table = _parts_table("slice", ("kernels", "tables", "weights"))
    for size in package.sizes:
        totals = {"runtime": size.runtime_bytes, "static library": size.library_bytes}
        _add_parts(table, size.slice, size.models, totals)
    totals = {"xcframework": package.framework_bytes, "all weights": package.weights_bytes}
    _add_parts(table, "", (), totals)
    return table


def _wheel_table(package: Any) -> Any:
    """Everything is in the archives, where all of it is compressed."""
    table = _parts_table("target", ("kernels", "tables", "weights"))
    for wheel in package.sizes:
        totals = {
            "runtime": wheel.runtime_bytes,
            "library": wheel.library_bytes,
            "wheel": wheel.wheel_bytes,
        }
        _add_parts(table, wheel.target, wheel.models, totals)
    return table


def _aar_table(package: Any) -> Any:
    """Everything is in the archive; its own tables and padding are what is left."""
    table = _parts_table("abi", ("kernels", "tables", "weights"))
    for abi in package.sizes:
        totals = {"runtime": abi.runtime_bytes, "library": abi.library_bytes}
        _add_parts(table, abi.abi, abi.models, totals)
    _add_parts(table, "", (), {"classes": package.classes_bytes, "aar": package.aar_bytes})
    return table


def _parts_table(first: str, columns: Sequence[str]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    table.add_column("part")
    for header in columns:
        table.add_column(header, justify="right")
    return table


def _add_parts(
    table: Any,
    label: str,
    models: Sequence[Any],
    totals: Mapping[str, int],
    *,
    has_manifests: bool = False,
) -> None:
    """Rows of one target: its models, then what is not a model's alone."""
    from octavo.compiler.report.units import size_text

    for model in models:
        parts = [model.kernel_bytes, model.table_bytes, model.weights_bytes]
        parts += [model.manifest_bytes] if has_manifests else []
        table.add_row(label, model.name, *map(size_text, parts))
        label = ""
    for name, num_bytes in totals.items():
        table.add_row("", name, size_text(num_bytes))
