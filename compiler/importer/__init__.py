"""Model import: untrusted ONNX file -> checked, static, folded QDQ model at opset 21."""

from typing import TYPE_CHECKING, Any

from octavo.compiler.importer.inspect import ModelSummary, NodeSummary, inspect_model
from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.pipeline import import_model

if TYPE_CHECKING:
    from octavo.compiler.importer.shapes import (
        InputShape,
        parse_max_option,
        parse_shape_option,
    )

__all__ = [
    "InputShape",
    "Limits",
    "ModelSummary",
    "NodeSummary",
    "import_model",
    "inspect_model",
    "parse_max_option",
    "parse_shape_option",
]


def __getattr__(name: str) -> Any:
    # onnx comes with it, which loads while another process imports
    if name not in __all__:
        raise AttributeError(f"module 'octavo.compiler.importer' has no attribute {name!r}")
    from octavo.compiler.importer import shapes

    return getattr(shapes, name)
