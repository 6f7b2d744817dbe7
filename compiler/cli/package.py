"""``octavo package``: artifacts as something that an app's build takes."""

from collections.abc import Sequence
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
from octavo.compiler.cli.package_table import (
    android_table,
    c_table,
    ios_table,
    python_table,
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
        _show(console, sdk, c_table(sdk), sdk.directory)
    elif android_folder is not None:
        from octavo.compiler.package.android.aar import SampleFiles, package_android

        sample = SampleFiles(picture, labels)
        aar = package_android(artifacts, android_folder, name=name, sample=sample, force=force)
        _show(console, aar, android_table(aar), aar.aar)
    elif ios_folder is not None:
        from octavo.compiler.package.ios.app_package import package_ios

        ios = package_ios(
            artifacts, ios_folder, name=name, references=_read(references), force=force
        )
        _show(console, ios, ios_table(ios), ios.directory, *ios.notes)
    elif python_folder is not None:
        from octavo.compiler.package.python.wheels import package_python

        wheels = package_python(
            artifacts, python_folder, name=name, version=version, force=force
        )
        _show(console, wheels, python_table(wheels), wheels.directory)


def _show(console: Console, package: Any, table: Any, main: Path, *notes: str) -> None:
    """What was written: sizes, notes, the file or folder that a build takes, and its use."""
    facts = {"package": package.directory} | asdict(package)
    del facts["directory"]
    readme = f"how to use it: {package.directory / 'README.md'}"
    console.result(facts, table, *notes, f"{package.name}: {main}", readme)


def _read(references: Sequence[tuple[Path, Path]]) -> Any:
    """Artifacts to compare with, and what they are run on."""
    from octavo.compiler.cli.tensors import read_tensors
    from octavo.compiler.devices.inference import input_names
    from octavo.compiler.package.ios.samples import Reference

    return [
        Reference(folder, read_tensors(file, input_names(folder)))
        for folder, file in references
    ]
