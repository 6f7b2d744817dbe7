"""Static libraries: archives of objects whose names fit into an app."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from octavo.compiler.artifact.toolchain import runtime_objects, zig
from octavo.targets.base import Target


def named_runtime(target: Target, build: Path) -> list[Path]:
    """Copy the objects of the runtime under names of its own.

    An archive has the names of its files, and an app may have a run.o of its own.

    Args:
        target: What they are for.
        build: Folder that gets them.

    Raises:
        ToolchainError: The runtime cannot be compiled.
    """
    paths = runtime_objects(
        target.zig_target,
        target.c_flags,
        with_bench=False,
        system_headers="" if target.abi is None else target.abi.headers,
    )
    named = [build / f"octavo_{path.name}" for path in paths]
    for path, copy in zip(paths, named, strict=True):
        shutil.copyfile(path, copy)
    return named


def make_archive(archive_format: str, members: Sequence[Path], path: Path) -> None:
    """Write an archive with an index; equal members give equal bytes.

    Args:
        archive_format: What ``zig ar --format`` is given.
        members: All in the same folder.
        path: The archive.

    Raises:
        ToolchainError: The archiver failed.
    """
    build = members[0].parent
    names = [member.name for member in members]
    output = os.path.relpath(path, build)
    zig(["ar", f"--format={archive_format}", "rcsD", output, *names], build)
