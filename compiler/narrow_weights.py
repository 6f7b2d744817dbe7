"""Say what weights of few bits save in an artifact: nothing, as int8 kernels read them."""

import onnx_ir as ir

from octavo.compiler.lowering.qdq_graph import quantized_constant

FOUR_BITS = 7  # largest integer of a symmetric weight
LAYERS = ("Conv", "ConvTranspose", "GRU", "Gemm", "LSTM", "MatMul")


def narrow_weight_notes(graph: ir.Graph) -> tuple[str, ...]:
    """A line when weights of at most 4 bits are stored wider than they need to be.

    Args:
        graph: Of a QDQ model that is lowered.
    """
    found = {}
    for node in graph:
        if node.op_type not in LAYERS:
            continue
        for value in node.inputs[1:3]:
            weight = quantized_constant(value)
            if weight is None or value is None or weight.values.ndim < 2:
                continue
            centred = weight.values.astype("int32") - _middle(weight.values.dtype.name)
            if abs(centred).max(initial=0) <= FOUR_BITS:
                found[value] = centred.size
    if not found:
        return ()
    needed = sum(found.values()) // 2
    return (
        f"{len(found)} weights have at most 4 bits, which would fit {needed:,} bytes; the"
        " artifact holds them in 8 bits, or as float32 in float layers: they make the ONNX"
        " file smaller, not the artifact, and nothing faster",
    )


def _middle(dtype: str) -> int:
    return 128 if dtype == "uint8" else 0
