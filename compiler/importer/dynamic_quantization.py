"""Dynamically quantized MatMul and Conv -> float operator with an int8 weight.

::

    DynamicQuantizeLinear(x) -> xq, xs, xz
    Mul(Cast(MatMulInteger(xq, wq, xz, wz)), Mul(xs, ws))  ->  MatMul(x, DequantizeLinear(wq))

and the same with ConvInteger. The range of ``x`` is then open, and calibration fixes it. An
integer product that is used in any other way stays as it is: an int32 result has to be exact,
and float32 is exact below 2**24 only.
"""

import numpy as np
import onnx

from octavo.compiler.importer.draft import (
    Draft,
    Emitter,
    ValueType,
    attributes_of,
    input_name,
    stem,
)
from octavo.compiler.importer.tensors import Array

_FLOAT_OPERATOR = {"MatMulInteger": "MatMul", "ConvInteger": "Conv"}


def rewrite_dynamic_quantization(draft: Draft) -> None:
    """Replace every match; what nobody reads any more is left for dead code removal."""
    producers, consumers = draft.producers(), draft.consumers()
    replaced: dict[int, list[onnx.NodeProto]] = {}
    for node in draft.nodes:
        if node.op_type not in _FLOAT_OPERATOR:
            continue
        match = _match(node, draft, producers, consumers)
        if match is not None:
            rescale, weight_scale = match
            source = producers[node.input[0]].input[0]
            replaced[id(rescale)] = _float_form(
                node, rescale.output[0], source, weight_scale, draft
            )
    if replaced:
        nodes = (replaced.get(id(node), [node]) for node in draft.nodes)
        draft.nodes = [node for group in nodes for node in group]


def _match(
    product: onnx.NodeProto,
    draft: Draft,
    producers: dict[str, onnx.NodeProto],
    consumers: dict[str, list[onnx.NodeProto]],
) -> tuple[onnx.NodeProto, Array] | None:
    """Return the Mul that ends the pattern, and the weight's scale as () or (channels,)."""
    quantize = producers.get(product.input[0])
    weight = draft.constant(product.input[1])
    if quantize is None or quantize.op_type != "DynamicQuantizeLinear" or weight is None:
        return None
    if input_name(product, 2) != quantize.output[2] or product.input[0] != quantize.output[0]:
        return None
    zero_point = input_name(product, 3)
    if zero_point and draft.constant(zero_point) is None:
        return None
    cast = _only_reader(product.output[0], draft, consumers)
    if cast is None or cast.op_type != "Cast":
        return None
    if draft.dtype(cast.output[0]) != onnx.TensorProto.FLOAT:
        return None
    rescale = _only_reader(cast.output[0], draft, consumers)
    if rescale is None or rescale.op_type != "Mul":
        return None
    factor = _other(rescale, cast.output[0])
    # the scale of x may be multiplied with that of w first, or both one after the other
    if factor == quantize.output[1]:
        following = _only_reader(rescale.output[0], draft, consumers)
        if following is None or following.op_type != "Mul":
            return None
        scale = draft.constant(_other(following, rescale.output[0]))
        rescale = following
    else:
        both = producers.get(factor)
        if both is None or both.op_type != "Mul" or quantize.output[1] not in both.input:
            return None
        scale = draft.constant(_other(both, quantize.output[1]))
    if draft.types[rescale.output[0]].shape != draft.types[product.output[0]].shape:
        return None
    channels = weight.shape[-1] if product.op_type == "MatMulInteger" else weight.shape[0]
    fitted = _fit_scale(product, scale, channels, draft.rank(product.output[0]))
    return None if fitted is None else (rescale, fitted)


def _only_reader(
    name: str, draft: Draft, consumers: dict[str, list[onnx.NodeProto]]
) -> onnx.NodeProto | None:
    readers = consumers.get(name, [])
    return readers[0] if len(readers) == 1 and name not in draft.outputs else None


def _other(node: onnx.NodeProto, name: str) -> str:
    """Return the operand of a binary node that is not ``name``."""
    return str(node.input[1] if node.input[0] == name else node.input[0])


def _fit_scale(
    product: onnx.NodeProto, scale: Array | None, channels: int, rank: int
) -> Array | None:
    """Return a scale that broadcasts over channels only, without its other dimensions."""
    if scale is None or scale.dtype != np.float32:
        return None
    if scale.size == 1:
        return scale.reshape(())
    channel_axis = rank - 1 if product.op_type == "MatMulInteger" else 1
    expected = [1] * rank
    expected[channel_axis] = channels
    aligned = [1] * (rank - scale.ndim) + list(scale.shape)
    return scale.reshape(-1) if aligned == expected else None


def _float_form(
    product: onnx.NodeProto, output: str, source: str, scale: Array, draft: Draft
) -> list[onnx.NodeProto]:
    emit = Emitter(draft, stem(product))
    weight = product.input[1]
    value = draft.constants[weight]
    inputs = [weight, emit.constant("weight_scale", scale)]
    zero_point = draft.constant(input_name(product, 3))
    if zero_point is None:
        zero_point = np.zeros((), value.dtype)
    flat = zero_point.reshape(-1)
    if scale.ndim == 0 and (flat == flat[0]).all():
        fitted = flat[0].reshape(())
    else:
        channels = max(scale.size, flat.size)
        inputs[1] = emit.constant("weight_scale", np.broadcast_to(scale, channels).copy())
        fitted = np.broadcast_to(flat, channels).copy()
    inputs.append(emit.constant("weight_zero_point", fitted))
    axis = None
    if fitted.ndim:
        axis = value.ndim - 1 if product.op_type == "MatMulInteger" else 0
    dequantized = emit.op("DequantizeLinear", inputs, axis=axis)
    draft.types[dequantized] = ValueType(onnx.TensorProto.FLOAT, value.shape)
    emit.op(
        _FLOAT_OPERATOR[product.op_type],
        [source, dequantized],
        output,
        **attributes_of(product),
    )
    return emit.nodes
