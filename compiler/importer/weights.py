"""Check the numbers in a model, and bring dequantized weights into one form."""

import math
from collections.abc import Mapping
from typing import Any

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
INT8 = np.iinfo(np.int8)
_MOVES = frozenset({"Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


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
_NARROW = frozenset({_T.INT2, _T.INT4, _T.UINT2, _T.UINT4})


def normalize_dequantized_weights(draft: Draft) -> None:
    """Rewrite DequantizeLinear of constants so that kernels find plain int8 weights.

    ``DequantizeLinear(q, scale, z)`` -> ``DequantizeLinear(int8 q - z, scale, 0)`` where all
    of ``q - z`` fit in int8, integers of 2 and 4 bits included;
    ``Transpose(DequantizeLinear(q))`` -> ``DequantizeLinear(Transpose(q))``, and the same for
    Reshape, Squeeze, Unsqueeze and Flatten that keep the axis of the scales. All are exact.
    """
    producers = draft.producers()
    nodes = []
    for node in draft.nodes:
        if node.op_type == "DequantizeLinear":
            _make_signed(node, draft)
        source = producers.get(input_name(node, 0))
        if node.op_type in _MOVES and source is not None:
            moved = _moved_weight(node, source, draft)
            if moved is not None:
                producers[node.output[0]] = moved[-1]
            nodes.extend(moved or [node])
        else:
            nodes.append(node)
    draft.nodes = nodes


def _make_signed(node: onnx.NodeProto, draft: Draft) -> None:
    q, zero_point = (draft.constant(input_name(node, i)) for i in (0, 2))
    scale = draft.constant(input_name(node, 1))
    if q is None or scale is None or q.ndim == 0 or q.size == 0:
        return
    if input_name(node, 2) and zero_point is None:
        return
    is_narrow = draft.dtype(node.input[0]) in _NARROW
    if not is_narrow and (
        q.dtype not in (np.int8, np.uint8) or zero_point is None or not zero_point.any()
    ):
        return
    centred = q.astype(np.int16)
    if zero_point is not None:
        shift = _along_axis(zero_point.astype(np.int16), q.shape, attributes_of(node))
        if shift is None:
            return
        centred = centred - shift
    if centred.min() < INT8.min or centred.max() > INT8.max:
        return
    emit = Emitter(draft, stem(node))
    zeros = np.zeros(scale.shape, np.int8)
    inputs = [emit.constant("int8", centred.astype(np.int8)), node.input[1]]
    del node.input[:]
    node.input.extend([*inputs, emit.constant("zero_point", zeros)])


def _along_axis(
    values: Array, shape: tuple[int, ...], attributes: Mapping[str, Any]
) -> Array | None:
    """Zero points, one for all, for each channel or for each block, as they broadcast."""
    if values.size == 1:
        return values.reshape(())
    axis = int(attributes.get("axis", 1)) % len(shape)
    block_size = int(attributes.get("block_size", 0))
    if block_size:
        repeated = np.repeat(values, block_size, axis)
        return repeated[tuple(slice(0, size) for size in shape)]
    if values.ndim != 1 or values.size != shape[axis]:
        return None
    return values.reshape([-1 if a == axis else 1 for a in range(len(shape))])


def _moved_weight(
    node: onnx.NodeProto, source: onnx.NodeProto, draft: Draft
) -> list[onnx.NodeProto] | None:
    """The DequantizeLinear of the moved integers, or None where the scales do not follow."""
    if source.op_type != "DequantizeLinear":
        return None
    q, scale = draft.constant(source.input[0]), draft.constant(source.input[1])
    attributes = attributes_of(source)
    if q is None or scale is None or q.ndim == 0 or attributes.get("block_size"):
        return None
    axis: int | None = None
    if scale.size > 1:
        axis = int(attributes.get("axis", 1)) % q.ndim
    shape = draft.types[node.output[0]].shape
    if node.op_type == "Transpose":
        default = list(range(q.ndim))[::-1]
        perm = [int(a) for a in attributes_of(node).get("perm", default)]
        moved = np.ascontiguousarray(q.transpose(perm))
        # the scales stay with their axis, which has moved
        axis = perm.index(axis) if axis is not None else None
    else:
        if math.prod(shape) != q.size:
            raise ModelError(f"{describe(node)}: {q.size} elements do not make {list(shape)}")
        moved = q.reshape(shape)
        axis = _axis_after_reshape(q.shape, shape, axis) if axis is not None else None
        if scale.size > 1 and axis is None:
            return None
    emit = Emitter(draft, stem(node))
    inputs = [emit.constant("moved", moved), *source.input[1:]]
    emit.op("DequantizeLinear", inputs, node.output[0], axis=axis)
    return emit.nodes


def _axis_after_reshape(old: tuple[int, ...], new: tuple[int, ...], axis: int) -> int | None:
    """The axis of a new shape that runs over the same elements as ``axis`` of the old one."""
    before = math.prod(old[:axis])
    for candidate, size in enumerate(new):
        if size == old[axis] and math.prod(new[:candidate]) == before:
            return candidate
    return None
