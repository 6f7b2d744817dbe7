"""What an import consists of, in this order, all on one draft."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import onnx

from octavo.compiler.importer.cleanup import name_nodes, remove_dead_code, settle_outputs
from octavo.compiler.importer.draft import Draft
from octavo.compiler.importer.dynamic_quantization import rewrite_dynamic_quantization
from octavo.compiler.importer.external import ExternalData
from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.load import load_proto
from octavo.compiler.importer.operand_check import check_operands
from octavo.compiler.importer.request import Imported, ImportRequest
from octavo.compiler.importer.resolve import Resolver
from octavo.compiler.importer.shapes import InputShape, bind_inputs
from octavo.compiler.importer.structure import check_structure
from octavo.compiler.importer.tensors import read_sparse_tensor, read_tensor
from octavo.compiler.importer.tflite.shape_check import check_declared_shapes
from octavo.compiler.importer.varying import find_varying
from octavo.compiler.importer.weights import check_constants, normalize_dequantized_weights


def import_here(
    request: ImportRequest, announce: Callable[[int], None] | None = None
) -> Imported:
    """Import in this process.

    Args:
        request: What to import.
        announce: Told of every number of bytes of external data before they are read.

    Raises:
        ModelError: The model is refused.
        MemoryError: It takes more memory than there is.
    """

    def read(maxima: Mapping[str, int]) -> Draft:
        return _import_draft(replace(request, maxima=maxima), announce)

    draft = read(request.maxima)
    if not request.find_varying:
        return Imported(draft)
    return Imported(draft, find_varying(draft, request.maxima, read))


def _import_draft(request: ImportRequest, announce: Callable[[int], None] | None) -> Draft:
    limits = request.limits
    model = load_proto(request.path, limits)
    check_structure(model, limits)
    external = ExternalData(request.path, request.allow_external_data, limits, announce)
    draft = Draft(name=model.graph.name or "main")
    _read_graph(model.graph, draft, request.shapes, request.maxima, limits, external)
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
