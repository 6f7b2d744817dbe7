"""The artifacts of a package: checked, and sorted by target."""

import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from octavo.compiler.artifact.c_text import is_identifier
from octavo.compiler.artifact.manifest import MANIFEST, read_manifest, verify_files
from octavo.compiler.native_structs import ABI_VERSION
from octavo.errors import ArtifactError
from octavo.targets import get_target
from octavo.targets.base import Target

Place = TypeVar("Place", bound=Hashable)
_NEEDED = ("model.c", "model.h", "kernels.o", "weights.bin", "octavo_runtime.h")


@dataclass(frozen=True)
class PackagedModel:
    """One model for one target.

    Attributes:
        folder: The artifact.
        name: Of the model, a C identifier.
        target: What it was compiled for.
        manifest: The artifact's.
    """

    folder: Path
    name: str
    target: Target
    manifest: dict[str, Any]

    def num_bytes(self, file_name: str) -> int:
        """Size of a file of the artifact."""
        return (self.folder / file_name).stat().st_size


def collect_models(
    artifacts: Sequence[str | os.PathLike[str]],
) -> dict[str, tuple[PackagedModel, ...]]:
    """Read artifacts that shall share a runtime.

    Args:
        artifacts: Their folders, at least one.

    Returns:
        Models by name of the target; targets as they come first, models by name.

    Raises:
        ArtifactError: A folder is no artifact, was changed, is for another runtime, or two of
            them have the same model; or a model was not compiled for all targets.
        TargetError: An artifact was compiled for a target that is not known.
    """
    return _by_target([_read(Path(path)) for path in artifacts])


def collect_by_place(
    artifacts: Sequence[str | os.PathLike[str]], place_of: Callable[[PackagedModel], Place]
) -> dict[Place, tuple[PackagedModel, ...]]:
    """Read artifacts for a package that has one place for each of its targets.

    Args:
        artifacts: Their folders, at least one: every model for every target.
        place_of: Where a model's code goes, such as the name of an ABI. Raises an
            ``ArtifactError`` for a model that such a package has no place for.

    Returns:
        Models by place; places as they come first, models by name.

    Raises:
        ArtifactError: As ``collect_models``; or two targets have one place.
        TargetError: An artifact was compiled for a target that is not known.
    """
    read = [_read(Path(path)) for path in artifacts]
    first: dict[Place, PackagedModel] = {}
    for model in read:
        place = place_of(model)
        other = first.setdefault(place, model)
        if other.target.name != model.target.name:
            raise ArtifactError(
                f"{other.folder} ({other.target.name}) and {model.folder}"
                f" ({model.target.name}) are both for {place}: a package has one target for"
                " each"
            )
    by_target = _by_target(read)
    return {place: by_target[model.target.name] for place, model in first.items()}


def _by_target(read: Sequence[PackagedModel]) -> dict[str, tuple[PackagedModel, ...]]:
    if not read:
        raise ArtifactError("no artifact to package")
    by_target: dict[str, dict[str, PackagedModel]] = {}
    for model in read:
        models = by_target.setdefault(model.target.name, {})
        if model.name in models:
            raise ArtifactError(
                f"{models[model.name].folder} and {model.folder} are both"
                f" {model.name!r} for {model.target.name}: the file name of the model that is"
                " compiled is its name in a package"
            )
        models[model.name] = model
    _require_all(by_target)
    return {
        target: tuple(models[name] for name in sorted(models))
        for target, models in by_target.items()
    }


def _read(folder: Path) -> PackagedModel:
    manifest = read_manifest(folder)
    abi_version = manifest.get("abi_version")
    if abi_version != ABI_VERSION:
        found = "an older one" if abi_version is None else repr(abi_version)
        raise ArtifactError(
            f"{folder}: runtime interface {ABI_VERSION} is needed, this artifact has {found};"
            " compile the model again"
        )
    verify_files(folder, manifest)
    for needed in _NEEDED:
        if needed not in manifest["files"]:
            raise ArtifactError(f"{folder}: {needed} is missing")
    name = manifest.get("name")
    if not isinstance(name, str) or not is_identifier(name):
        raise ArtifactError(f"{folder / MANIFEST}: {name!r} is not the name of a model")
    return PackagedModel(folder, name, get_target(str(manifest.get("target"))), manifest)


def _require_all(by_target: dict[str, dict[str, PackagedModel]]) -> None:
    """A package has the same models for every target: its headers are for all of them."""
    names = sorted({name for models in by_target.values() for name in models})
    for target, models in by_target.items():
        missing = [name for name in names if name not in models]
        if missing:
            raise ArtifactError(
                f"there is no artifact of {', '.join(missing)} for {target}: a package has"
                " every model for every target"
            )
