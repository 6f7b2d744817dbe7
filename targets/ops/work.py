"""What an operation has to do, however a kernel does it: the yardstick of a roofline.

Bytes are compulsory traffic: every element that takes part, once. What a kernel reads again is
its own doing, so it lowers the rate that it reaches and not the rate that it could.
"""

from dataclasses import dataclass
from functools import singledispatch
from math import prod
from typing import Any

from octavo.targets.ops.attention import Attention
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.gather import Gather
from octavo.targets.ops.matmul import MatMul
from octavo.targets.ops.move import Move


@dataclass(frozen=True)
class Touched:
    """Elements of an operation's tensors that take part in it, each counted once.

    Attributes:
        inputs: Of each input, in the operation's order; inputs behind the last one given take
            part whole.
        outputs: The same of the outputs.
    """

    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()


def macs(op: Any) -> int:
    """Multiply-accumulates of a record; 0 for one that has no products to sum."""
    return int(getattr(op, "macs", 0))


@singledispatch
def touched(op: Any) -> Touched:
    """Elements that take part in an operation.

    Args:
        op: An operation record. One that reads and writes its tensors whole needs no rule; any
            other registers one.
    """
    del op
    return Touched()


@touched.register
def _(op: Conv) -> Touched:
    rows = _taps(op.out_h, op.kernel_h, op.stride_h, op.dilation_h, op.pad_top, op.in_h)
    columns = _taps(op.out_w, op.kernel_w, op.stride_w, op.dilation_w, op.pad_left, op.in_w)
    pixels = op.batch * rows * columns
    return Touched((pixels * op.in_c,), (op.batch * op.out_h * op.out_w * op.out_c,))


@touched.register
def _(op: MatMul) -> Touched:
    a = _distinct(op.batch, op.a_strides[:-1]) * op.rows * op.depth
    b = _distinct(op.batch, op.b_strides[:-2]) * op.depth * op.cols
    return Touched((a, b), (op.batch_size * op.rows * op.cols,))


@touched.register
def _(op: Attention) -> Touched:
    q = _distinct(op.batch, op.q_strides[:-1]) * op.rows * op.depth
    k = _distinct(op.batch, op.k_strides[:-2]) * op.depth * op.columns
    v = _distinct(op.batch, op.v_strides[:-2]) * op.columns * op.width
    mask: tuple[int, ...] = ()
    if op.mask_strides is not None:
        shape = (*op.batch, op.rows, op.columns)
        mask = (_distinct(shape, op.mask_strides),)
    return Touched((q, k, *mask, v), (op.batch_size * op.rows * op.width,))


@touched.register
def _(op: Move) -> Touched:
    written = op.dst_elements if op.fills else prod(op.shape)
    return Touched((_distinct(op.shape, op.src_strides),), (written,))


@touched.register
def _(op: Gather) -> Touched:
    slices = op.outer * min(op.count, op.extent)  # an index that comes twice reads once
    return Touched((slices * op.inner,))


@touched.register
def _(op: CsrAggregate) -> Touched:
    return Touched((min(op.edges, op.sources) * op.channels,))


def _taps(outputs: int, kernel: int, stride: int, dilation: int, pad: int, size: int) -> int:
    """Positions of an axis that any window reads."""
    seen = {o * stride - pad + k * dilation for o in range(outputs) for k in range(kernel)}
    return sum(0 <= position < size for position in seen)


def _distinct(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Elements that an index over ``shape`` meets; a stride of 0 meets the same ones again."""
    count = 1
    for extent, stride in zip(shape, strides, strict=True):
        count *= extent if stride else 1
    return count
