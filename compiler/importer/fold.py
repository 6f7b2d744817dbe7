"""Evaluate nodes whose inputs are constants.

DequantizeLinear is never folded: int8 weights have to stay visible as such. Random operators
and slow ones (Conv of constants) are left to the compiled program.
"""

import numpy as np
import onnx

from octavo.compiler.importer.draft import OPSET, attributes_of
from octavo.compiler.importer.tensors import Array

FOLDABLE = frozenset(
    """
    Abs Add And ArgMax ArgMin BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
    BlackmanWindow Cast Ceil Clip Compress Concat ConstantOfShape Cos CumSum DepthToSpace Div
    Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gemm Greater
    GreaterOrEqual HammingWindow HannWindow Identity IsInf IsNaN Less LessOrEqual Log MatMul
    Max Mean MelWeightMatrix Min Mod Mul Neg NonZero Not OneHot Or Pad Pow QuantizeLinear Range
    Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
    Relu Reshape Round ScatterElements ScatterND Shape Sigmoid Sign Sin Size Slice Softmax
    SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh Tile TopK Transpose Trilu Unsqueeze Where
    Xor
    """.split()  # noqa: SIM905 (a list of names is easier to read without the quotes)
)
# how many values these return is known after they have run, and never more than they read
DATA_DEPENDENT = frozenset({"Compress", "NonZero"})


def evaluate(node: onnx.NodeProto, arrays: list[Array | None]) -> list[Array] | None:
    """Return a node's outputs, None where it cannot be evaluated here.

    Args:
        node: At opset 21, its operator in ``FOLDABLE``.
        arrays: Its inputs in order, None for an absent one.
    """
    if node.op_type == "Div" and _is_integer(arrays):
        return _divide_integers(arrays)
    # 0.05 s to load, which models without such nodes save
    from onnx.reference import ReferenceEvaluator

    named = {
        name: array
        for name, array in zip(node.input, arrays, strict=True)
        if name and array is not None
    }
    try:
        with np.errstate(all="ignore"):
            evaluator = ReferenceEvaluator(node, opsets={"": OPSET})
            outputs = evaluator.run(None, named)
    # numpy raises whatever it likes for attributes that make no sense; the node then stays
    except Exception:
        return None
    if not all(isinstance(output, np.ndarray | np.generic) for output in outputs):
        return None
    return [np.asarray(output) for output in outputs]


def fold_shape(node: onnx.NodeProto, shape: tuple[int, ...]) -> Array:
    """Return the result of Shape or Size for an input of a static shape."""
    if node.op_type == "Size":
        return np.asarray(np.prod(shape, dtype=np.int64))
    attributes = attributes_of(node)
    # Python's slices clamp exactly as Shape's start and end do
    part = slice(attributes.get("start", 0), attributes.get("end"))
    return np.asarray(shape[part], dtype=np.int64)


def _is_integer(arrays: list[Array | None]) -> bool:
    return all(array is not None and array.dtype.kind in "iu" for array in arrays)


def _divide_integers(arrays: list[Array | None]) -> list[Array] | None:
    """Divide rounding towards zero, as C does; numpy rounds down."""
    dividend, divisor = arrays
    if dividend is None or divisor is None or not divisor.all():
        return None
    with np.errstate(all="ignore"):
        quotient = dividend // divisor
        inexact = quotient * divisor != dividend
        negative = (dividend < 0) != (divisor < 0)
        return [np.asarray(quotient + (inexact & negative), dtype=dividend.dtype)]
