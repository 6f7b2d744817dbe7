"""Where the pixels of NHWC tensors are that a work item reads and writes."""

from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.opencl.grid import Expr, bind, quotient, rest
from octavo.targets.ops.conv import Conv

Place = tuple[Expr, Expr, Expr]


def output_place(op: Any, number: Expr) -> Place:
    """Image, row and column of an output pixel of a convolution or a pool."""
    column = bind(rest(number, op.out_w))
    row = bind(rest(quotient(number, op.out_w), op.out_h))
    image = bind(quotient(number, op.out_w * op.out_h)) if op.batch > 1 else T.int32(0)
    return image, row, column


def output_element(op: Conv, place: Place) -> Expr:
    """First element of an output pixel of a convolution."""
    image, row, column = place
    put = op.placement
    line = image * op.full_h + row * put.step_h + put.offset_h
    return (line * op.full_w + column * put.step_w + put.offset_w) * op.out_pixel


def read_pixel(op: Any, place: Place, kh: Expr, kw: Expr) -> tuple[Expr, Expr]:
    """First element of the input pixel under a tap, and whether it exists (int32).

    A pixel outside is replaced by the nearest one inside, which can be read. Where all exist,
    there is no condition: it is 1.
    """
    image, row, column = place
    y = bind(row * op.stride_h + (kh * op.dilation_h - op.pad_top))
    x = bind(column * op.stride_w + (kw * op.dilation_w - op.pad_left))
    inside = T.int32(1)
    if may_leave(op):
        inside = bind(tirx.Cast(
            "int32", tirx.all(y >= 0, y < op.in_h, x >= 0, x < op.in_w)))
        y = T.min(T.max(y, T.int32(0)), T.int32(op.in_h - 1))
        x = T.min(T.max(x, T.int32(0)), T.int32(op.in_w - 1))
    return ((image * op.in_h + y) * op.in_w + x) * op.in_pixel, inside


def may_leave(op: Any) -> bool:
    """Whether any window reaches outside of the input."""
    spans = (
        (op.out_h, op.stride_h, op.kernel_h, op.dilation_h, op.pad_top, op.in_h),
        (op.out_w, op.stride_w, op.kernel_w, op.dilation_w, op.pad_left, op.in_w),
    )
    return any(
        pad > 0 or (outputs - 1) * stride + (kernel - 1) * dilation - pad >= size
        for outputs, stride, kernel, dilation, pad, size in spans
    )
