"""Files that a verb writes: never over another one by accident, whole or not at all."""

import os
import tempfile
from pathlib import Path

from octavo.errors import ArtifactError


def check_output_file(path: Path, *, force: bool) -> None:
    """Refuse a name that cannot become a file, before any work is done.

    Raises:
        ArtifactError: It exists and ``force`` is off, is a folder, or has no folder.
    """
    if path.is_dir():
        raise ArtifactError(f"{path} is a folder; the name of a file is needed")
    if path.exists() and not force:
        raise ArtifactError(f"{path} exists already; --force replaces it")
    if not path.parent.is_dir():
        raise ArtifactError(f"{path.parent} is no folder; create it first")


def write_output_file(path: Path, data: bytes) -> None:
    """Write a file under another name beside it, then rename: a failure leaves nothing."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ArtifactError(f"cannot write {path}: {error.strerror}") from error
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)  # mkstemp's files are private
        partial.replace(path)
    except OSError as error:
        raise ArtifactError(f"cannot write {path}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
