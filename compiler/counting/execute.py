"""One run of a program under an emulator that counts."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from octavo.compiler.counting.counts import Counts
from octavo.compiler.counting.plugin import counting_plugin
from octavo.errors import DeviceError

TIMEOUT_S = 3600.0  # a large network in float takes minutes
PACKAGE = "qemu-user"
OTHERS = 0  # label of what no mark owns


@dataclass(frozen=True)
class Mark:
    """Code whose blocks make a label the owner of what follows; see count.c.

    Attributes:
        begin: First address, in a program that is not position independent.
        end: Behind the last one.
        label: At least 1.
    """

    begin: int
    end: int
    label: int


def count(
    emulator: Sequence[str],
    command: Sequence[str],
    *,
    marks: Sequence[Mark] = (),
    counts_memory: bool = True,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> dict[int, Counts]:
    """Run a program to its end and count.

    Args:
        emulator: The emulator and its own arguments.
        command: The program and its arguments.
        marks: Who owns what is counted; without any, ``OTHERS`` owns everything.
        counts_memory: Count loads and stores too, which is slower.
        environment: Of the run; this process's when None.
        folder: Where it runs; here when None.

    Returns:
        Counts by label; a label that owns nothing is not in it.

    Raises:
        DeviceError: The emulator is missing, or the program failed or took too long.
    """
    plugin = counting_plugin(emulator_release(emulator[0]))
    with tempfile.TemporaryDirectory(prefix="octavo-count-") as name:
        scratch = Path(name)
        options = [str(plugin), f"out={scratch / 'counts'}"]
        if marks:
            lines = [f"{m.begin:x} {m.end:x} {m.label}" for m in marks]
            (scratch / "marks").write_text("\n".join(lines) + "\n", encoding="ascii")
            options.append(f"marks={scratch / 'marks'}")
        if not counts_memory:
            options.append("memory=off")
        _run([*emulator, "-plugin", ",".join(options), *command], environment, folder)
        return _read(scratch / "counts", emulator[0])


def _run(
    command: Sequence[str], environment: Mapping[str, str] | None, folder: Path | None
) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"{command[0]} failed: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        said = lines[-1] if lines else "nothing was printed"
        raise DeviceError(f"the program failed under {command[0]} ({done.returncode}): {said}")


def _read(path: Path, emulator: str) -> dict[int, Counts]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        rows = [[int(number) for number in line.split()] for line in lines]
        return {row[0]: Counts(*row[1:]) for row in rows}
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise DeviceError(f"{emulator} did not count: it ignored its plugin") from error


@cache
def emulator_release(program: str) -> int:
    """Major number of an emulator's release.

    Raises:
        DeviceError: It is not installed, or no emulator of this kind.
    """
    if shutil.which(program) is None:
        raise DeviceError(f"{program} is not installed (Debian package {PACKAGE})")
    try:
        text = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=60, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"{program} failed: {error}") from error
    found = re.search(r"version (\d+)\.", text)
    if found is None:
        raise DeviceError(f"{program} does not say its version")
    return int(found[1])
