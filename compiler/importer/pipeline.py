"""From an untrusted file to a model that the passes can rely on."""

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import onnx

from octavo.compiler.importer.cleanup import name_nodes, remove_dead_code, settle_outputs
from octavo.compiler.importer.draft import Draft
from octavo.compiler.importer.dynamic_quantization import rewrite_dynamic_quantization
from octavo.compiler.importer.external import ExternalData
from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.load import load_proto
from octavo.compiler.importer.operand_check import check_operands
from octavo.compiler.importer.resolve import Resolver
from octavo.compiler.importer.shapes import InputShape, bind_inputs
from octavo.compiler.importer.structure import check_structure
from octavo.compiler.importer.tensors import read_sparse_tensor, read_tensor
from octavo.compiler.importer.tflite.shape_check import check_declared_shapes
from octavo.compiler.importer.weights import check_constants, normalize_dequantized_weights

if TYPE_CHECKING:
    import onnx_ir as ir


def import_model(
    path: str | os.PathLike[str],
    *,
    shapes: Mapping[str, InputShape] | None = None,
    maxima: Mapping[str, int] | None = None,
    allow_external_data: bool = False,
    limits: Limits | None = None,
) -> "ir.Model":
    """Read an ONNX model that nobody has to trust.

    Args:
        path: Model file, opset 11 to 25.
        shapes: Static shapes of inputs, by name; needed where the model leaves sizes open.
        maxima: Largest sizes of dimensions that are counted at run time, by name. The model
            gets an input for each, see ``passes.message_passing.counts``.
        allow_external_data: Whether tensors in other files inside the model's folder are read.
        limits: Caps on sizes and nesting.

    Returns:
        A model at opset 21 of ai.onnx: every value has a static shape and a type, functions
        are inlined, constants folded (never DequantizeLinear), quantized operators written as
        QDQ, nodes and values named uniquely.

    Raises:
        ModelError: The model is malformed, unsafe, too large or unsupported; the message names
            the node or tensor.
    """
    read = partial(
        import_draft,
        path,
        shapes=shapes,
        allow_external_data=allow_external_data,
        limits=limits,
    )
    draft = read(maxima=maxima)
    # onnx_ir takes 0.3 s to load, which `octavo inspect` does not have
    from octavo.compiler.importer.build import build_model

    if not maxima:
        return build_model(draft)
    from octavo.compiler.importer.counted import build_counted

    return build_counted(draft, maxima, lambda sizes: read(maxima=sizes))


def import_draft(
    path: str | os.PathLike[str],
    *,
    shapes: Mapping[str, InputShape] | None = None,
    maxima: Mapping[str, int] | None = None,
    allow_external_data: bool = False,
    limits: Limits | None = None,
) -> Draft:
    """Do all that ``import_model`` does, short of building the ``onnx_ir`` graph."""
    limits = limits or Limits()
    model = load_proto(path, limits)
    check_structure(model, limits)
    external = ExternalData(path, allow_external_data, limits)
    draft = Draft(name=model.graph.name or "main")
    _read_graph(model.graph, draft, shapes or {}, maxima or {}, limits, external)
    Resolver(model, draft, limits, external).run()
    check_declared_shapes(model, draft)
    remove_dead_code(draft)
    rewrite_dynamic_quantization(draft)
    normalize_dequantized_weights(draft)
    settle_outputs(draft)
    remove_dead_code(draft)
    # before nodes are named: messages then say what the user's file says
    check_operands(draft)
    check_constants(draft)
    name_nodes(draft)
    return draft


def _read_graph(
    graph: onnx.GraphProto,
    draft: Draft,
    shapes: Mapping[str, InputShape],
    maxima: Mapping[str, int],
    limits: Limits,
    external: ExternalData,
) -> None:
    """Take inputs, outputs and initializers of the main graph into the draft."""
    draft.reserve(*(name for node in graph.node for name in node.output))
    for tensor in graph.initializer:
        draft.reserve(tensor.name)
        where = f"initializer '{tensor.name}'"
        draft.set_constant(tensor.name, read_tensor(tensor, where, limits, external))
    for sparse in graph.sparse_initializer:
        name = sparse.values.name
        draft.reserve(name)
        draft.set_constant(name, read_sparse_tensor(sparse, f"initializer '{name}'", limits))
    # an initializer that is listed as an input as well is only a default value
    inputs = [value for value in graph.input if value.name not in draft.constants]
    bound = bind_inputs(inputs, shapes, limits, maxima)
    draft.reserve(*bound)
    draft.inputs = list(bound)
    draft.types.update(bound)
    draft.outputs = [value.name for value in graph.output]
