"""Bytes of few bits as the runtime expands them: eight values of n bits in n bytes.

The first value is in the lowest bits, and bytes go from the least significant on. Widths of 3
waste nothing, and a few shifts of one 64-bit word expand eight values of any width
(runtime/src/weights.c; benchmarks/results/packed_storage.md has its speed).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUP = 8  # values of one word
BYTE = 8
FLOAT_BYTES = 4
MAX_PACKED_BITS = 4  # wider formats hold their weights in bytes, or are computed in float
INT8 = np.iinfo(np.int8)
MIN_SAVED_BYTES = 64  # a record of the program table takes 32


@dataclass(frozen=True)
class PackedBits:
    """Bytes without their common upper part.

    Attributes:
        data: What is stored, (ceil(num_values / 8) * num_bits,).
        num_values: Bytes that it stands for.
        num_bits: Of each, 1 to 8.
        base: What is added to each, modulo 256; 0 for 8 bits.
        is_wide: Kernels read an int16 of the same value for each, which is signed.
    """

    data: NDArray[np.uint8]
    num_values: int
    num_bits: int
    base: int
    is_wide: bool = False


def stored_bytes(num_values: int, weight_bits: int) -> int:
    """What the weights of a quantized layer take in an artifact, without biases and scales.

    Kernels may want channels padded; these zeros are not known before lowering and not
    counted. Two constants of one width are stored one behind the other without a gap.

    Args:
        num_values: Weights, 0 or more.
        weight_bits: Their width, 2 to 16; above 4 and up to 8 bits each takes a byte, and
            above that a float32, in which their layers compute.

    Raises:
        ValueError: Not so many.
    """
    if num_values < 0 or not 2 <= weight_bits <= 16:
        raise ValueError(
            f"{num_values} values of {weight_bits} bits: not 0 or more values of 2 to 16 bits"
        )
    if weight_bits <= MAX_PACKED_BITS:
        return _packed_bytes(num_values, weight_bits)
    return num_values * (1 if weight_bits <= BYTE else FLOAT_BYTES)


def packed_bits(array: NDArray[Any]) -> PackedBits | None:
    """Pack a constant of integers that fit a byte; None where that saves next to nothing.

    Args:
        array: Any shape, C-contiguous.
    """
    integers = _byte_integers(array)
    if integers is None or integers.size == 0:
        return None
    is_wide = array.dtype == np.int16
    num_bits = bits_of(integers)
    if num_bits > (BYTE if is_wide else MAX_PACKED_BITS):
        return None
    if array.nbytes - _packed_bytes(integers.size, num_bits) < MIN_SAVED_BYTES:
        return None
    return replace(pack_integers(integers), is_wide=is_wide)


def bits_of(integers: NDArray[np.integer]) -> int:
    """Width of the differences between integers, at least 1."""
    return max(1, (int(integers.max()) - int(integers.min())).bit_length())


def pack_integers(integers: NDArray[np.integer]) -> PackedBits:
    """Pack integers of one byte in as few bits as they need.

    Args:
        integers: int8 or uint8, (n,) with n at least 1.
    """
    num_bits = bits_of(integers)
    # Integers of a signed type are bytes too: differences modulo 256 are right for both.
    base = int(integers.min()) % 256 if num_bits < BYTE else 0
    fields = integers.view(np.uint8) - np.uint8(base)
    return PackedBits(_words(fields, num_bits), integers.size, num_bits, base)


def _byte_integers(array: NDArray[Any]) -> NDArray[np.integer] | None:
    """The bytes of a constant as one-byte integers, if it is made of these."""
    flat = array.reshape(-1)
    if flat.dtype in (np.int8, np.uint8):
        return flat
    if flat.dtype not in (np.int16, np.int32) or flat.size == 0:
        return None
    has_small_numbers = flat.min() >= INT8.min and flat.max() <= INT8.max
    if flat.dtype == np.int16:  # of kernels for activations of 16 bits
        return flat.astype(np.int8) if has_small_numbers else None
    # GPUs read four weights as one int32. Numbers of four bytes, such as biases, would be
    # small where all their bytes are; they stay as they are.
    return None if has_small_numbers else flat.view(np.int8)


def _packed_bytes(num_values: int, num_bits: int) -> int:
    return -(-num_values // GROUP) * num_bits


def _words(fields: NDArray[np.uint8], num_bits: int) -> NDArray[np.uint8]:
    """Fields of ``num_bits`` as a stream of bytes."""
    groups = np.zeros((-(-fields.size // GROUP), GROUP), np.uint8)
    groups.reshape(-1)[: fields.size] = fields
    bits = np.unpackbits(groups[..., None], axis=2, bitorder="little")[:, :, :num_bits]
    return np.packbits(bits.reshape(len(groups), -1), axis=1, bitorder="little").reshape(-1)
