"""The artifact folder: memory plan, machine code, C source, weights, manifest."""

from octavo.compiler.artifact.manifest import (
    add_artifact_file,
    read_manifest,
    verify_files,
)
from octavo.compiler.artifact.write import check_destination, write_artifact

__all__ = [
    "add_artifact_file",
    "check_destination",
    "read_manifest",
    "verify_files",
    "write_artifact",
]
