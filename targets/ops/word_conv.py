"""Integer convolution and matrix product where the input or the output has 16 bits.

Weights are int8, activations int16 or, on one side, 8 bits. The sum of products is exact
however large it is; then it is rounded to float32, multiplied, and rounded once more, as
``octavo.targets.ops.requantize`` says of sums of 32 bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.conv import Conv, accumulate, epilogue_reference

Arrays = Mapping[str, NDArray[Any]]

WORD = "int16"
INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class WordConv(Conv):
    """Static part of a convolution with 16-bit activations.

    A record of its own: kernels of a ``Conv`` read and write 8 bits, and sum in 32.
    """

    dtype: str = WORD

    def __post_init__(self) -> None:
        epilogue = self.requantize
        if self.dtype == "float32":
            raise ValueError("float32 activations: only integers are multiplied")
        if WORD not in (self.dtype, epilogue.dtype, epilogue.residual):
            raise ValueError("no 16-bit activations: that is a Conv")
        if epilogue.mode != "float32":
            raise ValueError(f"rounding {epilogue.mode!r}: 16 bits are rounded by float32")
        if epilogue.has_table and epilogue.dtype == WORD:
            raise ValueError("a table of 256 entries for results of 16 bits")


def needs_words(op: Conv) -> bool:
    """Whether an integer convolution has 16-bit activations."""
    return WORD in (op.dtype, op.requantize.dtype, op.requantize.residual)


def word_conv(op: Conv) -> WordConv:
    """The same integer convolution, as a record of this kind.

    Raises:
        ValueError: It has no 16-bit activations, or rounds by integers.
    """
    return WordConv(**{field.name: getattr(op, field.name) for field in fields(Conv)})


def sum_range(op: Conv, arrays: Arrays) -> tuple[int, int]:
    """Bound the sums of products, bias included, whatever the input is.

    Args:
        op: An integer convolution.
        arrays: Its constants, see ``reference``.

    Returns:
        No channel's sum is below the first or above the second. Sums of only some of the
        products, in any order, are not either: for inputs that are 0 as stored the others are
        part of what the zero point adds to the bias, which sums start from.
    """
    zero_point = int(arrays["zero_point"].reshape(-1)[0])
    limits = np.iinfo(op.dtype)
    weight = arrays["weight"].astype(np.int64).reshape(op.out_c, -1)
    ends = [weight * (int(limit) - zero_point) for limit in (limits.min, limits.max)]
    bias = arrays["bias"].astype(np.int64).reshape(-1)
    lowest = np.minimum(*ends).sum(axis=1) + bias
    highest = np.maximum(*ends).sum(axis=1) + bias
    return int(lowest.min(initial=0)), int(highest.max(initial=0))


def wide_sums(op: Conv, arrays: Arrays) -> str:
    """Say that sums of products may leave 32 bits, or return an empty string."""
    lowest, highest = sum_range(op, arrays)
    if INT32.min <= lowest and highest <= INT32.max:
        return ""
    return f"sums of products from {lowest} to {highest}, which need more than 32 bits"


def reference(op: WordConv, arrays: Arrays) -> NDArray[Any]:
    """Compute the convolution; equal to kernels bit for bit.

    Args:
        op: The convolution.
        arrays: As of ``octavo.targets.ops.conv.reference``; "x", "residual" and the result
            have the types that ``op`` says.

    Returns:
        (N, out_h, out_w, C_out) of the output type.
    """
    acc = accumulate(op, arrays["x"], arrays["weight"], int(arrays["zero_point"][0]))
    return epilogue_reference(op.requantize, acc.astype(np.int64) + arrays["bias"], arrays)
