"""Operators of the domain com.microsoft that are written out in standard ones.

ONNX Runtime's quantizer and its graph optimizer put these into models that people then keep.
Quantized operators become DequantizeLinear -> operator -> QuantizeLinear.
"""

import onnx

from octavo.compiler.importer.contrib_float import FLOAT_EXPANSIONS
from octavo.compiler.importer.draft import Draft, Emitter, stem
from octavo.compiler.importer.qoperator import (
    CONTRIB_QOPERATORS,
    STANDARD_QOPERATORS,
    Expansion,
)
from octavo.compiler.importer.structure import describe
from octavo.errors import ModelError

EXPANSIONS: dict[str, Expansion] = FLOAT_EXPANSIONS | CONTRIB_QOPERATORS


def expand_contrib(node: onnx.NodeProto, draft: Draft) -> list[onnx.NodeProto]:
    """Return standard nodes for a com.microsoft node.

    Raises:
        ModelError: The operator is not known here, or is used in a way that is not.
    """
    expansion = EXPANSIONS.get(node.op_type)
    if expansion is None:
        raise ModelError(
            f"{describe(node)} is not supported; of com.microsoft these are: "
            f"{', '.join(sorted(EXPANSIONS))}"
        )
    return _expanded(expansion, node, draft)


def expand_standard(node: onnx.NodeProto, draft: Draft) -> list[onnx.NodeProto] | None:
    """Return the QDQ form of a quantized operator of ai.onnx, None for other nodes."""
    expansion = STANDARD_QOPERATORS.get(node.op_type)
    return None if expansion is None else _expanded(expansion, node, draft)


def _expanded(
    expansion: Expansion, node: onnx.NodeProto, draft: Draft
) -> list[onnx.NodeProto]:
    emit = Emitter(draft, stem(node))
    try:
        expansion(node, emit)
    # onnx has no schema that would have refused these nodes before
    except (IndexError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{describe(node)}: its inputs or attributes are wrong") from error
    return emit.nodes
