"""Offsets of the items of a batch with several dimensions."""

from collections.abc import Sequence

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.opencl.grid import Expr, bind, quotient, rest


def batch_offset(shape: Sequence[int], strides: Sequence[int], item: Expr) -> Expr:
    """Element offset of an item.

    Args:
        shape: Extents of the batch dimensions.
        strides: Elements between neighbours along each; 0 repeats.
        item: Number of the item, row-major.
    """
    at, number = T.int32(0), item
    for extent, stride in zip(reversed(shape), reversed(strides), strict=True):
        if extent == 1:
            continue
        at = at + rest(number, extent) * stride
        number = bind(quotient(number, extent))
    return at
