"""The artifacts of an AAR, by the name that Android has for their instruction set."""

import os
from collections.abc import Sequence

from octavo.compiler.package.models import PackagedModel, collect_by_place
from octavo.errors import ArtifactError
from octavo.targets import SYSTEMS

SYSTEM = "android"


def collect_abis(
    artifacts: Sequence[str | os.PathLike[str]],
) -> dict[str, tuple[PackagedModel, ...]]:
    """Read the artifacts of a package for Android.

    Args:
        artifacts: Their folders, at least one: every model for every ABI.

    Returns:
        Models by ABI, such as "arm64-v8a"; models by name.

    Raises:
        ArtifactError: As ``collect_by_place``; an artifact is for another system; a model has
            other inputs or outputs on one ABI than on another.
        TargetError: An artifact was compiled for a target that is not known.
    """
    by_abi = collect_by_place(artifacts, _abi_name)
    _require_same_tensors(by_abi)
    return by_abi


def _abi_name(model: PackagedModel) -> str:
    abi = model.target.abi
    if abi is None or abi.system != SYSTEM:
        known = ", ".join(
            name for name, t in SYSTEMS.items() if t.abi and t.abi.system == SYSTEM
        )
        raise ArtifactError(
            f"{model.folder} was compiled for {model.target.name}, which is not Android;"
            f" targets that are: {known}, and the phones of octavo targets"
        )
    return abi.name


def _require_same_tensors(by_abi: dict[str, tuple[PackagedModel, ...]]) -> None:
    """An app is written for one model, whatever runs it."""
    first_abi, *others = by_abi
    for abi in others:
        for model, other in zip(by_abi[first_abi], by_abi[abi], strict=True):
            for kind in ("inputs", "outputs"):
                if model.manifest[kind] != other.manifest[kind]:
                    raise ArtifactError(
                        f"{model.name!r} has other {kind} for {first_abi} than for {abi}:"
                        f" {model.folder} and {other.folder}"
                    )
