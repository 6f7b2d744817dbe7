"""Android devices, through the Android Debug Bridge of the platform tools.

Source: developer.android.com/tools/adb: -s SERIAL, push, pull, devices -l; ``shell`` gives the
exit code of the command and keeps its errors apart since Android 7.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.devices.base import Deployment
from octavo.compiler.devices.remote import deploy_over
from octavo.compiler.devices.shell import (
    COMMAND_TIMEOUT_S,
    TRANSFER_TIMEOUT_S,
    Outcome,
    run_program,
)
from octavo.errors import AddressError, DeviceError

SCHEME = "adb"
PROGRAM_VARIABLE = "ADB"  # as other tools have it
READY = "device"  # state of one that takes commands; others are offline, unauthorized, ...
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")


@dataclass(frozen=True)
class AdbDevice:
    """A phone, a tablet, a board or an Android emulator.

    Attributes:
        serial: As ``adb devices`` prints it; empty: the only one that is connected.
    """

    serial: str = ""
    description: str = "an Android device, through adb"

    @property
    def name(self) -> str:
        """What the user types."""
        return f"{SCHEME}:{self.serial}" if self.serial else SCHEME

    @contextmanager
    def deploy(self, artifact: Path) -> Iterator[Deployment]:
        """See ``remote.deploy_over``."""
        with deploy_over(self.name, AdbShell(self), artifact) as deployment:
            yield deployment


@dataclass(frozen=True)
class AdbShell:
    """Commands and files of an Android device."""

    device: AdbDevice
    scratch: str = "/data/local/tmp"  # where the shell's user may run programs

    def run(self, command: str, timeout_s: float = COMMAND_TIMEOUT_S) -> Outcome:
        """Run a command line to its end."""
        return self._adb("shell", command, timeout_s=timeout_s)

    def push(self, source: Path, path: str) -> None:
        """Copy a file."""
        outcome = self._adb("push", str(source), path, timeout_s=TRANSFER_TIMEOUT_S)
        if outcome.code != 0:
            raise DeviceError(f"{self.device.name}: {outcome.cause()}")

    def pull(self, path: str) -> bytes:
        """Read a file."""
        with tempfile.TemporaryDirectory(prefix="octavo-adb-") as folder:
            copy = Path(folder) / "data"
            outcome = self._adb("pull", path, str(copy), timeout_s=TRANSFER_TIMEOUT_S)
            if outcome.code != 0:
                raise DeviceError(f"{self.device.name}: {outcome.cause()}")
            return copy.read_bytes()

    def _adb(self, *arguments: str, timeout_s: float) -> Outcome:
        serial = ["-s", self.device.serial] if self.device.serial else []
        return run_program(self.device.name, [adb_program(), *serial, *arguments], timeout_s)


def adb_device(address: str) -> AdbDevice:
    """Read ``adb:SERIAL`` or ``adb``.

    Raises:
        AddressError: It is not of that form.
    """
    serial = address.removeprefix(SCHEME).removeprefix(":")
    if serial and not _SERIAL.fullmatch(serial):
        raise AddressError(f"{address!r} is not of the form adb:SERIAL")
    return AdbDevice(serial)


def adb_program() -> str:
    """The adb of $ADB, or the one in $PATH."""
    return os.environ.get(PROGRAM_VARIABLE) or "adb"


@dataclass(frozen=True)
class ConnectedDevice:
    """A line of ``adb devices -l``.

    Attributes:
        serial: Its name.
        state: "device" when it is ready; "unauthorized", "offline" and others.
        model: What it is, where adb says so.
    """

    serial: str
    state: str
    model: str


def connected_devices() -> list[ConnectedDevice] | None:
    """What adb knows of; None where adb is not installed.

    Raises:
        DeviceError: adb fails.
    """
    if shutil.which(adb_program()) is None:
        return None
    outcome = run_program(SCHEME, [adb_program(), "devices", "-l"], COMMAND_TIMEOUT_S)
    if outcome.code != 0:
        raise DeviceError(f"{SCHEME}: {outcome.cause()}")
    # After the line "List of devices attached", and lines of a server that was started.
    lines = outcome.output.decode("utf-8", "replace").partition("List of devices")[2]
    found = []
    for line in lines.splitlines()[1:]:
        serial, *rest = line.split() or [""]
        if serial and rest:
            facts = dict(fact.split(":", 1) for fact in rest if ":" in fact)
            state = rest[0]
            found.append(ConnectedDevice(serial, state, facts.get("model", "")))
    return found
