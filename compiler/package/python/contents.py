"""What is in a wheel besides libraries and weights: Python, metadata, a record of models."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import octavo
import octavo.compiler
from octavo.compiler.artifact.toolchain import runtime_folder
from octavo.compiler.package.models import PackagedModel
from octavo.errors import ToolchainError

MODELS_RECORD = "models.json"
_FORMAT = 1
_OLDEST_PYTHON = "3.9"
_NUMPY = "numpy>=1.21"  # the first with numpy.typing.NDArray
# Of the compiler's own session: modules of ``octavo.compiler``, and their names in a package.
_SHARED = {"native_structs": "_structs", "tensor_info": "_tensor_info", "usage": "_usage"}
_IMPORT = re.compile(r"^from octavo\.compiler\.(\w+) import", re.MULTILINE)


def python_files() -> dict[str, bytes]:
    """The Python of a package by file name.

    Raises:
        ToolchainError: It is missing from the installation.
    """
    folder = runtime_folder() / "python" / "package"
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.py"))}
    if "__init__.py" not in files:
        raise ToolchainError(f"the Python of packages is missing from {folder}")
    own = Path(octavo.compiler.__file__).parent
    for module, name in _SHARED.items():
        text = (own / f"{module}.py").read_text(encoding="utf-8")
        # What is shared imports nothing of Octavo but what is shared.
        text = _IMPORT.sub(lambda found: f"from .{_SHARED[found[1]]} import", text)
        files[f"{name}.py"] = text.encode("utf-8")
    return files | {"py.typed": b""}


def weights_name(model: PackagedModel) -> str:
    """File name of a model's weights in a package."""
    return f"{model.name}.weights"


def models_record(models: Sequence[PackagedModel], library: str, version: str) -> bytes:
    """models.json: what a package finds its files by, and the origin of each model.

    Args:
        models: Of one target.
        library: File name of the library.
        version: Of the wheel.
    """
    record = {
        "format": _FORMAT,
        "version": version,
        "octavo": octavo.__version__,
        "target": models[0].target.name,
        "library": library,
        "models": [
            {
                "name": model.name,
                "weights": weights_name(model),
                "weights_sha256": model.manifest["files"]["weights.bin"],
                "arena_bytes": model.manifest["memory"]["arena_bytes"],
                "macs": model.manifest["macs"],
                "cpu_features": model.manifest["target_details"]["cpu_features"],
                "inputs": model.manifest["inputs"],
                "outputs": model.manifest["outputs"],
                "versions": model.manifest["versions"],
            }
            for model in models
        ],
    }
    return (json.dumps(record, indent=1, allow_nan=False) + "\n").encode("ascii")


def metadata_text(
    distribution: str, version: str, models: Sequence[PackagedModel], description: str
) -> bytes:
    """METADATA. Source: Python packaging user guide, Core metadata specifications 2.4.

    Args:
        distribution: Name for installers.
        version: Of the wheel.
        models: In it.
        description: Markdown.
    """
    names = ", ".join(model.name for model in models)
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {distribution}",
        f"Version: {version}",
        f"Summary: {names}, compiled by Octavo {octavo.__version__}",
        "License-File: LICENSE",
        f"Requires-Python: >={_OLDEST_PYTHON}",
        f"Requires-Dist: {_NUMPY}",
        "Description-Content-Type: text/markdown",
        "",
        description,
    ]
    return "\n".join(lines).encode("utf-8")


def wheel_text(tag: str) -> bytes:
    """WHEEL: the format, and what the wheel is for."""
    lines = [
        "Wheel-Version: 1.0",
        f"Generator: octavo {octavo.__version__}",
        "Root-Is-Purelib: false",
        f"Tag: {tag}",
    ]
    return ("\n".join(lines) + "\n").encode("ascii")
