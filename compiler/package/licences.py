"""The licence that goes with everything that Octavo puts into a package."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import octavo.compiler
from octavo.errors import ToolchainError

LICENSE = "LICENSE"


def licence_text() -> str:
    """Octavo's licence: of the runtime, the kernels and generated code.

    In a checkout it is beside the runtime; a wheel has it among its metadata.

    Raises:
        ToolchainError: It is in neither place.
    """
    path = Path(octavo.compiler.__file__).resolve().parents[1] / LICENSE
    if path.is_file():
        return path.read_text(encoding="utf-8")
    try:
        text = distribution("octavo").read_text(f"licenses/{LICENSE}")
    except PackageNotFoundError:
        text = None
    if not text:
        raise ToolchainError(f"Octavo's {LICENSE} is missing from its installation")
    return text
