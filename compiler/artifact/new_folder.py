"""A folder that appears when it is complete, or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from octavo.errors import ArtifactError


@dataclass(frozen=True)
class FolderKind:
    """What makes a folder one that may be replaced.

    Attributes:
        name: With its article, for messages.
        marker: A file that every folder of the kind has.
    """

    name: str
    marker: str


def check_folder(destination: Path, kind: FolderKind, *, force: bool) -> None:
    """Refuse to overwrite, and under ``force`` to delete what is not of the kind.

    Raises:
        ArtifactError: As said.
    """
    if not destination.exists() and not destination.is_symlink():
        return
    if not force:
        raise ArtifactError(f"{destination} exists already; --force replaces it")
    if not destination.is_dir() or destination.is_symlink():
        raise ArtifactError(f"{destination} exists and is not a folder")
    if any(destination.iterdir()) and not (destination / kind.marker).is_file():
        raise ArtifactError(f"{destination} is not {kind.name}: it will not be replaced")


@contextmanager
def new_folder(
    directory: str | os.PathLike[str], kind: FolderKind, *, force: bool
) -> Iterator[Path]:
    """Give a temporary folder beside ``directory``, which gets that name at the end.

    After an error nothing is left behind, and what was there before is still there.

    Raises:
        ArtifactError: See ``check_folder``; or nothing can be written there.
    """
    destination = Path(os.path.abspath(directory))
    check_folder(destination, kind, force=force)
    created = [p for p in destination.parents if not p.exists()]
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=destination.parent, prefix=".octavo-"))
    except OSError as error:
        raise ArtifactError(f"cannot write {destination}: {error.strerror}") from error
    try:
        yield folder
        folder.chmod(0o755)  # mkdtemp's is private
        _move(folder, destination, kind, force=force)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        for parent in created:
            if not any(parent.iterdir()):
                parent.rmdir()
        raise


def _move(folder: Path, destination: Path, kind: FolderKind, *, force: bool) -> None:
    check_folder(destination, kind, force=force)  # again: a build takes a while
    if destination.exists():
        old = Path(tempfile.mkdtemp(dir=destination.parent, prefix=".octavo-old-"))
        destination.replace(old / "replaced")
        folder.rename(destination)
        shutil.rmtree(old)
    else:
        folder.rename(destination)
