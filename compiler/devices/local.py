"""This machine."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavo.compiler.artifact.manifest import read_manifest, verify_files
from octavo.compiler.artifact.toolchain import driver_cache_folder
from octavo.compiler.devices.base import Deployment
from octavo.compiler.devices.program import ProgramDeployment
from octavo.compiler.machine_code import refuse_foreign_code, refuse_static_library

BENCH = "bench"


@dataclass(frozen=True)
class LocalDevice:
    """Runs the bench program as it is."""

    name: str = "local"
    description: str = "this machine"

    @contextmanager
    def deploy(self, artifact: Path) -> Iterator[Deployment]:
        """Make a folder for the files of the runs; the artifact stays where it is.

        Raises:
            ArtifactError: It is none, or was changed after it was built.
            TargetError: It is of another architecture.
        """
        manifest = read_manifest(artifact)
        verify_files(artifact, manifest)
        refuse_static_library(artifact, manifest)
        program = artifact.resolve() / BENCH
        refuse_foreign_code(program, manifest)
        with tempfile.TemporaryDirectory(prefix="octavo-run-") as folder:
            command = (str(program), *driver_options(manifest, str(driver_cache_folder())))
            yield ProgramDeployment(self.name, command, Path(folder))


def driver_options(manifest: Mapping[str, Any], folder: str) -> tuple[str, ...]:
    """Options of the bench program that keep what a driver makes of the kernels.

    Args:
        manifest: Of the artifact; one without an accelerator has no use for a driver.
        folder: Where the program can write.
    """
    accelerator = manifest.get("target_details", {}).get("accelerator")
    return ("--cache", folder) if accelerator else ()
