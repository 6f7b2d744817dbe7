"""Programs of other architectures under user-mode emulation on this machine.

The emulator executes what the device would, so results are those of the device; its time says
nothing about the device's.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavo.compiler.artifact.manifest import read_manifest, verify_files
from octavo.compiler.devices.base import Deployment
from octavo.compiler.devices.local import BENCH
from octavo.compiler.devices.program import ProgramDeployment
from octavo.compiler.machine_code import refuse_static_library
from octavo.errors import DeviceError, TargetError
from octavo.targets import get_target
from octavo.targets.base import Target


@dataclass(frozen=True)
class QemuDevice:
    """Runs the bench program under the emulator of the artifact's target."""

    name: str = "qemu"
    description: str = "an emulator of the artifact's target on this machine"

    @contextmanager
    def deploy(self, artifact: Path) -> Iterator[Deployment]:
        """Make a folder for the files of the runs; the artifact stays where it is.

        Raises:
            ArtifactError: It is none, or was changed after it was built.
            DeviceError: The emulator is not installed.
            TargetError: Nothing emulates the target.
        """
        manifest = read_manifest(artifact)
        verify_files(artifact, manifest)
        refuse_static_library(artifact, manifest)
        command = emulator_command(manifest_target(manifest))
        program = str(artifact.resolve() / BENCH)
        with tempfile.TemporaryDirectory(prefix="octavo-qemu-") as folder:
            yield ProgramDeployment(self.name, (*command, program), Path(folder))


def manifest_target(manifest: Mapping[str, Any]) -> Target:
    """The record of the target that an artifact was compiled for.

    Looked up by name: what a manifest says is no reason to run a program of that name.

    Raises:
        TargetError: This version knows no such target.
    """
    return get_target(str(manifest.get("target")))


def emulator_command(target: Target) -> tuple[str, ...]:
    """The emulator of a target and its own arguments.

    Raises:
        DeviceError: It is not installed.
        TargetError: There is none.
    """
    emulator = target.emulator
    if emulator is None:
        where = "with --device local" if target.has_programs else "in an app"
        raise TargetError(f"nothing emulates {target.name}: run it {where}")
    if not target.is_emulated:
        raise TargetError(
            f"the GPU of {target.name} is not emulated: run it with --device adb:SERIAL"
        )
    path = shutil.which(emulator.program)
    if path is None:
        raise DeviceError(
            f"{emulator.program}, which runs code for {target.name} here, is not installed;"
            f" Debian package: {emulator.package}"
        )
    return (path, "-cpu", emulator.cpu)
