"""Check the numbers in a model, and bring dequantized weights into one form."""

import numpy as np
import onnx

from octavo.compiler.importer.draft import Draft, Emitter, attributes_of, input_name, stem
from octavo.compiler.importer.structure import describe
from octavo.compiler.importer.tensors import Array
from octavo.errors import ModelError

# operators that treat infinity as "ignore this place" or "no bound"
_INFINITY_CONSUMERS = frozenset(
    """
    Add Clip Concat Equal Expand Gather Greater GreaterOrEqual Identity IsInf Less LessOrEqual
    Max Min Pad Reshape ScatterElements ScatterND Slice Softmax Squeeze Sub Transpose Unsqueeze
    Where
    """.split()  # noqa: SIM905 (a list of names is easier to read without the quotes)
)
UINT8_MIDDLE = 128


def check_constants(draft: Draft) -> None:
    """Refuse weights that are not numbers, and quantization parameters that make no sense.

    Raises:
        ModelError: A constant holds NaN, or infinity where it cannot be a mask; a scale is not
            positive and finite.
    """
    consumers = draft.consumers()
    for name, value in draft.constants.items():
        lowest_highest = _extremes(value)
        if lowest_highest is None:
            continue
        readers = consumers.get(name, [])
        reader = describe(readers[0]) if readers else "the model's output"
        if any(np.isnan(x) for x in lowest_highest):
            raise ModelError(f"weight '{name}' of {reader} contains NaN")
        if any(np.isinf(x) for x in lowest_highest):
            for node in readers:
                if node.op_type not in _INFINITY_CONSUMERS:
                    raise ModelError(f"weight '{name}' of {describe(node)} contains infinity")
    for node in draft.nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale = draft.constant(node.input[1])
            if scale is not None and not (scale.astype(np.float32) > 0).all():
                raise ModelError(f"{describe(node)}: scale '{node.input[1]}' must be above 0")


def _extremes(value: Array) -> tuple[float, float] | None:
    """Return minimum and maximum as floats, both NaN if any is; None for integers."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    if value.size == 0 or kind not in _FLOAT_TYPES:
        return None
    if value.dtype not in (np.float32, np.float64):
        value = value.astype(np.float32)
    return float(value.min()), float(value.max())


_T = onnx.TensorProto
_FLOAT_TYPES = frozenset(
    {_T.FLOAT, _T.DOUBLE, _T.FLOAT16, _T.BFLOAT16, _T.FLOAT8E4M3FN, _T.FLOAT8E4M3FNUZ,
     _T.FLOAT8E5M2, _T.FLOAT8E5M2FNUZ}
)  # fmt: skip


def normalize_dequantized_weights(draft: Draft) -> None:
    """Rewrite DequantizeLinear of constants so that kernels find plain int8 weights.

    ``DequantizeLinear(uint8 w, scale, 128)`` -> ``DequantizeLinear(int8 w - 128, scale, 0)``;
    ``Transpose(DequantizeLinear(w))`` -> ``DequantizeLinear(Transpose(w))``. Both are exact.
    """
    producers = draft.producers()
    nodes = []
    for node in draft.nodes:
        if node.op_type == "DequantizeLinear":
            _make_signed(node, draft)
        source = producers.get(input_name(node, 0))
        if node.op_type == "Transpose" and source is not None:
            nodes.extend(_transposed_weight(node, source, draft) or [node])
        else:
            nodes.append(node)
    draft.nodes = nodes


def _make_signed(node: onnx.NodeProto, draft: Draft) -> None:
    weight, zero_point = (draft.constant(input_name(node, i)) for i in (0, 2))
    if weight is None or zero_point is None or weight.dtype != np.uint8 or weight.ndim == 0:
        return
    if not zero_point.size or (zero_point != UINT8_MIDDLE).any():
        return
    emit = Emitter(draft, stem(node))
    # flipping the top bit subtracts 128 in two's complement
    node.input[0] = emit.constant("int8", (weight ^ np.uint8(UINT8_MIDDLE)).view(np.int8))
    node.input[2] = emit.constant("zero_point", np.zeros(zero_point.shape, np.int8))


def _transposed_weight(
    node: onnx.NodeProto, source: onnx.NodeProto, draft: Draft
) -> list[onnx.NodeProto] | None:
    if source.op_type != "DequantizeLinear":
        return None
    weight = draft.constant(source.input[0])
    attributes = attributes_of(source)
    if weight is None or attributes.get("block_size"):
        return None
    default = list(range(weight.ndim))[::-1]
    perm = [int(axis) for axis in attributes_of(node).get("perm", default)]
    axis = attributes.get("axis")
    emit = Emitter(draft, stem(node))
    transposed = np.ascontiguousarray(weight.transpose(perm))
    inputs = [emit.constant("transposed", transposed), *source.input[1:]]
    # the scales stay with their axis, which has moved
    moved = perm.index(int(axis)) if axis is not None else None
    emit.op("DequantizeLinear", inputs, node.output[0], axis=moved)
    return emit.nodes
