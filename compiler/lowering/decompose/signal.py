"""DFT and STFT as products with constant matrices."""

import numpy as np
import onnx
from onnx import TensorProto

from octavo.compiler.lowering.decompose.fragment import (
    Fragment,
    attributes_of,
    operand,
    result_name,
)


def dft(node: onnx.NodeProto, f: Fragment) -> bool:
    """DFT -> MatMul with cosines and sines along the axis."""
    attributes = attributes_of(node)
    x = operand(node, 0)
    shape = f.shape(x)
    axis = _scalar(f, operand(node, 2), int(attributes.get("axis", -2)))
    length = _scalar(f, operand(node, 1), 0)
    if axis is None or length is None:
        return False
    axis %= len(shape)
    is_inverse = bool(attributes.get("inverse", 0))
    is_onesided = bool(attributes.get("onesided", 0))
    if not length:
        length = shape[axis]
        if is_inverse and is_onesided:
            length = 2 * (shape[axis] - 1)
    f.result(
        transform(f, x, shape, axis, length, is_inverse, is_onesided, f.dtype(x)),
        result_name(node, 0),
    )
    return True


def _scalar(f: Fragment, name: str, default: int) -> int | None:
    if not name:
        return default
    value = f.value(name)
    return None if value is None else int(value.reshape(-1)[0])


def transform(
    f: Fragment,
    x: str,
    shape: tuple[int, ...],
    axis: int,
    length: int,
    is_inverse: bool,
    is_onesided: bool,
    dtype: int,
) -> str:
    """Discrete Fourier transform of a tensor whose last axis is (real,) or (real, imaginary).

    Args:
        f: Where nodes go.
        x: The tensor.
        shape: Its shape.
        axis: Axis that is transformed, 0-based, not the last.
        length: Points; the axis is cut or padded with zeros to it.
        is_inverse: Whether to divide by the length and turn the other way.
        is_onesided: Forward: keep the first half of the result. Inverse: the input is that
            half, and the result is real.
        dtype: ONNX element type of ``x``.
    """
    rank = len(shape)
    order = [a for a in range(rank) if a not in (axis, rank - 1)] + [rank - 1, axis]
    moved = f.op("Transpose", x, perm=order)  # (..., parts, n)
    is_half = is_inverse and is_onesided
    used = min(shape[axis], length // 2 + 1 if is_half else length)
    cosines, sines = _waves(used, length, is_inverse)
    if is_half:
        twice = np.full((used, 1), 2.0)  # the other half is the mirrored conjugate
        twice[0] = 1.0
        if length % 2 == 0 and used == length // 2 + 1:
            twice[-1] = 1.0
        cosines, sines = cosines * twice, sines * twice
    elif is_onesided:
        cosines, sines = (m[:, : length // 2 + 1] for m in (cosines, sines))
    ends = [f.constant([v], TensorProto.INT64) for v in (0, used, rank - 1)]
    moved = f.op("Slice", moved, *ends)
    parts = [moved]
    if shape[-1] == 2:
        sizes = f.constant([1, 1], TensorProto.INT64)
        parts = list(f.op("Split", moved, sizes, num_outputs=2, axis=rank - 2))
    c, s, minus_s = (f.constant(m, dtype) for m in (cosines, sines, -sines))
    real = f.op("MatMul", parts[0], c)
    imaginary = f.op("MatMul", parts[0], s)
    if len(parts) == 2:
        real = f.op("Add", real, f.op("MatMul", parts[1], minus_s))
        imaginary = f.op("Add", imaginary, f.op("MatMul", parts[1], c))
    joined = real if is_half else f.op("Concat", real, imaginary, axis=rank - 2)
    return str(f.op("Transpose", joined, perm=[int(a) for a in np.argsort(order)]))


def _waves(used: int, length: int, is_inverse: bool) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary part of exp(-+2 pi i n k / length), (used, length)."""
    turns = np.outer(np.arange(used), np.arange(length)) % length / length * 2 * np.pi
    if is_inverse:
        return np.cos(turns) / length, np.sin(turns) / length
    return np.cos(turns), -np.sin(turns)


def stft(node: onnx.NodeProto, f: Fragment) -> bool:
    """STFT -> Gather of frames, Mul by the window, DFT."""
    attributes = attributes_of(node)
    signal, window = operand(node, 0), operand(node, 2)
    batch, samples, parts = f.shape(signal)
    step = _scalar(f, operand(node, 1), 0)
    length = _scalar(f, operand(node, 3), f.shape(window)[0] if window else 0)
    if not step or not length:
        return False
    frames = (samples - length) // step + 1
    index = np.arange(frames)[:, None] * step + np.arange(length)
    framed = f.op("Gather", signal, f.constant(index, TensorProto.INT64), axis=1)
    if window:
        column = f.op("Reshape", window, f.constant([length, 1], TensorProto.INT64))
        framed = f.op("Mul", framed, column)
    y = transform(
        f,
        framed,
        (batch, frames, length, parts),
        2,
        length,
        False,
        bool(attributes.get("onesided", 1)),
        f.dtype(signal),
    )
    f.result(y, result_name(node, 0))
    return True
