"""What every device does: take an artifact, run its bench program, give files back."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from octavo.compiler.roofline.machine import Machine

TIMEOUT_S = 600.0  # of one run; a large network takes minutes under an emulator


class Deployment(Protocol):
    """An artifact on a device, with a folder for the files of its runs."""

    @property
    def device(self) -> str:
        """Name of the device, for messages."""

    def send(self, name: str, data: bytes) -> None:
        """Write a file into the folder.

        Args:
            name: A plain file name.
            data: Its content.
        """

    def run(self, arguments: Sequence[str], timeout_s: float = TIMEOUT_S) -> str:
        """Run the artifact's bench program in the folder.

        Args:
            arguments: Of the program; files are named relative to the folder.
            timeout_s: The run is ended and fails after so many seconds.

        Returns:
            What it printed.

        Raises:
            DeviceError: It could not run, failed, crashed or took too long.
        """

    def fetch(self, name: str) -> bytes:
        """Read a file of the folder.

        Raises:
            DeviceError: There is none.
        """

    def system_files(self, patterns: Sequence[str]) -> Mapping[str, str]:
        """Read files of /proc and /sys of the device.

        Args:
            patterns: Absolute paths with ``*`` and ``[0-9]``, as a shell takes them.

        Returns:
            Content by path; those that cannot be read are left out.

        Raises:
            DeviceError: The device does not answer.
        """

    def machine(self) -> Machine:
        """The machine that runs the program; what its system does not tell is empty.

        Raises:
            DeviceError: The device does not answer.
        """


class Device(Protocol):
    """Somewhere that artifacts run."""

    @property
    def name(self) -> str:
        """What the user types."""

    @property
    def description(self) -> str:
        """One line."""

    def deploy(self, artifact: Path) -> AbstractContextManager[Deployment]:
        """Bring an artifact to the device; the end of the context removes it.

        Raises:
            ArtifactError: It is none, or was changed after it was built.
            DeviceError: The device does not answer.
            TargetError: The device does not run code for the artifact's target.
        """
