"""What opsets 26 to 28 added or changed, in operators of opset 21."""

import numpy as np
import onnx

from octavo.compiler.importer.draft import Draft, Emitter, attributes_of, stem
from octavo.compiler.importer.structure import describe
from octavo.compiler.importer.tensors import Array
from octavo.errors import ModelError

_T = onnx.TensorProto
_SHORT_FLOATS = (_T.FLOAT16, _T.BFLOAT16)
_FLOATS = (*_SHORT_FLOATS, _T.FLOAT, _T.DOUBLE)
_SIGNED = (_T.INT8, _T.INT16, _T.INT32, _T.INT64)


def bit_cast(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """BitCast (26) of a constant -> the constant in the other type."""
    value = draft.constant(node.input[0])
    if value is None:
        raise ModelError(f"{describe(node)} of a value that is computed is not supported")
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(attributes_of(node)["to"]))
    if dtype.itemsize != value.dtype.itemsize or dtype.hasobject:
        raise ModelError(f"{describe(node)}: {dtype} has another size than {value.dtype}")
    emit = Emitter(draft, stem(node))
    bits = np.ascontiguousarray(value).view(dtype).reshape(value.shape)
    emit.op("Identity", [emit.constant("bits", bits)], node.output[0])
    return emit.nodes


def cum_prod(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """CumProd (26) -> log2(n) products of the tensor with itself, moved by 1, 2, 4, ..."""
    attributes = attributes_of(node)
    item = draft.types[node.input[0]]
    axis_value = draft.constant(node.input[1])
    if axis_value is None or axis_value.size != 1:
        raise ModelError(f"{describe(node)}: its axis has to be one constant")
    rank, axis = len(item.shape), int(axis_value.reshape(()))
    if not -rank <= axis < rank:
        raise ModelError(f"{describe(node)}: axis {axis} of a tensor of rank {rank}")
    axis %= rank
    length = item.shape[axis]
    emit = Emitter(draft, stem(node))
    one = np.ones((), onnx.helper.tensor_dtype_to_np_dtype(item.dtype))
    reverse = bool(attributes.get("reverse", 0))

    def moved(source: str, places: int) -> str:
        """Later along the axis, ones where nothing comes from."""
        pads = np.zeros((2, rank), np.int64)
        pads[:, axis] = (-places, places) if reverse else (places, -places)
        operands = [source, emit.constant("pads", pads.reshape(-1)), emit.constant("one", one)]
        return emit.op("Pad", operands)

    result = node.input[0]
    places = 1
    if attributes.get("exclusive", 0) and length:
        result = moved(result, 1)
    while places < length:
        result = emit.op("Mul", [result, moved(result, places)])
        places *= 2
    emit.op("Identity", [result], node.output[0])
    return emit.nodes


def modulo(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """Mod (28) of floats rounds down unless told otherwise -> fmod, moved to B's sign."""
    if draft.dtype(node.input[0]) not in _FLOATS or attributes_of(node).get("fmod", 0):
        return [node]
    emit = Emitter(draft, stem(node))
    divisor = node.input[1]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(draft.dtype(divisor))
    zero = emit.constant("zero", np.zeros((), dtype))
    remainder = emit.op("Mod", list(node.input), fmod=1)
    signs = [emit.op("Less", [remainder, zero]), emit.op("Less", [divisor, zero])]
    is_zero = emit.op("Equal", [remainder, zero])
    other_sign = emit.op("And", [emit.op("Xor", signs), emit.op("Not", [is_zero])])
    lifted = emit.op("Add", [remainder, divisor])
    emit.op("Where", [other_sign, lifted, remainder], node.output[0])
    return emit.nodes


def number_range(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """Range (27) of short floats -> Range of float32, and a Cast of what comes out."""
    attributes = attributes_of(node)
    dtype = draft.dtype(node.input[0])
    short = dtype in _SHORT_FLOATS
    if short and attributes.get("stash_type", _T.FLOAT) != _T.FLOAT:
        raise ModelError(
            f"{describe(node)}: stash_type {attributes['stash_type']}; 1 is allowed"
        )
    emit = Emitter(draft, stem(node))
    operands = [_as_float(draft, emit, name) if short else name for name in node.input]
    numbers = emit.op("Range", operands, None if short else node.output[0])
    if short:
        emit.op("Cast", [numbers], node.output[0], to=dtype)
    return emit.nodes


def _as_float(draft: Draft, emit: Emitter, name: str) -> str:
    value = draft.constant(name)
    if value is None:
        return emit.op("Cast", [name], to=_T.FLOAT)
    array: Array = value.astype(np.float32)
    return emit.constant("bound", array)


def shift(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """BitShift (28) of signed integers, which opset 21 does not know."""
    if draft.dtype(node.input[0]) in _SIGNED:
        raise ModelError(f"{describe(node)} of signed integers is not supported")
    return [node]


def space_to_depth(node: onnx.NodeProto, version: int, draft: Draft) -> list[onnx.NodeProto]:
    """SpaceToDepth (28) in column-row-depth order -> Reshape, Transpose, Reshape."""
    attributes = attributes_of(node)
    mode = attributes.get("mode", b"DCR")
    shape, size = draft.types[node.input[0]].shape, int(attributes["blocksize"])
    if mode not in (b"DCR", b"CRD"):
        raise ModelError(f"{describe(node)}: mode {mode[:40]!r}; allowed: DCR, CRD")
    if len(shape) != 4 or size < 1 or shape[2] % size or shape[3] % size:
        raise ModelError(f"{describe(node)}: no blocks of {size} in shape {list(shape)}")
    emit = Emitter(draft, stem(node))
    if mode == b"DCR":
        emit.op("SpaceToDepth", [node.input[0]], node.output[0], blocksize=size)
        return emit.nodes
    batch, channels, height, width = shape[0], shape[1], shape[2] // size, shape[3] // size
    parts = emit.ints("parts", (batch, channels, height, size, width, size))
    blocks = emit.op("Reshape", [node.input[0], parts], allowzero=1)
    swapped = emit.op("Transpose", [blocks], perm=[0, 1, 3, 5, 2, 4])
    joined = emit.ints("joined", (batch, channels * size * size, height, width))
    emit.op("Reshape", [swapped, joined], node.output[0], allowzero=1)
    return emit.nodes
