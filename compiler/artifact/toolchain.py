"""The C compiler and linker of every target: zig's clang and lld, from the ziglang package."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import octavo.compiler
from octavo.errors import ToolchainError

RUNTIME_FLAGS = (
    "-std=c11",
    "-O2",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffunction-sections",  # what nobody calls is not linked
    "-fdata-sections",
    "-fno-sanitize=all",
    "-g0",
)
COMPILE_FLAGS = (  # of a model's table
    "-std=c11",
    "-O2",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-sanitize=all",
    "-g0",
)
_TIMEOUT_S = 300.0  # zig builds the C library of a target when it first links for it


def runtime_folder() -> Path:
    """Sources of the C runtime: beside the package's code, in a checkout and in a wheel alike.

    In a checkout ``octavo.compiler`` is a link to a folder beside ``runtime``, so that edits
    are live; in a wheel both are folders of the package.
    """
    folder = Path(octavo.compiler.__file__).resolve().parents[1] / "runtime"
    if not (folder / "include" / "octavo_runtime.h").is_file():
        raise ToolchainError(f"the C runtime's sources are missing from {folder}")
    return folder


def cache_folder() -> Path:
    """Where compiled parts and measurements stay between runs.

    ``OCTAVO_CACHE`` names the folder; else it is in the XDG cache folder, or a temporary one.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = Path(os.environ.get("OCTAVO_CACHE") or base / "octavo").expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"octavo-cache-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def driver_cache_folder() -> Path:
    """Where drivers of accelerators keep what they made of kernels; it exists."""
    folder = cache_folder() / "drivers"
    folder.mkdir(exist_ok=True)
    return folder


def zig(arguments: Sequence[str], folder: Path) -> None:
    """Run zig inside ``folder``; paths in ``arguments`` are best relative to it.

    Relative paths keep the result independent of where it was built.

    Raises:
        ToolchainError: It failed; the message holds its first error.
    """
    import ziglang

    executable = Path(ziglang.__file__).parent / "zig"
    environment = dict(os.environ)
    environment["ZIG_GLOBAL_CACHE_DIR"] = str(cache_folder() / "zig")
    # What is compiled for one artifact is of no use to the next, so it goes with the folder.
    environment["ZIG_LOCAL_CACHE_DIR"] = str(folder / ".zig-cache")
    environment["SOURCE_DATE_EPOCH"] = "0"
    try:
        result = subprocess.run(
            [str(executable), *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f"cannot run zig {arguments[0]}: {error}") from error
    if result.returncode != 0:
        raise ToolchainError(f"zig {arguments[0]} failed: {_first_error(result.stderr)}")


def _first_error(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return next(
        (line for line in lines if "error" in line), lines[-1] if lines else "no output"
    )


def runtime_objects(
    zig_target: str,
    flags: Sequence[str] = (),
    *,
    with_bench: bool = True,
    system_headers: str = "",
) -> list[Path]:
    """Object files of the runtime and the bench program, compiled once per target and source.

    Args:
        zig_target: What ``zig cc -target`` is given.
        flags: Further flags of the compiler.
        with_bench: The bench program too, which needs the C library's headers.
        system_headers: Folder of zig's headers that it does not look into on its own.

    Returns:
        Paths in the cache; ``bench.o`` comes last.
    """
    source = runtime_folder()
    sources = sorted((source / "src").glob("*.c"))
    if with_bench:
        sources.append(source / "bench" / "bench.c")
    folders = ("src", "include", "bench")
    headers = sorted(path for name in folders for path in (source / name).glob("*.h"))
    command = ["cc", "-target", zig_target, *RUNTIME_FLAGS, *flags]
    digest = hashlib.sha256(repr((command, system_headers, _zig_version())).encode())
    for path in [*headers, *sources]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    folder = cache_folder() / "runtime" / digest.hexdigest()[:32]
    objects = [folder / f"{path.stem}.o" for path in sources]
    if not all(path.is_file() for path in objects):
        command += ["-isystem", str(_zig_headers(system_headers))] if system_headers else []
        _compile_runtime([*command, f"-I{source / 'include'}"], sources, folder)
    return objects


def _compile_runtime(command: Sequence[str], sources: Sequence[Path], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".build-") as name:
        build = Path(name)
        for path in sources:
            zig(
                [*command, "-c", str(path), "-o", f"{path.stem}.o"],
                build,
            )
        folder.mkdir(exist_ok=True)
        # File by file: two builds at once write the same bytes, and readers see whole files.
        for path in sources:
            (build / f"{path.stem}.o").replace(folder / f"{path.stem}.o")


def _zig_headers(name: str) -> Path:
    import ziglang

    return Path(ziglang.__file__).parent / "lib" / "libc" / "include" / name


def _zig_version() -> str:
    from importlib.metadata import version

    return version("ziglang")
