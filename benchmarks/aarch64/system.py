"""A file system of AArch64 with Python and both runtimes, made of packages.

Debian's packages come from where this machine's apt takes its own, wheels from where its pip
does. Nothing is installed: packages are unpacked into build/aarch64.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.aarch64.cores import Core

FOLDER = Path(__file__).resolve().parents[2] / "build" / "aarch64"
SYSTEM = FOLDER / "system"
SITE = "opt/site"  # of the system: unpacked wheels
PYTHON = "usr/bin/python3.11"
PYTHON_VERSION = "3.11"  # of Debian bookworm
DEBIAN_PACKAGES = (
    "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6",
    "libstdc++6", "libgcc-s1", "zlib1g", "libexpat1", "libbz2-1.0", "liblzma5", "libffi8",
    "libssl3", "libcrypt1", "libuuid1",
)  # fmt: skip
WHEELS = ("numpy", "onnxruntime", "ai-edge-litert")  # in the versions that are installed here
PLATFORMS = tuple(
    f"manylinux{tag}_aarch64" for tag in ("_2_28", "_2_27", "_2_17", "2014")
)


def system_for(core: Core) -> Path:
    """Return a system whose /proc/cpuinfo is that of a core, making it when it is not there.

    Both runtimes read it, and fail on that of a machine of another architecture.
    """
    if not SYSTEM.is_dir():
        _make()
    root = FOLDER / core.name
    (root / "proc").mkdir(parents=True, exist_ok=True)
    (root / "proc" / "cpuinfo").write_text(core.cpuinfo(), encoding="ascii")
    for folder in SYSTEM.iterdir():
        link = root / folder.name
        if not link.is_symlink():
            link.symlink_to(folder)
    return root


def versions() -> dict[str, str]:
    """Versions of what is compared."""
    return {name: importlib.metadata.version(name) for name in WHEELS}


def _make() -> None:
    partial = FOLDER / f"partial-{os.getpid()}"
    partial.mkdir(parents=True)
    try:
        for package in _debian_packages(FOLDER / "debian"):
            _call(["dpkg-deb", "--extract", str(package), str(partial)])
        for wheel in _wheels(FOLDER / "wheels"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(partial / SITE)
        partial.rename(SYSTEM)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _debian_packages(folder: Path) -> list[Path]:
    """Download packages of another architecture without telling this system's apt of it."""
    state, cache, packages = folder / "state", folder / "cache", folder / "packages"
    for path in (state / "lists" / "partial", cache / "archives" / "partial", packages):
        path.mkdir(parents=True, exist_ok=True)
    (state / "status").touch()  # nothing is installed
    configuration = folder / "apt.conf"
    configuration.write_text(
        'APT::Architecture "arm64";\n'
        'APT::Architectures { "arm64"; };\n'
        f'Dir::State "{state}";\nDir::State::status "{state / "status"}";\n'
        f'Dir::Cache "{cache}";\n'
    )
    environment = os.environ | {"APT_CONFIG": str(configuration)}
    _call(["apt-get", "--quiet", "update"], environment=environment)
    download = ["apt-get", "--quiet", "download", *DEBIAN_PACKAGES]
    _call(download, environment=environment, folder=packages)
    return sorted(packages.glob("*.deb"))


def _wheels(folder: Path) -> list[Path]:
    wanted = [f"{name}=={version}" for name, version in versions().items()]
    platforms = [part for name in PLATFORMS for part in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--implementation", "cp"]
    command += ["--python-version", PYTHON_VERSION, "--dest", str(folder)]
    _call([*command, *platforms, *wanted])
    return sorted(folder.glob("*.whl"))


def _call(
    command: Sequence[str],
    *,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
) -> None:
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:]
        raise RuntimeError(f"{command[0]} failed: {' '.join(said)}")
