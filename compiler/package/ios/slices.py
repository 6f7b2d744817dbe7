"""The artifacts of an XCFramework, by system and processor."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from octavo.compiler.package.models import PackagedModel, collect_by_place
from octavo.errors import ArtifactError
from octavo.targets import SYSTEMS
from octavo.targets.base import Target

# Object format of Apple's systems, which no other system has.
_MACH_O = "mach-o"


@dataclass(frozen=True, order=True)
class Platform:
    """What an app is built for; a library of an XCFramework is for one.

    Attributes:
        system: "ios" or "macos".
        variant: "simulator", or "" for devices.
    """

    system: str
    variant: str = ""

    @property
    def is_device(self) -> bool:
        """Whether it is a phone or tablet."""
        return (self.system, self.variant) == ("ios", "")


@dataclass(frozen=True, order=True)
class Slice:
    """Machine code for one processor of a platform.

    Attributes:
        platform: Its platform.
        architecture: Apple's name of the processor's architecture: "arm64" or "x86_64".
    """

    platform: Platform
    architecture: str

    @property
    def name(self) -> str:
        """Such as "ios-arm64-simulator"."""
        return slice_name(self.platform, (self.architecture,))

    def __str__(self) -> str:
        """Its name."""
        return self.name


Slices = dict[Slice, tuple[PackagedModel, ...]]


def slice_name(platform: Platform, architectures: Sequence[str]) -> str:
    """Name of a library of an XCFramework, as Xcode gives them."""
    parts = (platform.system, "_".join(architectures), platform.variant)
    return "-".join(part for part in parts if part)


def collect_slices(artifacts: Sequence[str | os.PathLike[str]]) -> Slices:
    """Read the artifacts of a package for Apple's systems.

    Args:
        artifacts: Their folders, at least one: every model for every slice.

    Returns:
        Models by slice, devices first; models by name.

    Raises:
        ArtifactError: As ``collect_by_place``; or an artifact is for another system.
        TargetError: An artifact was compiled for a target that is not known.
    """
    return dict(sorted(collect_by_place(artifacts, _required_slice).items()))


def _required_slice(model: PackagedModel) -> Slice:
    own = _slice_of(model.target)
    if own is None:
        known = ", ".join(name for name, t in SYSTEMS.items() if _slice_of(t) is not None)
        raise ArtifactError(
            f"{model.folder} was compiled for {model.target.name}, which is none of Apple's"
            f" systems; targets that are: {known}"
        )
    return own


def oldest_version(slices: Slices, system: str) -> int | None:
    """Oldest version of a system that all of its slices run on; None without slices."""
    targets = [models[0].target for s, models in slices.items() if s.platform.system == system]
    return max((t.abi.api_level for t in targets if t.abi is not None), default=None)


def _slice_of(target: Target) -> Slice | None:
    abi = target.abi
    if abi is None or abi.object_format != _MACH_O:
        return None
    return Slice(Platform(abi.system, abi.variant), abi.name)
