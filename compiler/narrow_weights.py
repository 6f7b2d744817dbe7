"""Say which weights of few bits an artifact holds in more, and why."""

from collections.abc import Iterable

import onnx_ir as ir

from octavo.compiler.artifact.bit_packing import MAX_PACKED_BITS, stored_bytes
from octavo.compiler.lowering.program import Step, Storage
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
        packed: Whether the artifact packs weights where it can.
    """
    wide = {name for s in steps if not packed or _is_float(s) for name in s.nodes}
    found: dict[ir.Value, int] = {}
    for node in graph:
        if node.op_type not in LAYERS or node.name not in wide:
            continue
        for value in node.inputs[1:3]:
            weight = quantized_constant(value)
            if weight is None or value is None or weight.values.ndim < 2:
                continue
            centred = weight.values.astype("int32") - _middle(weight.values.dtype.name)
            if abs(centred).max(initial=0) <= LARGEST:
                found[value] = stored_bytes(centred.size, MAX_PACKED_BITS)
    if not found:
        return ()
    why = (
        "are float32 in the artifact: their kernels transform them"
        if packed
        else "take 8 bits each, or 32 where layers compute in float, as was asked for"
    )
    return (
        f"{len(found)} weights of at most 4 bits, which would fit"
        f" {sum(found.values()):,} bytes, {why}",
    )


def _is_float(step: Step) -> bool:
    """Whether the largest constant of a step consists of float numbers and nothing else."""
    constants = [o.buffer for o in step.operands if o.buffer.storage is Storage.WEIGHTS]
    largest = max(constants, key=lambda buffer: buffer.num_bytes, default=None)
    return step.placement != "int8" and (largest is None or largest.factors is None)


def _middle(dtype: str) -> int:
    return 128 if dtype == "uint8" else 0
