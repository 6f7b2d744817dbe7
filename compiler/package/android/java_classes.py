"""classes.jar: the Java API, compiled by the JDK that every Android developer has."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from octavo.compiler.artifact.toolchain import runtime_folder
from octavo.compiler.package.android.archive import Entry, write_archive
from octavo.errors import ToolchainError

# What Android's own tools have read from the start; Java 9 and later have an option for it.
_LEVEL = ("--release", "8")
_LEVEL_OF_JAVA_8 = ("-source", "8", "-target", "8")
_TIMEOUT_S = 120.0


def api_folder() -> Path:
    """Sources of the Java API."""
    return runtime_folder() / "android" / "java"


def stubs_folder() -> Path:
    """Stand-ins for the classes of Android that the API names; they go into no package."""
    return runtime_folder() / "android" / "stubs"


def find_javac() -> str:
    """The compiler of ``$JAVA_HOME``, or the one in ``$PATH``.

    Raises:
        ToolchainError: There is none.
    """
    home = os.environ.get("JAVA_HOME")
    own = shutil.which("javac", path=str(Path(home) / "bin")) if home else None
    found = own or shutil.which("javac")
    if found is None:
        raise ToolchainError(
            "javac is needed for the classes of an Android package: install a JDK (8 or"
            " later), or set JAVA_HOME to one, such as the jbr folder of Android Studio"
        )
    return found


def compile_java(
    sources: Iterable[Path], folder: Path, *, classes: Path | None = None
) -> None:
    """Compile Java sources to class files of level 8.

    Args:
        sources: Files, or folders of files.
        folder: Gets the class files.
        classes: Archive of classes that the sources use.

    Raises:
        ToolchainError: There is no compiler, or it refuses the sources.
    """
    files = sorted(
        str(file)
        for source in sources
        for file in ([source] if source.is_file() else source.rglob("*.java"))
    )
    javac = find_javac()
    # -options: newer compilers warn of the level itself.
    common = ["-encoding", "UTF-8", "-g:source,lines", "-Xlint:-options", "-d", str(folder)]
    known = ["-classpath", str(classes)] if classes is not None else []
    _run([javac, *_level(javac), *common, *known, *files])


def write_classes(path: Path, build: Path) -> None:
    """Write classes.jar.

    Args:
        path: The archive.
        build: Folder for class files, empty or not there.

    Raises:
        ToolchainError: There is no compiler, or it refuses the sources.
    """
    build.mkdir(parents=True, exist_ok=True)
    compile_java([api_folder(), stubs_folder()], build)
    own = (build / "octavo").rglob("*.class")
    entries = [Entry(file.relative_to(build).as_posix(), file.read_bytes()) for file in own]
    write_archive(path, entries)


def _level(javac: str) -> Sequence[str]:
    version = _run([javac, "-version"])
    return _LEVEL_OF_JAVA_8 if version.removeprefix("javac ").startswith("1.") else _LEVEL


def _run(command: Sequence[str]) -> str:
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f"cannot run {command[0]}: {error}") from error
    output = result.stdout + result.stderr  # Java 8 tells its version as an error
    if result.returncode != 0:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        first = next((line for line in lines if "error" in line), lines[0] if lines else "")
        raise ToolchainError(f"javac failed: {first}")
    return output.strip()
