"""Resize of images, nearest or linear, along the spatial axes.

Source: ONNX operator Resize-19, "coordinate_transformation_mode" and "nearest_mode".
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.context import Context, Region
from octavo.compiler.lowering.fusion import epilogue, quantized_tail
from octavo.compiler.lowering.qdq_graph import (
    EIGHT_BITS,
    QuantParams,
    constant,
    int_attribute,
    operand,
    shape_of,
    string_attribute,
)
from octavo.compiler.lowering.tensor import channels_last
from octavo.compiler.lowering.tflite_resize import MODES as TFLITE_MODES
from octavo.compiler.lowering.tflite_resize import resize_lines
from octavo.compiler.lowering.tflite_rounding import (
    TFLITE,
    average_plainly,
    mode_beside,
    plain_zero,
)
from octavo.compiler.lowering.view import QdqView
from octavo.targets.ops.resize import LINEAR, NEAREST, WEIGHT_BITS, Resize

SCALES = 2
COORDINATE_MODE = "coordinate_transformation_mode"
COORDINATES = (
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
)  # fmt: skip


def match_nearest(node: ir.Node, view: QdqView) -> Region | None:
    """Nearest Resize of integers commutes with dequantization; of float it copies too."""
    x = operand(node, 0)
    if x is None or not _fits(node, NEAREST):
        return None
    if x.dtype != ir.DataType.FLOAT and x.dtype not in EIGHT_BITS:
        return None

    def emit(ctx: Context) -> None:
        is_integer = x.dtype in EIGHT_BITS or view.is_dequantized(x)
        origin = Region((node,), emit).origin("" if is_integer else view.float_reason(node))
        order = channels_last(len(shape_of(x)))
        source = ctx.tensor(x) if is_integer else ctx.float_tensor(x)
        source = ctx.dense(source, order, origin)
        shape = shape_of(node.outputs[0])
        output = ctx.new(origin.name, source.dtype, shape, order)
        output = replace(output, scale=source.scale, zero_point=source.zero_point)
        ctx.define(node.outputs[0], output)
        op = _record(shape_of(x), shape, NEAREST, source.dtype)
        arrays = _lines(node, shape_of(x), shape)
        placement = "int8" if is_integer else "float32"
        ctx.builder.call(op, [source], arrays, [output], origin, placement)

    return Region((node,), emit)


def match_linear(node: ir.Node, view: QdqView) -> Region | None:
    """DQ -> linear Resize -> Q."""
    x = operand(node, 0)
    if x is None or not _fits(node, LINEAR) or not view.is_dequantized(x):
        return None
    tail = quantized_tail(node.outputs[0], view, looks_up=True)
    params, nodes = tail.params, (node, *tail.nodes)
    if params is None:
        return None

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin()
        order = channels_last(len(shape_of(x)))
        source = ctx.dense(ctx.tensor(x), order, origin)
        output = ctx.new_quantized(tail.result, params, order)
        op = _record(shape_of(x), output.shape, LINEAR, source.dtype)
        acc_scale = np.array([np.float64(source.scale or 1.0)])
        rounded, zero = tail.rounded or params, None
        if ctx.mode == TFLITE and _is_of_tflite(node, rounded):
            zero = plain_zero(source, output.dtype, rounded)
        mode = mode_beside(ctx.mode) if zero is None else "dyadic"
        if mode == "dyadic":
            acc_scale = acc_scale * 2.0 ** (-2 * WEIGHT_BITS)
        arrays = _lines(node, shape_of(x), output.shape, mode == "dyadic", zero is not None)
        record, constants = epilogue(tail, mode, acc_scale, output, None, ctx.mode)
        arrays |= constants | {"zero_point": np.array([source.zero_point], np.int32)}
        if zero is not None:
            average_plainly(arrays, zero)
        ctx.builder.call(replace(op, requantize=record), [source], arrays, [output], origin)

    return Region(nodes, emit)


def _fits(node: ir.Node, kind: str) -> bool:
    if node.op_type != "Resize" or string_attribute(node, "mode", NEAREST) != kind:
        return False
    source, result = operand(node, 0), node.outputs[0]
    if source is None or len(shape_of(source)) not in (3, 4):
        return False
    mode = string_attribute(node, COORDINATE_MODE, COORDINATES[0])
    return (
        mode in COORDINATES
        and shape_of(source)[:2] == shape_of(result)[:2]
        and not int_attribute(node, "antialias", 0)
        and not int_attribute(node, "exclude_outside", 0)
    )


def _record(shape: tuple[int, ...], out: tuple[int, ...], kind: str, dtype: str) -> Resize:
    return Resize(
        batch=shape[0],
        in_h=shape[2] if len(shape) == 4 else 1,
        in_w=shape[-1],
        channels=shape[1],
        out_h=out[2] if len(out) == 4 else 1,
        out_w=out[-1],
        kind=kind,
        dtype=dtype,
    )


def _is_of_tflite(node: ir.Node, params: QuantParams) -> bool:
    """Whether LiteRT's reference resizes in integers: of uint8 it takes float."""
    mode = string_attribute(node, COORDINATE_MODE, COORDINATES[0])
    return params.dtype == "int8" and mode in TFLITE_MODES


def _lines(
    node: ir.Node,
    shape: tuple[int, ...],
    out: tuple[int, ...],
    in_integers: bool = False,
    of_tflite: bool = False,
) -> dict[str, NDArray[np.generic]]:
    """Indices and weights of rows and columns.

    Args:
        node: Resize.
        shape: Of the input.
        out: Of the output.
        in_integers: Weights sum to 2**WEIGHT_BITS, not to 1.
        of_tflite: Coordinates are those of TensorFlow Lite's reference; weights integers.
    """
    scales = constant(operand(node, SCALES))
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, axis in (("row", 2), ("col", len(shape) - 1)):
        weight: NDArray[np.generic]
        if name == "row" and len(shape) == 3:
            index, weight = np.zeros((1, 2), np.int32), np.array([[1.0, 0.0]], np.float32)
        elif of_tflite:
            mode = string_attribute(node, COORDINATE_MODE, COORDINATES[0])
            index, weight = resize_lines(mode, shape[axis], out[axis], WEIGHT_BITS)
        else:
            ratio = out[axis] / shape[axis]
            if scales is not None and scales.size:
                ratio = float(scales[axis - len(shape)])
            index, weight = _axis(node, shape[axis], out[axis], ratio)
        if in_integers and weight.dtype.kind == "f":
            weight = _fixed(weight)
        arrays[f"{name}_index"], arrays[f"{name}_weight"] = index, weight
    return arrays


def _axis(
    node: ir.Node, size: int, out: int, ratio: float
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(out, 2) neighbours and their weights; nearest has one neighbour of weight 1."""
    at = coordinates(
        string_attribute(node, COORDINATE_MODE, COORDINATES[0]),
        size, out, ratio)  # fmt: skip
    if string_attribute(node, "mode", NEAREST) == NEAREST:
        chosen = _nearest(string_attribute(node, "nearest_mode", "round_prefer_floor"), at)
        index = np.clip(chosen, 0, size - 1).astype(np.int32)
        weight = np.stack([np.ones(out), np.zeros(out)], 1)
        return np.stack([index, index], 1), weight.astype(np.float32)
    inside = np.clip(at, 0, size - 1)
    first = np.floor(inside)
    part = inside - first
    index = np.clip(np.stack([first, first + 1], 1), 0, size - 1).astype(np.int32)
    return index, np.stack([1 - part, part], 1).astype(np.float32)


def coordinates(mode: str, size: int, out: int, ratio: float) -> NDArray[np.float32]:
    """Input coordinate of each output pixel, as ONNX defines the mode, in float32."""
    index = np.arange(out, dtype=np.float32)
    scale = np.float32(ratio)
    half = np.float32(0.5)
    if mode == "align_corners":
        steps = np.float32(max(out - 1, 1))
        return index * np.float32(size - 1) / steps if out > 1 else index * 0
    if mode == "asymmetric":
        return index / scale
    if mode == "pytorch_half_pixel" and out == 1:
        return index * 0
    at = (index + half) / scale - half
    if mode == "half_pixel_symmetric":
        adjustment = np.float32(out) / (scale * np.float32(size))
        at = at + np.float32(size) / 2 * (1 - adjustment)
    return at.astype(np.float32)


def _nearest(mode: str, at: NDArray[np.float32]) -> NDArray[np.float32]:
    half = np.float32(0.5)
    rounding: dict[str, Callable[[], NDArray[np.float32]]] = {
        "floor": lambda: np.floor(at),
        "ceil": lambda: np.ceil(at),
        "round_prefer_ceil": lambda: np.floor(at + half),
        "round_prefer_floor": lambda: np.ceil(at - half),
    }
    return rounding[mode]()


def _fixed(weight: NDArray[np.generic]) -> NDArray[np.int32]:
    """Two weights that sum to one, as integers that sum to 2**WEIGHT_BITS."""
    one = 1 << WEIGHT_BITS
    second = np.rint(weight[:, 1].astype(np.float64) * one).astype(np.int32)
    return np.stack([one - second, second], 1)
