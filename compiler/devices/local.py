"""This machine."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.artifact.manifest import read_manifest, verify_files
from octavo.compiler.devices.base import Deployment
from octavo.compiler.devices.program import ProgramDeployment
from octavo.compiler.machine_code import refuse_foreign_code

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
        program = artifact.resolve() / BENCH
        refuse_foreign_code(program, manifest)
        with tempfile.TemporaryDirectory(prefix="octavo-run-") as folder:
            yield ProgramDeployment(self.name, (str(program),), Path(folder))
