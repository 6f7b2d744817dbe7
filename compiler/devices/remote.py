"""Artifacts on a device that is reached through a shell: the same for SSH and adb."""

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.artifact.manifest import read_manifest, verify_files
from octavo.compiler.devices.base import TIMEOUT_S, Deployment
from octavo.compiler.devices.local import BENCH, driver_options
from octavo.compiler.devices.shell import Shell, quoted
from octavo.compiler.devices.system_files import remote_files
from octavo.compiler.machine_code import kernel_names, refuse_static_library
from octavo.compiler.roofline.machine import Machine, this_machine
from octavo.errors import DeviceError, TargetError
from octavo.targets.host import CACHE_FOLDER, CPUINFO

WEIGHTS = "weights.bin"
KILLED = 128 + 9  # exit code, as shells report SIGKILL


@contextmanager
def deploy_over(device: str, shell: Shell, artifact: Path) -> Iterator[Deployment]:
    """Copy the bench program and the weights of an artifact into a folder of the device.

    Args:
        device: Name of the device, for messages.
        shell: The way to it.
        artifact: Folder that the compiler wrote.

    Yields:
        The program in its folder; both are gone when the context ends, if the device still
        answers.

    Raises:
        ArtifactError: It is none, or was changed after it was built.
        DeviceError: The device does not answer, or does not take the files.
        TargetError: The device is of another architecture.
    """
    manifest = read_manifest(artifact)
    verify_files(artifact, manifest)
    refuse_static_library(artifact, manifest)
    program = artifact.resolve() / BENCH
    machine = _succeed(device, shell, ["uname", "-m"]).strip()
    running = kernel_names(program)
    if running and machine not in running:
        raise TargetError(
            f"{artifact} was compiled for {manifest.get('target')} ({running[0]});"
            f" {device} is {machine}"
        )
    template = f"{shell.scratch}/octavo-XXXXXXXX"
    folder = _succeed(device, shell, ["mktemp", "-d", template]).strip()
    try:
        for file in (program, artifact.resolve() / WEIGHTS):
            shell.push(file, f"{folder}/{file.name}")
        _succeed(device, shell, ["chmod", "700", f"{folder}/{BENCH}"])
        # In the folder itself, where it serves the runs that follow.
        yield RemoteDeployment(device, shell, folder, driver_options(manifest, "."))
    finally:
        # What went wrong before says more than that nobody is there to tidy up.
        with suppress(DeviceError):
            shell.run(quoted(["rm", "-rf", folder]))


@dataclass(frozen=True)
class RemoteDeployment:
    """A bench program in a folder of a device.

    Attributes:
        device: Name of the device, for messages.
        shell: The way to it.
        folder: Holds the program, its weights and the files of the runs.
        options: Of the program, in every run.
    """

    device: str
    shell: Shell
    folder: str
    options: tuple[str, ...] = ()

    def send(self, name: str, data: bytes) -> None:
        """Write a file into the folder."""
        with tempfile.TemporaryDirectory(prefix="octavo-send-") as folder:
            source = Path(folder) / "data"
            source.write_bytes(data)
            self.shell.push(source, f"{self.folder}/{name}")

    def run(self, arguments: Sequence[str], timeout_s: float = TIMEOUT_S) -> str:
        """Run the program to its end and return what it printed.

        Raises:
            DeviceError: It could not run, failed, crashed or took too long, or the device
                went away.
        """
        program = quoted([f"./{BENCH}", "--weights", WEIGHTS, *self.options, *arguments])
        # A program whose connection is gone runs on: the device itself ends it, where it can.
        limit = f"timeout -s KILL {math.ceil(timeout_s) + 1}"
        command = (
            f"cd {quoted([self.folder])} && if command -v timeout >/dev/null;"
            f" then {limit} {program}; else {program}; fi"
        )
        start = time.monotonic()
        outcome = self.shell.run(command, timeout_s)
        if outcome.code == KILLED and time.monotonic() - start >= timeout_s:
            raise DeviceError(f"{self.device}: the program did not end within {timeout_s:g} s")
        if outcome.code != 0:
            raise DeviceError(f"{self.device}: {outcome.cause()}")
        return outcome.output.decode("utf-8", "replace")

    def fetch(self, name: str) -> bytes:
        """Read a file of the folder.

        Raises:
            DeviceError: There is none.
        """
        return self.shell.pull(f"{self.folder}/{name}")

    def system_files(self, patterns: Sequence[str]) -> Mapping[str, str]:
        """Read files of the device's /proc and /sys."""
        return remote_files(patterns, self.shell)

    def machine(self) -> Machine:
        """What /proc and /sys of the device tell of its first CPU."""
        with tempfile.TemporaryDirectory(prefix="octavo-machine-") as folder:
            cpuinfo, caches = Path(folder) / CPUINFO.name, Path(folder) / CACHE_FOLDER.name
            cpuinfo.write_bytes(self.shell.run(f"cat {CPUINFO}").output)
            facts = ("type", "level", "size")
            patterns = [f"{CACHE_FOLDER}/index[0-9]*/{fact}" for fact in facts]
            for path, value in self.system_files(patterns).items():
                index = caches / Path(path).parent.name
                index.mkdir(parents=True, exist_ok=True)
                (index / Path(path).name).write_text(value + "\n")
            return this_machine(cpuinfo, caches)


def _succeed(device: str, shell: Shell, arguments: Sequence[str]) -> str:
    outcome = shell.run(quoted(arguments))
    if outcome.code != 0:
        raise DeviceError(f"{device}: {outcome.cause()}")
    return outcome.output.decode("utf-8", "replace")
