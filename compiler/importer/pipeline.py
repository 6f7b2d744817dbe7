"""The door of the importer: from an untrusted file to a model that the passes can rely on.

Nothing heavy is loaded before the other process is on its way.
"""

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from octavo.compiler.importer.isolation import IS_POSSIBLE, TRUSTED, import_in_child
from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.request import Imported, ImportRequest, make_request

if TYPE_CHECKING:
    import onnx_ir as ir

    from octavo.compiler.importer.shapes import InputShape


def import_model(
    path: str | os.PathLike[str],
    *,
    shapes: "Mapping[str, InputShape] | None" = None,
    maxima: Mapping[str, int] | None = None,
    allow_external_data: bool = False,
    limits: Limits | None = None,
    isolated: bool | None = None,
) -> "ir.Model":
    """Read an ONNX model that nobody has to trust.

    Args:
        path: Model file, opset 11 or newer; 28 is the newest that is known.
        shapes: Static shapes of inputs, by name; needed where the model leaves sizes open.
        maxima: Largest sizes of dimensions that are counted at run time, by name. The model
            gets an input for each, see ``passes.message_passing.counts``.
        allow_external_data: Whether tensors in other files inside the model's folder are read.
        limits: Caps on sizes and nesting, and on what the import may take.
        isolated: Whether to read it in a process of its own, which has limits on memory and
            time; None: unless the environment variable OCTAVO_TRUST_MODELS is set, or the
            system is Windows.

    Returns:
        A model at opset 21 of ai.onnx: every value has a static shape and a type, functions
        are inlined, constants folded (never DequantizeLinear), quantized operators written as
        QDQ, nodes and values named uniquely.

    Raises:
        ModelError: The model is malformed, unsafe, too large or unsupported; the message names
            the node or tensor.
    """
    request = make_request(
        path,
        shapes=shapes,
        maxima=maxima,
        allow_external_data=allow_external_data,
        limits=limits,
    )
    imported = import_request(
        request,
        isolated,
        # onnx_ir takes 0.3 s to load: as long as the other process needs
        meanwhile=lambda: import_module("octavo.compiler.importer.build"),
    )
    if imported.varying:
        from octavo.compiler.importer.counted import build_counted

        return build_counted(imported)
    from octavo.compiler.importer.build import build_model

    return build_model(imported.draft)


def import_request(
    request: ImportRequest,
    isolated: bool | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Imported:
    """Do all that ``import_model`` does, short of building the ``onnx_ir`` graph.

    Args:
        request: What to import.
        isolated: See ``import_model``.
        meanwhile: Called while another process imports.
    """
    if isolated is None:
        isolated = IS_POSSIBLE and not os.environ.get(TRUSTED)
    if isolated:
        return import_in_child(request, meanwhile)
    from octavo.compiler.importer.stages import import_here

    return import_here(request)
