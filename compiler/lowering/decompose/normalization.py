"""LayerNormalization and LpNormalization as reductions."""

import onnx
from onnx import TensorProto

from octavo.compiler.lowering.decompose.fragment import (
    Fragment,
    attributes_of,
    operand,
    result_name,
)


def layer_normalization(node: onnx.NodeProto, f: Fragment) -> bool:
    """LayerNormalization -> ReduceMean, Sub, ReduceMean, Sqrt, ...; mean and deviation too."""
    attributes = attributes_of(node)
    x, scale, bias = operand(node, 0), operand(node, 1), operand(node, 2)
    rank = len(f.shape(x))
    first = int(attributes.get("axis", -1)) % rank
    dtype = f.dtype(x)
    stash = int(attributes.get("stash_type", TensorProto.FLOAT))
    wide = f.op("Cast", x, to=stash)
    axes = f.constant(list(range(first, rank)), TensorProto.INT64)
    mean = f.op("ReduceMean", wide, axes, keepdims=1)
    centred = f.op("Sub", wide, mean)
    variance = f.op("ReduceMean", f.op("Mul", centred, centred), axes, keepdims=1)
    epsilon = f.constant([float(attributes.get("epsilon", 1e-5))], stash)
    deviation = f.op("Sqrt", f.op("Add", variance, epsilon))
    inverse = f.op("Reciprocal", deviation)
    y = f.op("Cast", f.op("Mul", centred, inverse), to=dtype)
    y = f.op("Mul", y, scale)
    if bias:
        y = f.op("Add", y, bias)
    f.result(y, result_name(node, 0))
    f.result(mean, result_name(node, 1))
    f.result(inverse, result_name(node, 2))
    return True


def lp_normalization(node: onnx.NodeProto, f: Fragment) -> bool:
    """LpNormalization -> x / ReduceL1 or ReduceL2, and 0 where the norm is 0."""
    attributes = attributes_of(node)
    x = operand(node, 0)
    axis = f.constant([int(attributes.get("axis", -1))], TensorProto.INT64)
    norm = f.op(
        "ReduceL1" if int(attributes.get("p", 2)) == 1 else "ReduceL2", x, axis, keepdims=1
    )
    zero = f.constant([0.0], f.dtype(x))
    one = f.constant([1.0], f.dtype(x))
    safe = f.op("Where", f.op("Equal", norm, zero), one, norm)
    f.result(f.op("Div", x, safe), result_name(node, 0))
    return True
