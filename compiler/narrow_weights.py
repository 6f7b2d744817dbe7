"""Say which weights of few bits an artifact holds in more, and why."""

from collections.abc import Iterable

import onnx_ir as ir

from octavo.compiler.artifact.bit_packing import MAX_PACKED_BITS, stored_bytes
from octavo.compiler.lowering.program import Step
from octavo.compiler.lowering.qdq_graph import quantized_constant

LARGEST = 2 ** (MAX_PACKED_BITS - 1) - 1  # integer of a symmetric weight
LAYERS = ("Conv", "ConvTranspose", "GRU", "Gemm", "LSTM", "MatMul")


def narrow_weight_notes(
    graph: ir.Graph, steps: Iterable[Step], *, packed: bool = True
) -> tuple[str, ...]:
    """A line for the weights of at most 4 bits that the artifact does not store packed.

    Args:
        graph: Of a QDQ model that is lowered.
        steps: What it was lowered to.
        packed: Whether the artifact packs what integer kernels read.
    """
    in_float = {name for s in steps if s.placement != "int8" for name in s.nodes}
    floats: dict[ir.Value, int] = {}
    integers: dict[ir.Value, int] = {}
    for node in graph:
        if node.op_type not in LAYERS:
            continue
        for value in node.inputs[1:3]:
            weight = quantized_constant(value)
            if weight is None or value is None or weight.values.ndim < 2:
                continue
            centred = weight.values.astype("int32") - _middle(weight.values.dtype.name)
            if abs(centred).max(initial=0) <= LARGEST:
                group = floats if node.name in in_float else integers
                group[value] = stored_bytes(centred.size, MAX_PACKED_BITS)
    notes = []
    if floats:
        notes.append(
            f"{len(floats)} weights of at most 4 bits, which would fit"
            f" {sum(floats.values()):,} bytes, are float32 in the artifact: their layers"
            " compute in float"
        )
    if integers and not packed:
        notes.append(
            f"{len(integers)} weights of at most 4 bits, which would fit"
            f" {sum(integers.values()):,} bytes, take 8 bits each, as was asked for"
        )
    return tuple(notes)


def _middle(dtype: str) -> int:
    return 128 if dtype == "uint8" else 0
