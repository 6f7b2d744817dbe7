"""Wheels of artifacts: the runtime, the models and their weights, for boards with Python."""

import keyword
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

import octavo
from octavo.compiler.artifact.new_folder import new_folder
from octavo.compiler.package.libraries import build_objects, make_shared
from octavo.compiler.package.licences import LICENSE, licence_text
from octavo.compiler.package.models import PackagedModel, collect_by_place
from octavo.compiler.package.names import check_name, package_name
from octavo.compiler.package.python.contents import (
    MODELS_RECORD,
    metadata_text,
    models_record,
    python_files,
    weights_name,
    wheel_text,
)
from octavo.compiler.package.python.platforms import platform_tag, required_architecture
from octavo.compiler.package.python.readme import folder_readme, wheel_readme
from octavo.compiler.package.python.wheel_file import write_wheel
from octavo.compiler.package.record import PACKAGE, Package, write_record
from octavo.compiler.package.sizes import LibrarySize, measure_library
from octavo.errors import ArtifactError


@dataclass(frozen=True)
class WheelSize(LibrarySize):
    """Bytes of one wheel.

    Attributes:
        wheel: File name.
        wheel_bytes: Its size; weights are compressed in it.
    """

    wheel: str
    wheel_bytes: int


@dataclass(frozen=True)
class PythonPackage(Package):
    """What was written; its name is what Python imports.

    Attributes:
        version: Of the wheels.
        sizes: What each part weighs, by target.
    """

    version: str
    sizes: tuple[WheelSize, ...]


def package_python(
    artifacts: Sequence[str | os.PathLike[str]],
    directory: str | os.PathLike[str],
    *,
    name: str | None = None,
    version: str | None = None,
    force: bool = False,
) -> PythonPackage:
    """Write a wheel for each target of artifacts, which share one runtime.

    Args:
        artifacts: Folders that the compiler wrote: every model for every target.
        directory: Folder to create.
        name: What Python imports: an identifier. None: ``octavo_`` and the model's name, or
            ``octavo_models`` where there are several.
        version: Of the wheels, such as "1.2.0"; None takes Octavo's.
        force: Replace a package that is already there.

    Raises:
        ArtifactError: An artifact does not fit, see ``collect_by_place``, or is for a system
            without Python; name or version are not allowed; ``directory`` exists, and
            ``force`` is off or it holds no package.
        TargetError: An artifact was compiled for a target that is not known.
        ToolchainError: The compiler or the linker failed.
    """
    check_name(name)
    if name is not None and keyword.iskeyword(name):
        raise ArtifactError(f"the name {name!r} is not allowed: Python has it for itself")
    normal = _normal_version(version or octavo.__version__)
    with new_folder(directory, PACKAGE, force=force) as folder:
        models = collect_by_place(artifacts, required_architecture)
        package = package_name(name, models)
        sizes = tuple(_write_wheel(m, folder, package, normal) for m in models.values())
        names = [model.name for model in next(iter(models.values()))]
        readme = folder_readme(package, names, sizes[0].wheel)
        (folder / "README.md").write_text(readme, encoding="utf-8")
        (folder / LICENSE).write_text(licence_text(), encoding="utf-8")
        facts = {"version": normal, "sizes": [asdict(size) for size in sizes]}
        write_record(folder, "python", package, facts)
    return PythonPackage(Path(os.path.abspath(directory)), package, normal, sizes)


def _normal_version(version: str) -> str:
    try:
        return str(Version(version))
    except InvalidVersion as error:
        raise ArtifactError(
            f"the version {version!r} is not allowed: numbers and dots, such as 1.2.0"
        ) from error


def _write_wheel(
    models: tuple[PackagedModel, ...], folder: Path, package: str, version: str
) -> WheelSize:
    target = models[0].target
    library_name = f"lib{package}.so"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as build:
        objects = build_objects(target, models, Path(build) / "objects")
        library = Path(build) / library_name
        make_shared(objects, library)
        tag = f"py3-none-{platform_tag(target, library)}"
        size = measure_library(objects, models, library)
        code = library.read_bytes()
    distribution = canonicalize_name(package)
    stem = f"{distribution.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    description = wheel_readme(package, [model.name for model in models])
    files = {
        **python_files(),
        library_name: code,
        MODELS_RECORD: models_record(models, library_name, version),
        **{weights_name(m): (m.folder / "weights.bin").read_bytes() for m in models},
    }
    path = folder / f"{stem}-{tag}.whl"
    write_wheel(
        path,
        info,
        {
            **{f"{package}/{name}": data for name, data in files.items()},
            f"{info}/METADATA": metadata_text(distribution, version, models, description),
            f"{info}/WHEEL": wheel_text(tag),
            f"{info}/licenses/{LICENSE}": licence_text().encode("utf-8"),
        },
    )
    return WheelSize(**vars(size), wheel=path.name, wheel_bytes=path.stat().st_size)
