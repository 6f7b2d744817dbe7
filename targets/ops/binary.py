"""Elementwise operations of two tensors, broadcast as in ONNX."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.requantize import Requantize, fma_float32, round_twice
from octavo.targets.ops.rounding import round_dyadic, round_real

Arrays = Mapping[str, NDArray[Any]]
TERM_BITS = 20  # of an operand of a sum in the mode "tflite", behind its point
INTEGER_KINDS = ("add", "sub", "mul", "max", "min")
FLOAT_KINDS = ("add", "sub", "mul", "div", "max", "min")


@dataclass(frozen=True, kw_only=True)
class Binary:
    """Static part.

    Attributes:
        kind: "add", "sub", "mul", "max", "min"; "div" of floats only. "sub" adds: its
            multiplier of b is negative.
        shape: Output shape.
        a_shape, b_shape: Operand shapes, of the same rank; 1 where broadcast.
        a_dtype, b_dtype: Of 8 or 16 bits each, but not 16 and 16 in a product; or both
            "float32", which needs no constants.
        requantize: Epilogue; its residual is None. A float operation ignores it.
    """

    kind: str
    shape: tuple[int, ...]
    a_shape: tuple[int, ...]
    b_shape: tuple[int, ...]
    a_dtype: str = "uint8"
    b_dtype: str = "uint8"
    requantize: Requantize = field(default_factory=Requantize)

    @property
    def is_float(self) -> bool:
        """Whether both operands are real numbers."""
        return self.a_dtype == "float32"

    @property
    def has_two_terms(self) -> bool:
        """Whether each operand has a multiplier of its own."""
        return self.kind != "mul"

    @property
    def rounds_terms(self) -> bool:
        """Whether each operand is rounded before they are added: sums in the mode "tflite"."""
        is_sum = self.kind in ("add", "sub")
        return is_sum and self.requantize.mode == "tflite" and self.requantize.is_integer

    @property
    def divides_words(self) -> bool:
        """Whether 32 bits hold all that is rounded in the mode "tflite"."""
        epilogue = self.requantize
        return epilogue.is_divided and (self.rounds_terms or self.kind == "mul")


def reference(op: Binary, arrays: Arrays) -> NDArray[Any]:
    """Compute the operation.

    Integers, with a and b less their zero points and ma, mb the multipliers: add and sub are
    round(a * ma + b * mb), rounded once; max and min compare a * ma with b * mb and round the
    one; mul is round(a * b * ma). Rounding is that of the epilogue's mode, see
    ``octavo.targets.ops.requantize``; the float32 addition is fma(b, mb, a * ma).
    In the mode "tflite" sums are round(significand * (round(a * ta) +- round(b * tb))), each
    time by ``round_twice``.

    Args:
        op: The operation.
        arrays: "a", "b"; for integers "zero_points" (2,) int32, "params" (4,) and, by mode,
            "multiplier" (1,) float32 with "residual_multiplier" (1,), or "significand" and
            "shift" (1,) with "residual_significand" (1,) int64 at the same shift or, of
            rounded terms, "terms" (4,) int64: ta, its shift, tb and its shift; "table" (256,).

    Returns:
        Output shape, output type.
    """
    a, b = arrays["a"].reshape(op.a_shape), arrays["b"].reshape(op.b_shape)
    if op.is_float:
        with np.errstate(all="ignore"):
            return _float(op.kind, a, b)
    za, zb = (int(z) for z in arrays["zero_points"])
    a, b = np.broadcast_arrays(a.astype(np.int32) - za, b.astype(np.int32) - zb)
    value = (_dyadic if op.requantize.is_integer else _real)(op, a, b, arrays)
    if op.requantize.dtype == "float32":
        return value
    if op.requantize.has_table:
        table: NDArray[Any] = arrays["table"]
        value = table[value.astype(op.requantize.dtype).view(np.uint8)]
    return value.astype(op.requantize.dtype)


def _float(kind: str, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    function = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
                "max": np.maximum, "min": np.minimum}[kind]
    result: NDArray[Any] = function(a, b)
    return result


def _real(op: Binary, a: NDArray[Any], b: NDArray[Any], arrays: Arrays) -> NDArray[Any]:
    ma = np.float32(arrays["multiplier"].reshape(-1)[0])
    real: NDArray[Any]
    if op.kind == "mul":
        real = (a * b).astype(np.float32) * ma
    else:
        mb = np.float32(arrays["residual_multiplier"].reshape(-1)[0])
        left, right = a.astype(np.float32), b.astype(np.float32)
        if op.kind in ("max", "min"):
            real = _float(op.kind, left * ma, right * mb)
        else:
            real = fma_float32(right, np.broadcast_to(mb, right.shape), left * ma)
    if op.requantize.dtype == "float32":
        return real
    return round_real(real, arrays["params"])


def _dyadic(op: Binary, a: NDArray[Any], b: NDArray[Any], arrays: Arrays) -> NDArray[Any]:
    shift = np.int64(arrays["shift"].reshape(-1)[0])
    total = a.astype(np.int64) * np.int64(arrays["significand"].reshape(-1)[0])
    if op.rounds_terms:
        ta, shift_a, tb, shift_b = (np.int64(term) for term in arrays["terms"])
        left = round_twice(a.astype(np.int64) * ta, shift_a)
        right = round_twice(b.astype(np.int64) * tb, shift_b)
        summed = left + right if op.kind == "add" else left - right
        total = summed * np.int64(arrays["significand"].reshape(-1)[0])
    elif op.kind == "mul":
        total = total * b
    else:
        right = b.astype(np.int64) * np.int64(arrays["residual_significand"].reshape(-1)[0])
        total = total + right if op.kind in ("add", "sub") else _float(op.kind, total, right)
    return round_dyadic(total, shift, arrays["params"], op.requantize.mode)
