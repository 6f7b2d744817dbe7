"""Platform tags: which boards a wheel can be installed on.

Source: PEP 600, and the Python packaging user guide, Platform compatibility tags.
"""

from pathlib import Path

from octavo.compiler.package.models import PackagedModel
from octavo.compiler.package.python.elf_versions import needed_glibc
from octavo.errors import ArtifactError
from octavo.targets.base import Target

# Oldest glibc that installers know a tag for, by the architecture's name in tags: what the
# first Python for it was built with, and no library for it asks for less.
_OLDEST_GLIBC = {
    "x86_64": (2, 5),
    "aarch64": (2, 17),
    "armv7l": (2, 17),
    "riscv64": (2, 27),
}
# Zig's names, where they are others. Python of 32-bit boards takes numbers in registers of
# floats, as gnueabihf says.
_ARCHITECTURES = {"arm-linux-gnueabihf": "armv7l"}


def architecture(target: Target) -> str | None:
    """Name in tags of what a target's library is for; None where no Python is there."""
    system = target.zig_target.split(".", 1)[0]
    name = _ARCHITECTURES.get(system, system.removesuffix("-linux-gnu"))
    return name if target.abi is None and name in _OLDEST_GLIBC else None


def platform_tag(target: Target, library: Path) -> str:
    """The tag of a library, such as ``manylinux_2_17_aarch64``.

    Its number is the oldest glibc that has every function that the library asks for.

    Raises:
        ToolchainError: The library cannot be read.
    """
    name = architecture(target)
    if name is None:
        raise ValueError(f"{target.name} has no platform tag")
    major, minor = max(_OLDEST_GLIBC[name], needed_glibc(library))
    return f"manylinux_{major}_{minor}_{name}"


def required_architecture(model: PackagedModel) -> str:
    """Name in tags of what a model's library is for: installers tell no more apart.

    Raises:
        ArtifactError: It is for a system that runs no Python.
    """
    name = architecture(model.target)
    if name is None:
        raise ArtifactError(
            f"{model.folder} was compiled for {model.target.name}, which runs no Python;"
            f" wheels are for glibc on {', '.join(_OLDEST_GLIBC)}"
        )
    return name
