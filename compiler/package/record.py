"""package.json: what is in a package, and what makes a folder one that may be replaced."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import octavo
from octavo.compiler.artifact.manifest import checksums
from octavo.compiler.artifact.new_folder import FolderKind
from octavo.compiler.native_structs import ABI_VERSION

PACKAGE_RECORD = "package.json"
PACKAGE = FolderKind("a package", PACKAGE_RECORD)
_FORMAT = 1


@dataclass(frozen=True)
class Package:
    """What was written, of any kind.

    Attributes:
        directory: The folder.
        name: Of the package.
    """

    directory: Path
    name: str


def write_record(folder: Path, kind: str, name: str, facts: Mapping[str, Any]) -> None:
    """Write the record of a folder that is complete otherwise.

    Args:
        folder: The package.
        kind: "c", "android", "python" or "ios".
        name: Of the package.
        facts: What is particular to the kind, such as sizes.
    """
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    record = {
        "format": _FORMAT,
        "kind": kind,
        "name": name,
        "abi_version": ABI_VERSION,
        "octavo": octavo.__version__,
        **facts,
        "files": checksums(folder, (path.as_posix() for path in files)),
    }
    text = json.dumps(record, indent=1, allow_nan=False)
    (folder / PACKAGE_RECORD).write_text(text + "\n", encoding="ascii")
