"""Model import: untrusted ONNX file -> checked, static, folded QDQ model at opset 21."""

from octavo.compiler.importer.inspect import ModelSummary, NodeSummary, inspect_model
from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.pipeline import import_model
from octavo.compiler.importer.shapes import InputShape, parse_max_option, parse_shape_option

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
