"""TopK, CumSum and OneHot without a sort and without a loop."""

import numpy as np
import onnx
from onnx import TensorProto

from octavo.compiler.lowering.decompose.fragment import (
    Fragment,
    attributes_of,
    operand,
    result_name,
)
from octavo.errors import LoweringError

MAX_RANKED = 4096  # every pair of elements is compared


def top_k(node: onnx.NodeProto, f: Fragment) -> bool:
    """TopK -> rank of every element, from comparing all pairs, then a gather.

    The rank of element i is the number of elements that come before it: those that are larger,
    and the equal ones with a smaller index.
    """
    attributes = attributes_of(node)
    x = operand(node, 0)
    k = f.value(operand(node, 1))
    if k is None:
        return False
    count = int(k.reshape(-1)[0])
    shape = f.shape(x)
    rank = len(shape)
    axis = int(attributes.get("axis", -1)) % rank
    n = shape[axis]
    if n > MAX_RANKED:
        raise LoweringError(
            f"TopK {node.name!r}: {n} elements to choose from; at most {MAX_RANKED}"
        )
    order = [a for a in range(rank) if a != axis] + [axis]
    moved = f.op("Transpose", x, perm=order)
    mine = f.op("Unsqueeze", moved, f.constant([rank], TensorProto.INT64))
    others = f.op("Unsqueeze", moved, f.constant([rank - 1], TensorProto.INT64))
    better = "Greater" if int(attributes.get("largest", 1)) else "Less"
    index = np.arange(n)
    earlier = f.constant(index[None, :] < index[:, None])
    tie = f.op("And", f.op("Equal", others, mine), earlier)
    before = f.op("Or", f.op(better, others, mine), tie)
    last = f.constant([rank], TensorProto.INT64)
    place = f.op("ReduceSum", f.op("Cast", before, to=TensorProto.INT64), last, keepdims=0)
    place = f.op("Unsqueeze", place, f.constant([rank - 1], TensorProto.INT64))
    wanted = f.constant(np.arange(count)[:, None], TensorProto.INT64)
    hit = f.op("Cast", f.op("Equal", place, wanted), to=TensorProto.INT64)
    chosen = f.op(
        "ReduceSum", f.op("Mul", hit, f.constant(index, TensorProto.INT64)), last, keepdims=0
    )
    values = f.op("GatherElements", moved, chosen, axis=rank - 1)
    back = [int(a) for a in np.argsort(order)]
    f.result(f.op("Transpose", values, perm=back), result_name(node, 0))
    f.result(f.op("Transpose", chosen, perm=back), result_name(node, 1))
    return True


def cum_sum(node: onnx.NodeProto, f: Fragment) -> bool:
    """CumSum -> log2(n) additions of the tensor to itself, moved by 1, 2, 4, ... places."""
    attributes = attributes_of(node)
    x = operand(node, 0)
    at = f.value(operand(node, 1))
    if at is None:
        return False
    shape = f.shape(x)
    axis = int(at.reshape(-1)[0]) % len(shape)
    n = shape[axis]
    is_reverse = bool(attributes.get("reverse", 0))

    def moved(value: str, places: int) -> str:
        gap = list(shape)
        gap[axis] = places
        zeros = f.constant(np.zeros(gap), f.dtype(x))
        start, stop = (places, n) if is_reverse else (0, n - places)
        kept = f.op(
            "Slice", value, *(f.constant([v], TensorProto.INT64) for v in (start, stop, axis))
        )
        parts = (kept, zeros) if is_reverse else (zeros, kept)
        return str(f.op("Concat", *parts, axis=axis))

    total = moved(x, 1) if attributes.get("exclusive", 0) else x
    places = 1
    while places < n:
        total = f.op("Add", total, moved(total, places))
        places *= 2
    f.result(total, result_name(node, 0))
    return True


def one_hot(node: onnx.NodeProto, f: Fragment) -> bool:
    """OneHot -> comparison of the indices with 0, 1, ..., depth - 1."""
    axis = int(attributes_of(node).get("axis", -1))
    indices, depth = operand(node, 0), f.value(operand(node, 1))
    if depth is None:
        return False
    count = int(depth.reshape(-1)[0])
    rank = len(f.shape(indices)) + 1
    axis %= rank
    wide = f.op("Cast", indices, to=TensorProto.INT64)
    zero, size = (f.constant([v], TensorProto.INT64) for v in (0, count))
    counted = f.op("Where", f.op("Less", wide, zero), f.op("Add", wide, size), wide)
    tall = f.op("Unsqueeze", counted, f.constant([axis], TensorProto.INT64))
    steps = np.arange(count).reshape([count if a == axis else 1 for a in range(rank)])
    hit = f.op("Equal", tall, f.constant(steps, TensorProto.INT64))
    each = f.constant([1, 1], TensorProto.INT64)
    off, on = f.op("Split", operand(node, 2), each, num_outputs=2, axis=0)
    f.result(f.op("Where", hit, on, off), result_name(node, 0))
    return True
