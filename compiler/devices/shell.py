"""What a device over a cable or a network must offer: commands, and files both ways."""

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from octavo.errors import DeviceError

COMMAND_TIMEOUT_S = 60.0  # of a command that only looks or tidies up
TRANSFER_TIMEOUT_S = 600.0  # of one file: weights of a few hundred megabytes over USB 2


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: Exit code; of the way to the device where that failed.
        output: What it printed.
        log: What it, or the way to the device, said of errors.
    """

    code: int
    output: bytes
    log: bytes

    def cause(self) -> str:
        """The last line of the log, or the exit code where it said nothing."""
        lines = self.log.decode("utf-8", "replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return said[-1] if said else f"the command ended with code {self.code}"


class Shell(Protocol):
    """A POSIX shell on a device, and its file system."""

    @property
    def scratch(self) -> str:
        """Folder, as the shell writes it, that programs can be put into and run in."""

    def run(self, command: str, timeout_s: float = COMMAND_TIMEOUT_S) -> Outcome:
        """Run a command line to its end.

        Raises:
            DeviceError: The device does not answer, or not within the time.
        """

    def push(self, source: Path, path: str) -> None:
        """Copy a file of this machine to ``path`` on the device.

        Raises:
            DeviceError: As said, or there is no room for it.
        """

    def pull(self, path: str) -> bytes:
        """Read a file of the device.

        Raises:
            DeviceError: As said, or there is none.
        """


def run_program(
    device: str, command: Sequence[str], timeout_s: float, *, stdin: Path | None = None
) -> Outcome:
    """Run a program of this machine that talks to a device.

    Args:
        device: Its name, for messages.
        command: Program and arguments.
        timeout_s: It is ended after so many seconds.
        stdin: File that it reads; nothing without one.

    Raises:
        DeviceError: There is no such program, or it took too long.
    """
    try:
        with (stdin or Path("/dev/null")).open("rb") as source:
            done = subprocess.run(
                command, stdin=source, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise DeviceError(f"{device}: no answer within {timeout_s:g} s") from None
    except OSError as error:
        raise DeviceError(f"{device}: cannot run {command[0]}: {error.strerror}") from error
    return Outcome(done.returncode, done.stdout, done.stderr)


def quoted(arguments: Sequence[str]) -> str:
    """A command line that a POSIX shell takes apart into these arguments."""
    return shlex.join(arguments)
