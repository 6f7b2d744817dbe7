"""Matrix product of two activations, batched and strided, fused up to the stored output.

Strides let attention multiply heads where they lie in a (batch, sequence, heads * depth)
tensor: nothing is transposed or copied first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from octavo.targets.ops.conv import epilogue_reference
from octavo.targets.ops.requantize import Requantize

Arrays = Mapping[str, NDArray[Any]]

NO_LIMITS = np.array([-np.inf, np.inf], np.float32)


@dataclass(frozen=True)
class MatMul:
    """Static part of y[batch, row, col] = sum over depth of a[batch, row, d] b[batch, d, col].

    Strides count elements. A stride of 0 in a batch dimension repeats the operand.

    Attributes:
        batch: Batch dimensions, possibly none.
        rows, cols, depth: Size of one product.
        a_strides: One for each batch dimension, then of a row; ``depth`` is contiguous.
        b_strides: One for each batch dimension, then of ``depth``, then of a column; one of
            the last two is 1.
        y_strides: One for each batch dimension, then of a row; columns are contiguous.
        a_elements, b_elements, y_elements: Elements of the whole tensors.
        a_dtype, b_dtype: "uint8" or "int8" each, or both "float32".
        requantize: Epilogue of an integer product; its residual lies as y does.
        a_offset, b_offset, y_offset: First elements: heads of one fused projection.
    """

    batch: tuple[int, ...]
    rows: int
    cols: int
    depth: int
    a_strides: tuple[int, ...]
    b_strides: tuple[int, ...]
    y_strides: tuple[int, ...]
    a_elements: int
    b_elements: int
    y_elements: int
    a_dtype: str = "uint8"
    b_dtype: str = "uint8"
    requantize: Requantize = field(default_factory=Requantize)
    a_offset: int = 0
    b_offset: int = 0
    y_offset: int = 0

    def __post_init__(self) -> None:
        ranks = (len(self.a_strides) - 1, len(self.b_strides) - 2, len(self.y_strides) - 1)
        if ranks != (len(self.batch),) * 3:
            raise ValueError(f"{ranks} batch strides of a, b and y; batch is {self.batch}")
        if 1 not in self.b_strides[-2:]:
            raise ValueError(f"b strides {self.b_strides}: one of the last two must be 1")
        if (self.a_dtype == "float32") != (self.b_dtype == "float32"):
            raise ValueError(f"{self.a_dtype} times {self.b_dtype}: both or none float32")

    @property
    def is_float(self) -> bool:
        """Whether the operands are float32."""
        return self.a_dtype == "float32"

    @property
    def out_dtype(self) -> str:
        """Type of y."""
        return "float32" if self.is_float else self.requantize.dtype

    @property
    def batch_size(self) -> int:
        """Number of products."""
        return int(np.prod(self.batch, dtype=np.int64))

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.batch_size * self.rows * self.cols * self.depth


def operand_views(
    op: MatMul, a: NDArray[Any], b: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """View the flat operands as (*batch, rows, depth) and (*batch, depth, cols)."""
    return (
        _view(a[op.a_offset :], (*op.batch, op.rows, op.depth), (*op.a_strides, 1)),
        _view(b[op.b_offset :], (*op.batch, op.depth, op.cols), op.b_strides),
    )


def reference(op: MatMul, arrays: Arrays) -> NDArray[Any]:
    """Compute the product; exact for integers.

    Args:
        op: The product.
        arrays: "a" and "b", flat or not. For integers "zero_points" (2,) int32, of a and b,
            "params" (4,) int32 and, by mode, "multiplier" (1,) float32 or "significand" and
            "shift" (1,) int64; "residual" (y_elements) with "residual_multiplier" (1,) or
            "residual_significand" (1,); "table" (256,). For floats "limits" (2,) float32, or
            nothing for no limits.

    Returns:
        (y_elements,) of the output type; elements that no product reaches are 0.
    """
    a, b = operand_views(op, arrays["a"].reshape(-1), arrays["b"].reshape(-1))
    y = np.zeros(op.y_elements, op.out_dtype)
    shape = (*op.batch, op.rows, op.cols)
    target = _view(y[op.y_offset :], shape, (*op.y_strides, 1))
    if op.is_float:
        low, high = arrays.get("limits", NO_LIMITS)
        target[...] = np.clip(a @ b, low, high)
        return y
    zero_a, zero_b = (int(z) for z in arrays["zero_points"])
    # Products of centred 8-bit values are below 2**17: float64 sums them exactly.
    acc = (a.astype(np.float64) - zero_a) @ (b.astype(np.float64) - zero_b)
    arrays = dict(arrays)
    if op.requantize.residual:
        residual = arrays["residual"].reshape(-1)
        arrays["residual"] = _view(residual[op.y_offset :], shape, (*op.y_strides, 1))
    target[...] = epilogue_reference(op.requantize, acc.astype(np.int32), arrays)
    return y


def _view(
    flat: NDArray[Any], shape: tuple[int, ...], strides: tuple[int, ...]
) -> NDArray[Any]:
    """View a flat array with element strides, checked against its end."""
    last = sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if last >= flat.size or min(strides) < 0:
        raise ValueError(f"shape {shape} with strides {strides} leaves {flat.size} elements")
    return as_strided(flat, shape, [stride * flat.itemsize for stride in strides])
