"""What changed in an operator since opset 11, one rule for each operator."""

from collections.abc import Callable

import numpy as np
import onnx

from octavo.compiler.importer.draft import Draft, Emitter, attributes_of, input_name, stem
from octavo.compiler.importer.narrow_types import widen_narrow_types
from octavo.compiler.importer.newer_operators import (
    bit_cast,
    cum_prod,
    modulo,
    number_range,
    shift,
    space_to_depth,
)
from octavo.compiler.importer.structure import describe
from octavo.errors import ModelError

_QUANTIZED = frozenset(
    getattr(onnx.TensorProto, name)
    for name in (
        "UINT8", "INT8", "UINT16", "INT16", "UINT4", "INT4", "UINT2", "INT2",
        "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ",
    )
)  # fmt: skip

# (node, its opset, draft) -> nodes of opset 21; the node itself, changed, where that suffices
Rule = Callable[[onnx.NodeProto, int, Draft], list[onnx.NodeProto]]


def _set(node: onnx.NodeProto, **attributes: object) -> None:
    """Replace attributes; None removes."""
    kept = [
        onnx.AttributeProto.FromString(a.SerializeToString())
        for a in node.attribute
        if a.name not in attributes
    ]
    new = [onnx.helper.make_attribute(k, v) for k, v in attributes.items() if v is not None]
    del node.attribute[:]
    node.attribute.extend(kept + new)


def _softmax(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """Softmax-11 over axes axis.. -> Flatten, Softmax-13 over the last axis, Reshape."""
    if version >= 13:
        return [node]
    shape = draft.types[node.input[0]].shape
    axis = int(attributes_of(node).get("axis", 1))
    axis += len(shape) if axis < 0 else 0
    if axis == len(shape) - 1:
        _set(node, axis=-1)
        return [node]
    emit = Emitter(draft, stem(node))
    flat = emit.op("Flatten", [node.input[0]], axis=axis)
    result = emit.op(node.op_type, [flat], axis=-1)
    emit.op("Reshape", [result, emit.ints("shape", shape)], node.output[0])
    return emit.nodes


def _axes_to_input(since: int) -> Rule:
    """Move the attribute ``axes`` of operators before opset ``since`` to the second input."""

    def rule(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
        axes = attributes_of(node).get("axes")
        if version < since and axes is not None:
            node.input.append(Emitter(draft, stem(node)).ints("axes", axes))
            _set(node, axes=None)
        return [node]

    return rule


def _split(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """Split: sizes were an attribute until 12; equal parts are ``num_outputs`` since 18."""
    if version < 13:
        sizes = attributes_of(node).get("split")
        if sizes is not None:
            node.input.append(Emitter(draft, stem(node)).ints("split", sizes))
            _set(node, split=None)
    if version < 18 and not input_name(node, 1):
        _set(node, num_outputs=len(node.output))
    # shape inference allocates what this number says
    if attributes_of(node).get("num_outputs", len(node.output)) != len(node.output):
        raise ModelError(f"{describe(node)}: num_outputs is not {len(node.output)}")
    return [node]


def _dropout(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """Dropout in inference -> Identity, and a mask of ones where somebody reads it."""
    mode = input_name(node, 2)
    training = draft.constant(mode) if mode else np.zeros((), bool)
    if training is None or training.any():
        raise ModelError(f"{describe(node)} is in training mode")
    emit = Emitter(draft, stem(node))
    emit.op("Identity", [node.input[0]], node.output[0])
    if len(node.output) > 1 and node.output[1]:
        shape = emit.ints("shape", draft.types[node.input[0]].shape)
        ones = onnx.helper.make_tensor("value", onnx.TensorProto.BOOL, [1], [True])
        emit.op("ConstantOfShape", [shape], node.output[1], value=ones)
    return emit.nodes


def _batch_normalization(
    node: onnx.NodeProto, version: int, draft: Draft
) -> list[onnx.NodeProto]:
    """BatchNormalization: the outputs after the first exist in training only."""
    if attributes_of(node).get("training_mode", 0):
        raise ModelError(f"{describe(node)} is in training mode")
    del node.output[1:]
    _set(node, momentum=None, training_mode=None)
    return [node]


def _grid_sample(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """GridSample: opset 20 renamed the modes."""
    if version < 20:
        mode = attributes_of(node).get("mode", b"bilinear").decode(errors="replace")
        _set(node, mode={"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode))
    return [node]


def _roi_align(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """RoiAlign: until opset 15 coordinates were not shifted by half a pixel."""
    if version < 16:
        _set(node, coordinate_transformation_mode="output_half_pixel")
    return [node]


def _dft(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """DFT: ``axis`` became the third input in opset 20, with another default."""
    if version < 20:
        axis = int(attributes_of(node).get("axis", 1))
        length = input_name(node, 1)
        source = node.input[0]
        del node.input[:]
        axis_name = Emitter(draft, stem(node)).constant("axis", np.asarray(axis, np.int64))
        node.input.extend([source, length, axis_name])
        _set(node, axis=None)
    return [node]


def _group_normalization(
    node: onnx.NodeProto, version: int, draft: Draft
) -> list[onnx.NodeProto]:
    """GroupNormalization: scale and bias had one value per group, now one per channel."""
    if version >= 21:
        return [node]
    shape = draft.types[node.input[0]].shape
    if len(shape) < 2:
        raise ModelError(f"{describe(node)}: a tensor of rank {len(shape)} has no channels")
    num_channels = shape[1]
    num_groups = int(attributes_of(node)["num_groups"])
    if num_groups < 1 or num_channels % num_groups:
        raise ModelError(f"{describe(node)}: {num_channels} channels in {num_groups} groups")
    emit = Emitter(draft, stem(node))
    for i in (1, 2):
        if draft.types[node.input[i]].shape != (num_groups,):
            raise ModelError(
                f"{describe(node)}: '{node.input[i]}' has shape "
                f"{list(draft.types[node.input[i]].shape)}, not [{num_groups}]"
            )
        column = emit.op("Unsqueeze", [node.input[i], emit.ints("axes", [1])])
        parts = emit.ints("shape", [num_groups, num_channels // num_groups])
        wide = emit.op("Expand", [column, parts])
        node.input[i] = emit.op("Reshape", [wide, emit.ints("channels", [num_channels])])
    return [*emit.nodes, node]


def _resize(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """Resize-11: a scales input without elements meant that sizes are given."""
    mode = attributes_of(node).get("coordinate_transformation_mode", b"")
    if mode == b"tf_half_pixel_for_nn":
        raise ModelError(f"{describe(node)}: tf_half_pixel_for_nn was removed from ONNX")
    if version < 19:
        for i in (1, 2, 3):
            name = input_name(node, i)
            if name and name in draft.types and 0 in draft.types[name].shape:
                node.input[i] = ""
    return [node]


def _cast_like(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """CastLike(x, y) -> Cast(x) to the type of y, which is known."""
    attributes = attributes_of(node)
    emit = Emitter(draft, stem(node))
    emit.op(
        "Cast",
        [node.input[0]],
        node.output[0],
        to=draft.dtype(node.input[1]),
        saturate=attributes.get("saturate"),
    )
    return emit.nodes


def _quantization(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """QuantizeLinear, DequantizeLinear: one spelling for equal things.

    Per-tensor scales become scalars, the zero point is always there, the axis is not negative.
    """
    attributes = attributes_of(node)
    rank = draft.rank(node.input[0])
    emit = Emitter(draft, stem(node))
    scale_name = node.input[1]
    blocked = bool(attributes.get("block_size"))
    per_tensor = draft.types[scale_name].shape in ((), (1,)) and not blocked
    if per_tensor:
        for i in range(1, len(node.input)):
            value = draft.constant(node.input[i]) if node.input[i] else None
            if value is not None and value.shape == (1,):
                node.input[i] = emit.constant("scalar", value.reshape(()))
    is_quantize = node.op_type == "QuantizeLinear"
    output_dtype = int(attributes.pop("output_dtype", 0))
    if is_quantize and output_dtype and output_dtype not in _QUANTIZED:
        raise ModelError(f"{describe(node)}: output_dtype {output_dtype} is no quantized type")
    attributes.pop("precision", None)  # of the division; opset 21 uses the scale's type
    scale_dtype = draft.dtype(scale_name)
    cast_to = 0
    if not is_quantize and output_dtype not in (0, scale_dtype):
        cast_to = output_dtype
    if not input_name(node, 2):
        zero_dtype = output_dtype or onnx.TensorProto.UINT8
        if not is_quantize:
            zero_dtype = draft.dtype(node.input[0])
        # int32 is the accumulator's type: DequantizeLinear of it takes no zero point
        if zero_dtype != onnx.TensorProto.INT32:
            np_dtype = onnx.helper.tensor_dtype_to_np_dtype(zero_dtype)
            del node.input[2:]
            zeros = np.zeros(draft.types[node.input[1]].shape, np_dtype)
            node.input.append(emit.constant("zero_point", zeros))
    axis = int(attributes.get("axis", 1))
    if not -max(rank, 1) <= axis < max(rank, 1) and not per_tensor:
        raise ModelError(f"{describe(node)}: axis {axis} of a tensor of rank {rank}")
    _set(
        node,
        axis=None if per_tensor else axis % max(rank, 1),
        output_dtype=None,
        precision=None,
    )
    widened = Emitter(draft, stem(node))
    widen_narrow_types(node, draft, widened)
    if not cast_to:
        return [*widened.nodes, node]
    result = node.output[0]
    node.output[0] = draft.fresh(f"{result}/scaled")
    emit.op("Cast", [node.output[0]], result, to=cast_to)
    return [*widened.nodes, node, *emit.nodes]


def _from(since: int, rule: Rule) -> Rule:
    """Apply a rule to operators of opset ``since`` and newer."""
    return lambda node, version, draft: (
        [node] if version < since else rule(node, version, draft)
    )


_REDUCTIONS_18 = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSumSquare",
)  # fmt: skip

RULES: dict[str, Rule] = {
    "BatchNormalization": _batch_normalization,
    "BitCast": bit_cast,
    "BitShift": _from(28, shift),
    "CastLike": _cast_like,
    "CumProd": cum_prod,
    "DFT": _dft,
    "DequantizeLinear": _quantization,
    "Dropout": _dropout,
    "GridSample": _grid_sample,
    "GroupNormalization": _group_normalization,
    "Hardmax": _softmax,
    "LogSoftmax": _softmax,
    "Mod": _from(28, modulo),
    "QuantizeLinear": _quantization,
    "Range": _from(27, number_range),
    "ReduceSum": _axes_to_input(13),
    "Resize": _resize,
    "RoiAlign": _roi_align,
    "Softmax": _softmax,
    "SpaceToDepth": _from(28, space_to_depth),
    "Split": _split,
    "Squeeze": _axes_to_input(13),
    "Unsqueeze": _axes_to_input(13),
} | dict.fromkeys(_REDUCTIONS_18, _axes_to_input(18))
