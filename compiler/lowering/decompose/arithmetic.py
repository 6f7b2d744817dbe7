"""Operators whose converters take fewer element types than ONNX does."""

import numpy as np
import onnx
from onnx import TensorProto

from octavo.compiler.lowering.decompose.fragment import (
    INTEGERS,
    Fragment,
    attributes_of,
    operand,
    result_name,
)


def power(node: onnx.NodeProto, f: Fragment) -> bool:
    """Pow of integers, or of two types -> Pow in floating point, and a Cast back."""
    x, y = operand(node, 0), operand(node, 1)
    base, exponent = f.dtype(x), f.dtype(y)
    if base == exponent and base not in INTEGERS:
        return False
    # float64 holds every int32 and its small powers exactly
    wide = TensorProto.DOUBLE if base in INTEGERS else base
    raised = f.op("Pow", f.op("Cast", x, to=wide), f.op("Cast", y, to=wide))
    if base in INTEGERS:
        raised = f.op("Round", raised)
    f.result(f.op("Cast", raised, to=base), result_name(node, 0))
    return True


def is_inf(node: onnx.NodeProto, f: Fragment) -> bool:
    """IsInf of one sign -> IsInf and a comparison with 0."""
    attributes = attributes_of(node)
    positive = attributes.get("detect_positive", 1)
    negative = attributes.get("detect_negative", 1)
    if positive and negative:
        return False
    x = operand(node, 0)
    zero = f.constant([0.0], f.dtype(x))
    sign = f.op("Greater" if positive else "Less", x, zero)
    f.result(f.op("And", f.op("IsInf", x), sign), result_name(node, 0))
    return True


def reduce_bool(node: onnx.NodeProto, f: Fragment) -> bool:
    """ReduceMax or ReduceMin of truth values -> of int32, and a Cast back."""
    x = operand(node, 0)
    if f.dtype(x) != TensorProto.BOOL:
        return False
    wide = f.op("Cast", x, to=TensorProto.INT32)
    axes = [operand(node, 1)] if operand(node, 1) else []
    y = f.op(node.op_type, wide, *axes, **attributes_of(node))
    f.result(f.op("Cast", y, to=TensorProto.BOOL), result_name(node, 0))
    return True


def eye_like(node: onnx.NodeProto, f: Fragment) -> bool:
    """EyeLike -> a constant."""
    attributes = attributes_of(node)
    x = operand(node, 0)
    rows, columns = f.shape(x)
    dtype = int(attributes.get("dtype", f.dtype(x)))
    eye = np.eye(rows, columns, int(attributes.get("k", 0)))
    f.result(f.constant(eye, dtype), result_name(node, 0))
    return True


def swish(node: onnx.NodeProto, f: Fragment) -> bool:
    """Swish -> x * Sigmoid(alpha * x)."""
    x = operand(node, 0)
    alpha = f.constant([float(attributes_of(node).get("alpha", 1.0))], f.dtype(x))
    f.result(f.op("Mul", x, f.op("Sigmoid", f.op("Mul", alpha, x))), result_name(node, 0))
    return True


def conv_integer(node: onnx.NodeProto, f: Fragment) -> bool:
    """ConvInteger -> Conv of 32-bit integers, which TVM takes although ONNX does not."""
    operands = []
    for position in (0, 1):
        wide = f.op("Cast", operand(node, position), to=TensorProto.INT32)
        zero_point = operand(node, position + 2)
        if zero_point:
            wide = f.op("Sub", wide, _zero_point(zero_point, operand(node, position), f))
        operands.append(wide)
    f.result(f.op("Conv", *operands, **attributes_of(node)), result_name(node, 0))
    return True


def _zero_point(name: str, of: str, f: Fragment) -> str:
    """A zero point in 32 bits; one for each output channel gets the rank of the weights."""
    wide = f.op("Cast", name, to=TensorProto.INT32)
    if not f.shape(name) or f.shape(name) == (1,):
        return str(wide)
    shape = f.constant([-1, *[1] * (len(f.shape(of)) - 1)], TensorProto.INT64)
    return str(f.op("Reshape", wide, shape))
