"""manifest.json: what is in an artifact, and the checksums that loading verifies."""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from octavo.errors import ArtifactError

MANIFEST = "manifest.json"
FORMAT = 1  # raised when a reader of the old layout would misread the new one
_MAX_MANIFEST_BYTES = 256 << 20


def sha256_of(path: Path) -> str:
    """Checksum of a regular file, hexadecimal.

    Raises:
        ArtifactError: The file is missing, or is not a regular file.
    """
    try:
        # O_NOFOLLOW: a link would make the folder depend on something outside of it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ArtifactError(f"{path}: not a regular file")
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}") from error


def checksums(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each file, hexadecimal, by name."""
    return {name: sha256_of(folder / name) for name in sorted(names)}


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest in its one canonical form."""
    text = json.dumps(manifest, indent=1, allow_nan=False)
    temporary = folder / f".{MANIFEST}.new"
    temporary.write_text(text + "\n", encoding="ascii")
    temporary.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of an artifact.

    Raises:
        ArtifactError: There is none, or it is not one that this version can read.
    """
    path = folder / MANIFEST
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise ArtifactError(
            f"{folder} is not an artifact: {MANIFEST}: {error.strerror}"
        ) from error
    if len(text) > _MAX_MANIFEST_BYTES:
        raise ArtifactError(f"{path}: larger than {_MAX_MANIFEST_BYTES} bytes")
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: not valid JSON") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise ArtifactError(f"{path}: not a manifest: it lists no files")
    if manifest.get("format") != FORMAT:
        raise ArtifactError(f"{path}: format {manifest.get('format')!r}; readable: {FORMAT}")
    return manifest


def verify_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Check every file that the manifest lists.

    The checksums find damage and mix-ups; they are no signature: who can write the folder can
    write the manifest as well.

    Raises:
        ArtifactError: A file is missing, or is not what was built.
    """
    for name, expected in manifest["files"].items():
        if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
            raise ArtifactError(f"{folder / MANIFEST}: {name!r} is not a plain file name")
        if sha256_of(folder / name) != expected:
            raise ArtifactError(f"{folder / name}: changed after the artifact was built")


def add_artifact_file(folder: Path, name: str, data: bytes) -> None:
    """Write a further file, such as a report, into an artifact and list it in the manifest."""
    manifest = read_manifest(folder)
    temporary = folder / f".{name}.new"
    temporary.write_bytes(data)
    temporary.replace(folder / name)
    files = manifest["files"] | checksums(folder, [name])
    write_manifest(folder, manifest | {"files": dict(sorted(files.items()))})
