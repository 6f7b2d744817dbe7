"""A bench program that is run as a process of this machine, emulated or not."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.devices.base import TIMEOUT_S
from octavo.compiler.devices.system_files import local_files
from octavo.compiler.roofline.machine import Machine, this_machine
from octavo.errors import DeviceError


@dataclass(frozen=True)
class ProgramDeployment:
    """A bench program and the folder that it runs in.

    Attributes:
        device: Name of the device, for messages.
        command: The program, with what runs it in front.
        folder: Files of the runs.
        system: Folder of this machine's /proc and /sys.
    """

    device: str
    command: tuple[str, ...]
    folder: Path
    system: Path = Path("/")

    def send(self, name: str, data: bytes) -> None:
        """Write a file into the folder."""
        (self.folder / name).write_bytes(data)

    def run(self, arguments: Sequence[str], timeout_s: float = TIMEOUT_S) -> str:
        """Run the program to its end and return what it printed.

        Raises:
            DeviceError: It could not run, failed, crashed or took too long.
        """
        try:
            result = subprocess.run(
                [*self.command, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeviceError(
                f"{self.device}: the program did not end within {timeout_s:g} s"
            ) from None
        except (OSError, ValueError) as error:
            raise DeviceError(f"{self.device}: cannot run the program: {error}") from error
        if result.returncode != 0:
            why = _last_line(result.stderr) or _cause(result.returncode)
            if result.returncode < 0:
                why = _cause(result.returncode)
            raise DeviceError(f"{self.device}: {why}")
        return result.stdout

    def fetch(self, name: str) -> bytes:
        """Read a file of the folder.

        Raises:
            DeviceError: There is none.
        """
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise DeviceError(f"{self.device}: {name}: {error.strerror}") from error

    def system_files(self, patterns: Sequence[str]) -> Mapping[str, str]:
        """Read files of this machine's /proc and /sys."""
        return local_files(patterns, self.system)

    def machine(self) -> Machine:
        """This machine."""
        return this_machine()


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _cause(code: int) -> str:
    """How a process ended that said nothing."""
    if code >= 0:
        return f"the program ended with code {code}"
    try:
        return f"the program crashed: {signal.Signals(-code).name}"
    except ValueError:
        return f"the program crashed: signal {-code}"
