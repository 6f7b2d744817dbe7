"""Files of /proc and /sys: what a system tells of itself, here and on other devices."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from octavo.compiler.devices.shell import Shell

Files = Mapping[str, str]  # content by path


def local_files(patterns: Sequence[str], root: Path = Path("/")) -> dict[str, str]:
    """Read files of this machine.

    Args:
        patterns: Absolute paths with ``*`` and ``[0-9]``, as a shell takes them.
        root: Folder that stands for the root of the file system.

    Returns:
        Content by path; those that cannot be read are left out.
    """
    files = {}
    for pattern in patterns:
        for path in sorted(root.glob(pattern.lstrip("/"))):
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            files[f"/{path.relative_to(root)}"] = text.strip()
    return files


def remote_files(patterns: Sequence[str], shell: Shell) -> dict[str, str]:
    """Read files of a device, all with one command.

    Args:
        patterns: As for ``local_files``; the device's shell expands them.
        shell: The way to it.

    Raises:
        DeviceError: The device does not answer.
    """
    # Every line of every file behind its path; those that cannot be read say nothing.
    listed = shell.run(f"grep -sH . {' '.join(patterns)} 2>/dev/null").output
    files: dict[str, str] = {}
    for line in listed.decode("utf-8", "replace").splitlines():
        path, _, text = line.partition(":")
        files[path] = f"{files[path]}\n{text}" if path in files else text
    return files
