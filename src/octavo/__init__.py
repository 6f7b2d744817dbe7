"""Octavo: compiles trained networks into small, self-contained INT8 programs for edge devices.

The verbs of the ``octavo`` command are functions here. They are imported on first use, so that
``import octavo`` stays cheap and running an artifact needs numpy only.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from octavo.compiler.bench.bench import bench
    from octavo.compiler.compile import compile_model as compile
    from octavo.compiler.package.android.aar import package_android
    from octavo.compiler.package.c_sdk import package_c
    from octavo.compiler.package.ios.app_package import package_ios
    from octavo.compiler.package.python.wheels import package_python
    from octavo.compiler.quantize import quantize_model as quantize
    from octavo.compiler.session import Session, load

__version__ = "0.1.0"
__all__ = [
    "Session",
    "bench",
    "compile",
    "load",
    "package_android",
    "package_c",
    "package_ios",
    "package_python",
    "quantize",
]

_LAZY = {
    "Session": ("octavo.compiler.session", "Session"),
    "bench": ("octavo.compiler.bench.bench", "bench"),
    "compile": ("octavo.compiler.compile", "compile_model"),
    "load": ("octavo.compiler.session", "load"),
    "package_android": ("octavo.compiler.package.android.aar", "package_android"),
    "package_c": ("octavo.compiler.package.c_sdk", "package_c"),
    "package_ios": ("octavo.compiler.package.ios.app_package", "package_ios"),
    "package_python": ("octavo.compiler.package.python.wheels", "package_python"),
    "quantize": ("octavo.compiler.quantize", "quantize_model"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'octavo' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)
