"""Widen integers of 2 and 4 bits that are activations, and of 2 bits that are weights, to 8.

``QuantizeLinear(x, scale, uint4 z)`` -> ``QuantizeLinear(Clip(x, low, high), scale, uint8 z)``
with the real values of the narrow type's ends as limits: the same integers come out, and they
are ones that kernels read. Opset 21 has no integers of 2 bits.
"""

import numpy as np
import onnx

from octavo.compiler.importer.draft import Draft, Emitter, input_name

_T = onnx.TensorProto
_LIMITS = {_T.INT2: (-2, 1), _T.INT4: (-8, 7), _T.UINT2: (0, 3), _T.UINT4: (0, 15)}
_WIDE = {_T.INT2: np.int8, _T.INT4: np.int8, _T.UINT2: np.uint8, _T.UINT4: np.uint8}


def widen_narrow_types(node: onnx.NodeProto, draft: Draft, emit: Emitter) -> None:
    """Change a QuantizeLinear or DequantizeLinear in place.

    Args:
        node: With a zero point.
        draft: The types of its operands.
        emit: Takes nodes that belong in front of it.
    """
    if node.op_type == "QuantizeLinear":
        _saturate(node, draft, emit)
        return
    stored = draft.constant(node.input[0])
    if stored is not None and draft.dtype(node.input[0]) in (_T.INT2, _T.UINT2):
        wide = _WIDE[draft.dtype(node.input[0])]
        node.input[0] = emit.constant("widened", stored.astype(wide))
    _match_zero_point(node, draft, emit)


def _saturate(node: onnx.NodeProto, draft: Draft, emit: Emitter) -> None:
    zero_point, scale = (draft.constant(input_name(node, i)) for i in (2, 1))
    dtype = draft.dtype(node.input[2])
    if dtype not in _LIMITS or zero_point is None or scale is None or scale.size != 1:
        return
    zero = int(zero_point.astype(np.int32).reshape(-1)[0])
    limits = [
        emit.constant(name, ((np.float32(end) - np.float32(zero)) * scale).reshape(()))
        for name, end in zip(("low", "high"), _LIMITS[dtype], strict=True)
    ]
    inside = emit.op("Clip", [node.input[0], *limits])
    draft.types[inside] = draft.types[node.input[0]]
    node.input[0] = inside
    node.input[2] = emit.constant("zero_point", zero_point.astype(_WIDE[dtype]))


def _match_zero_point(node: onnx.NodeProto, draft: Draft, emit: Emitter) -> None:
    """Give the zero point the type that the stored integers have after they were widened."""
    name = input_name(node, 2)
    zero_point = draft.constant(name) if name else None
    wanted = draft.dtype(node.input[0])
    if zero_point is not None and draft.dtype(name) in _LIMITS and draft.dtype(name) != wanted:
        wide = _WIDE[draft.dtype(name)]
        node.input[2] = emit.constant("zero_point", zero_point.astype(wide))
