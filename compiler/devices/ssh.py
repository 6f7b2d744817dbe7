"""Machines that are reached by SSH: boards, servers, anything with a POSIX shell.

The user's own ``ssh`` makes the connection: keys, jump hosts and names of ~/.ssh/config work
as they do everywhere else.
"""

import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from octavo.compiler.devices.base import Deployment
from octavo.compiler.devices.remote import deploy_over
from octavo.compiler.devices.shell import (
    COMMAND_TIMEOUT_S,
    TRANSFER_TIMEOUT_S,
    Outcome,
    quoted,
    run_program,
)
from octavo.errors import AddressError, DeviceError

SCHEME = "ssh"
COMMAND_VARIABLE = "OCTAVO_SSH_COMMAND"  # like GIT_SSH_COMMAND: "ssh -F file -i key"
CONNECT_TIMEOUT_S = 10
ALIVE_INTERVAL_S, NUM_ALIVE = 3, 3  # a link that is silent for their product is taken for dead
UNREACHABLE = 255  # exit code of ssh itself
_POLL_S = 0.02
# Nothing that ssh could take for an option, and nothing that a shell would look at.
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9_.:%-]*")


@dataclass(frozen=True)
class SshDevice:
    """A machine behind SSH.

    Attributes:
        host: Name or address, or an alias of the user's configuration.
        user: Account; empty for what ssh would take.
        port: 0 for what ssh would take.
    """

    host: str
    user: str = ""
    port: int = 0
    description: str = "a machine that is reached by SSH"

    @property
    def name(self) -> str:
        """The address, as the user types it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (
            f"{SCHEME}://{self.user + '@' if self.user else ''}{host}"
            f"{f':{self.port}' if self.port else ''}"
        )

    @contextmanager
    def deploy(self, artifact: Path) -> Iterator[Deployment]:
        """See ``remote.deploy_over``; one connection serves the whole context."""
        with (
            self._connected() as shell,
            deploy_over(self.name, shell, artifact) as deployment,
        ):
            yield deployment

    @contextmanager
    def _connected(self) -> Iterator["SshShell"]:
        """Connect once; the commands that follow go through that connection."""
        with tempfile.TemporaryDirectory(prefix="octavo-ssh-") as folder:
            socket, log = Path(folder) / "s", Path(folder) / "log"
            shell = SshShell(self, socket)
            with log.open("wb") as log_file:
                try:
                    master = subprocess.Popen(
                        [*shell.command("-M", "-N"), self.host],
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log_file)
                except OSError as error:
                    raise DeviceError(
                        f"{self.name}: cannot run {shell.program[0]}: {error.strerror}"
                    ) from error
            try:
                self._wait(master, socket, log)
                yield shell
            finally:
                master.terminate()
                master.wait()

    def _wait(self, master: "subprocess.Popen[bytes]", socket: Path, log: Path) -> None:
        deadline = time.monotonic() + 2 * CONNECT_TIMEOUT_S  # to connect, and to log in
        while not socket.exists():
            if master.poll() is not None:
                cause = Outcome(master.returncode, b"", log.read_bytes()).cause()
                raise DeviceError(f"{self.name}: {cause}")
            if time.monotonic() > deadline:
                raise DeviceError(f"{self.name}: no answer within {2 * CONNECT_TIMEOUT_S} s")
            time.sleep(_POLL_S)


@dataclass(frozen=True)
class SshShell:
    """Commands and files through a connection that is open.

    Attributes:
        device: The machine.
        socket: Of the ssh process that keeps the connection.
    """

    device: SshDevice
    socket: Path
    scratch: str = "/tmp"

    @property
    def program(self) -> list[str]:
        """The user's ssh."""
        return shlex.split(os.environ.get(COMMAND_VARIABLE, "")) or ["ssh"]

    def command(self, *options: str) -> list[str]:
        """The user's ssh with its options, up to the host."""
        return [
            *self.program,
            "-o", "BatchMode=yes",  # fails where it would ask for a password
            "-o", f"ConnectTimeout={CONNECT_TIMEOUT_S}",
            "-o", f"ServerAliveInterval={ALIVE_INTERVAL_S}",
            "-o", f"ServerAliveCountMax={NUM_ALIVE}",
            "-o", f"ControlPath={self.socket}", "-o", "ControlPersist=no",
            *(["-l", self.device.user] if self.device.user else []),
            *(["-p", str(self.device.port)] if self.device.port else []),
            *options,
        ]  # fmt: skip

    def run(self, command: str, timeout_s: float = COMMAND_TIMEOUT_S) -> Outcome:
        """Run a command line to its end."""
        return self._ssh(command, timeout_s)

    def push(self, source: Path, path: str) -> None:
        """Copy a file; needs nothing but ``cat`` on the device."""
        outcome = self._ssh(f"cat > {quoted([path])}", TRANSFER_TIMEOUT_S, stdin=source)
        if outcome.code != 0:
            raise DeviceError(f"{self.device.name}: {outcome.cause()}")

    def pull(self, path: str) -> bytes:
        """Read a file."""
        outcome = self._ssh(quoted(["cat", path]), TRANSFER_TIMEOUT_S)
        if outcome.code != 0:
            raise DeviceError(f"{self.device.name}: {outcome.cause()}")
        return outcome.output

    def _ssh(self, command: str, timeout_s: float, stdin: Path | None = None) -> Outcome:
        # A connection that is gone is not made again: what it ran is of no use half done.
        options = ("-o", "ControlMaster=no", "-o", "ProxyCommand=false")
        arguments = [*self.command(*options), self.device.host, command]
        outcome = run_program(self.device.name, arguments, timeout_s, stdin=stdin)
        if outcome.code == UNREACHABLE:
            raise DeviceError(f"{self.device.name}: the connection was lost")
        return outcome


def ssh_device(address: str) -> SshDevice:
    """Read ``ssh://[USER@]HOST[:PORT]``.

    Raises:
        AddressError: It is not of that form.
    """
    wrong = AddressError(f"{address!r} is not of the form ssh://[USER@]HOST[:PORT]")
    try:
        parts = urlsplit(address)
        host, user, port = parts.hostname or "", parts.username or "", parts.port or 0
    except ValueError:
        raise wrong from None
    if parts.password or parts.path.strip("/") or parts.query or parts.fragment:
        raise wrong
    if not _HOST.fullmatch(host) or (user and not _USER.fullmatch(user)):
        raise wrong
    if "@" in parts.netloc and not user:
        raise wrong
    return SshDevice(host, user, port)
