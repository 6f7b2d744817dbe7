"""Sums of float16 and bfloat16: added up in float32 and rounded once."""

import onnx
from onnx import TensorProto

from octavo.compiler.lowering.decompose.fragment import Fragment, attributes_of, result_name

HALF = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16})


def widen(node: onnx.NodeProto, f: Fragment) -> bool:
    """op(half, ...) -> Cast(op(Cast(half), ...)); what is not half stays."""
    names = [name for name in node.input if name]
    if not any(f.is_known(name) and f.dtype(name) in HALF for name in names):
        return False
    narrow = f.dtype(next(n for n in names if f.is_known(n) and f.dtype(n) in HALF))
    inputs = [
        f.op("Cast", name, to=TensorProto.FLOAT)
        if name and f.is_known(name) and f.dtype(name) == narrow
        else name
        for name in node.input
    ]
    y = f.op(node.op_type, *inputs, **attributes_of(node))
    f.result(f.op("Cast", y, to=narrow), result_name(node, 0))
    return True
