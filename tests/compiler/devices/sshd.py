"""A real SSH server on the loopback interface, with keys of its own, for the tests."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAM_FOLDERS = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
START_S = 10.0


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        process: Its listening process.
        address: As ``--device`` takes it.
        client: Command of a client that has a key for it.
    """

    process: "subprocess.Popen[bytes]"
    address: str
    client: str

    def sessions(self) -> list[int]:
        """Processes that serve connections."""
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
            capture_output=True, text=True, check=False)
        return [int(pid) for pid in listed.stdout.split()]


def missing_programs() -> list[str]:
    """Of those that the server and its client need."""
    names = ("sshd", "ssh", "ssh-keygen", "ps")
    return [name for name in names if shutil.which(name, path=PROGRAM_FOLDERS) is None]


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Run a server that only the key of its folder opens."""
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it locks itself in before a login
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n")
    key_type, key, *_ = (folder / "host.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key_type} {key}\n")
    (folder / "config").write_text(
        f"Host *\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile none\n")
    program = shutil.which("sshd", path=PROGRAM_FOLDERS)
    assert program is not None
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    try:
        _wait(process, port, folder / "log")
        yield Server(process, f"ssh://{getpass.getuser()}@127.0.0.1:{port}",
                     f"ssh -F {folder}/config")
    finally:
        process.terminate()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"sshd does not start: {log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
