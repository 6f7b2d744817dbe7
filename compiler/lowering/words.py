"""Where activations of 16 bits are computed in integers, and the operations that do it."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from octavo.targets.base import Target
from octavo.targets.instructions import isa_of
from octavo.targets.kernels.word_gemm_parts import MAX_PARTS, PART_INPUTS
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.word_conv import needs_words, word_conv
from octavo.targets.word_isa import slower_words


def why_no_words(target: Target, mode: str) -> str:
    """Why a target computes activations of 16 bits in float, or an empty string.

    Args:
        target: What kernels are for.
        mode: "float32" or "dyadic".
    """
    if target.accelerator is not None:
        return f"integer kernels of {target.accelerator.name} read 8"
    if mode != "float32":
        return "rounding without float makes 8"
    return str(slower_words(isa_of(target)) or "")


def sums_fit(weight_shape: Sequence[int]) -> bool:
    """Whether kernels sum all products of 16-bit activations.

    Args:
        weight_shape: (C_out, C_in / groups, kernel...).
    """
    taps = prod(weight_shape[2:])
    return taps * -(-weight_shape[1] // PART_INPUTS) <= MAX_PARTS


def with_words(op: Conv) -> Conv:
    """The operation as the record of its kernels, if any of its activations has 16 bits."""
    if not needs_words(op):
        return op
    # Sums may be larger than those that saturation alone limits.
    return word_conv(replace(op, requantize=replace(op.requantize, has_limits=True)))
