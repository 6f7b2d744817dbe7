"""Bytes of few bits as the runtime expands them: eight values of n bits in n bytes.

The first value is in the lowest bits, and bytes go from the least significant on. Widths of 3
waste nothing, and a few shifts of one 64-bit word expand eight values of any width
(runtime/src/packed.c; benchmarks/results/packed_storage.md has its speed).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUP = 8  # values of one word
BYTE = 8
FLOAT_BYTES = 4
MAX_PACKED_BITS = 4  # wider formats hold their weights in bytes, or are computed in float
INT8 = np.iinfo(np.int8)
Find = Callable[[NDArray[Any]], NDArray[np.integer] | None]
MIN_SAVED_BYTES = 64  # a record of the program table takes 32


class Layout(Enum):
    """What kernels read of a packed integer, by the name that the runtime has for it."""

    BYTES = "OCTAVO_BYTES"  # a byte
    WORDS = "OCTAVO_WORDS"  # int16, of a signed byte
    NIBBLES = "OCTAVO_NIBBLES"  # the lower half of a byte; the first of two is the lower one


@dataclass(frozen=True)
class PackedBits:
    """Integers without their common upper part.

    Attributes:
        data: What is stored, (ceil(num_values / 8) * num_bits,).
        num_values: Integers that it stands for.
        num_bits: Of each, 1 to 8.
        base: What is added to each, modulo 256; 0 for 8 bits.
        layout: What kernels read of each value.
    """

    data: NDArray[np.uint8]
    num_values: int
    num_bits: int
    base: int
    layout: Layout = Layout.BYTES


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
    if array.size == 0:
        return None
    for layout, find, max_bits in LAYOUTS:
        integers = find(array.reshape(-1))
        if integers is None or bits_of(integers) > max_bits:
            continue
        if array.nbytes - _packed_bytes(integers.size, bits_of(integers)) >= MIN_SAVED_BYTES:
            return replace(pack_integers(integers), layout=layout)
    return None


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


def _bytes(flat: NDArray[Any]) -> NDArray[np.integer] | None:
    """The bytes of a constant as one-byte integers, if it is made of these."""
    if flat.dtype in (np.int8, np.uint8):
        return flat
    # GPUs read four weights as one int32. Numbers of four bytes, such as biases, would be
    # small where all their bytes are; they stay as they are.
    return flat.view(np.int8) if flat.dtype == np.int32 and not _is_small(flat) else None


def _words_of_bytes(flat: NDArray[Any]) -> NDArray[np.integer] | None:
    """Weights of kernels for activations of 16 bits."""
    return flat.astype(np.int8) if flat.dtype == np.int16 and _is_small(flat) else None


def _nibbles(flat: NDArray[Any]) -> NDArray[np.integer] | None:
    """Weights of 2 or 3 bits of kernels that read two weights of 4 bits in a byte."""
    if flat.dtype not in (np.int8, np.uint8):
        return None
    pairs = flat.view(np.int8)[:, None]
    return np.hstack([np.left_shift(pairs, 4), pairs]).reshape(-1) >> 4


def _is_small(flat: NDArray[Any]) -> bool:
    return bool(flat.min() >= INT8.min and flat.max() <= INT8.max)


# What a constant may be made of, and how many bits are worth packing.
LAYOUTS: tuple[tuple[Layout, Find, int], ...] = (
    (Layout.BYTES, _bytes, MAX_PACKED_BITS),
    (Layout.WORDS, _words_of_bytes, BYTE),
    (Layout.NIBBLES, _nibbles, MAX_PACKED_BITS - 1),
)


def _packed_bytes(num_values: int, num_bits: int) -> int:
    return -(-num_values // GROUP) * num_bits


def _words(fields: NDArray[np.uint8], num_bits: int) -> NDArray[np.uint8]:
    """Fields of ``num_bits`` as a stream of bytes."""
    groups = np.zeros((-(-fields.size // GROUP), GROUP), np.uint8)
    groups.reshape(-1)[: fields.size] = fields
    bits = np.unpackbits(groups[..., None], axis=2, bitorder="little")[:, :, :num_bits]
    return np.packbits(bits.reshape(len(groups), -1), axis=1, bitorder="little").reshape(-1)
