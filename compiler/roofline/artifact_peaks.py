"""Peaks of this machine for a compiled artifact: with the instructions that it was made of."""

from collections.abc import Mapping
from typing import Any

from octavo.compiler.roofline.measure import find_peaks
from octavo.compiler.roofline.peaks import Peaks
from octavo.errors import ArtifactError
from octavo.targets.base import Target


def artifact_peaks(manifest: Mapping[str, Any], num_threads: int) -> tuple[Peaks, ...]:
    """Find or measure what a step of an artifact is held against.

    Args:
        manifest: The content of manifest.json.
        num_threads: Threads that run the model.

    Returns:
        Peaks of one thread, then of ``num_threads`` where that is more.

    Raises:
        ArtifactError: The manifest does not tell the target.
        DeviceError, ToolchainError: The peaks cannot be measured.
    """
    target = manifest_target(manifest)
    return tuple(find_peaks(target, n) for n in dict.fromkeys((1, num_threads)))


def manifest_target(manifest: Mapping[str, Any]) -> Target:
    """The target that an artifact was compiled for, as far as code generation goes.

    Raises:
        ArtifactError: The manifest does not tell.
    """
    try:
        details = manifest["target_details"]
        return Target(
            name=str(manifest["target"]),
            description="",
            triple=str(details["triple"]),
            cpu=str(details["cpu"]),
            features=tuple(str(f) for f in details["features"]),
            zig_target=str(details["zig_target"]),
            isa=str(details["isa"]),
        )
    except (KeyError, TypeError) as error:
        raise ArtifactError(
            f"manifest.json is malformed ({type(error).__name__}: {error}); compile again"
        ) from error
