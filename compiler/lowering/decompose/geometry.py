"""Padding, cropping, resizing and unfolding in the forms that TVM's converters take."""

import numpy as np
import onnx
from onnx import TensorProto

from octavo.compiler.lowering.decompose.fragment import (
    Fragment,
    attributes_of,
    operand,
    result_name,
)


def pad(node: onnx.NodeProto, f: Fragment) -> bool:
    """Pad with axes, or with a value that is computed -> all axes, and a constant value."""
    x, value, axes_name = operand(node, 0), operand(node, 2), operand(node, 3)
    pads = f.value(operand(node, 1))
    is_dynamic = bool(value) and f.value(value) is None
    if pads is None or not (axes_name or is_dynamic):
        return False
    rank = len(f.shape(x))
    axes = f.value(axes_name) if axes_name else np.arange(rank)
    if axes is None:
        return False
    half = len(pads) // 2
    full = np.zeros(2 * rank, np.int64)
    for index, axis in enumerate(int(a) % rank for a in axes):
        full[axis], full[rank + axis] = pads[index], pads[half + index]
    amounts = f.constant(full, TensorProto.INT64)
    attributes = attributes_of(node)
    if not is_dynamic:
        y = f.op("Pad", x, amounts, *([value] if value else []), **attributes)
    else:
        inside = np.ones(f.shape(x), bool)
        low, high = full[:rank], full[rank:]
        for axis in range(rank):  # negative amounts crop
            keep = slice(max(0, -low[axis]), inside.shape[axis] - max(0, -high[axis]))
            inside = inside[(slice(None),) * axis + (keep,)]
        widths = [(max(0, int(a)), max(0, int(b))) for a, b in zip(low, high, strict=True)]
        y = f.op("Where", f.constant(np.pad(inside, widths)), f.op("Pad", x, amounts), value)
    f.result(y, result_name(node, 0))
    return True


def center_crop_pad(node: onnx.NodeProto, f: Fragment) -> bool:
    """CenterCropPad -> Pad, with negative amounts where it crops."""
    x = operand(node, 0)
    wanted = f.value(operand(node, 1))
    if wanted is None:
        return False
    shape = f.shape(x)
    rank = len(shape)
    axes = [int(a) % rank for a in attributes_of(node).get("axes", range(rank))]
    amounts = np.zeros(2 * rank, np.int64)
    for axis, size in zip(axes, wanted, strict=True):
        extra = int(size) - shape[axis]
        first = extra // 2 if extra >= 0 else -(-extra // 2)
        amounts[axis], amounts[rank + axis] = first, extra - first
    y = f.op("Pad", x, f.constant(amounts, TensorProto.INT64))
    f.result(y, result_name(node, 0))
    return True


def resize(node: onnx.NodeProto, f: Fragment) -> bool:
    """Resize of chosen axes, or keeping proportions -> Resize of all axes to exact sizes."""
    attributes = attributes_of(node)
    policy = attributes.get("keep_aspect_ratio_policy", "stretch")
    if "axes" not in attributes and policy == "stretch":
        return False
    x = operand(node, 0)
    shape = f.shape(x)
    rank = len(shape)
    axes = [int(a) % rank for a in attributes.get("axes", range(rank))]
    scales, sizes, roi = (
        f.value(name) if (name := operand(node, i)) else None for i in (2, 3, 1)
    )
    inputs = [x, "", "", ""]
    if sizes is not None and sizes.size:
        wanted = [int(size) for size in sizes]
        if policy != "stretch":
            pick = min if policy == "not_larger" else max
            ratio = pick(size / shape[a] for size, a in zip(wanted, axes, strict=True))
            wanted = [int(np.floor(ratio * shape[a] + 0.5)) for a in axes]
        full_sizes = list(shape)
        for axis, size in zip(axes, wanted, strict=True):
            full_sizes[axis] = size
        inputs[3] = f.constant(full_sizes, TensorProto.INT64)
    elif scales is not None:
        full_scales = np.ones(rank, np.float32)
        full_scales[axes] = scales
        inputs[2] = f.constant(full_scales)
    else:
        return False
    if roi is not None and roi.size:
        full_roi = np.concatenate([np.zeros(rank), np.ones(rank)]).astype(np.float32)
        for index, axis in enumerate(axes):
            full_roi[axis], full_roi[rank + axis] = roi[index], roi[len(axes) + index]
        inputs[1] = f.constant(full_roi)
    while not inputs[-1]:
        inputs.pop()
    for name in ("axes", "keep_aspect_ratio_policy"):
        attributes.pop(name, None)
    f.result(f.op("Resize", *inputs, **attributes), result_name(node, 0))
    return True


def col2im(node: onnx.NodeProto, f: Fragment) -> bool:
    """Col2Im -> a transposed convolution that adds every column entry at its place."""
    attributes = attributes_of(node)
    image, block = f.value(operand(node, 1)), f.value(operand(node, 2))
    if image is None or block is None:
        return False
    n, rows, _ = f.shape(operand(node, 0))
    dims = len(image)
    taps = int(np.prod(block))
    channels = rows // taps
    dilations = list(attributes.get("dilations", [1] * dims))
    strides = list(attributes.get("strides", [1] * dims))
    pads = list(attributes.get("pads", [0] * 2 * dims))
    spans = [(int(b) - 1) * d + 1 for b, d in zip(block, dilations, strict=True)]
    grid = [
        (int(image[a]) + pads[a] + pads[dims + a] - spans[a]) // strides[a] + 1
        for a in range(dims)
    ]
    columns = f.op(
        "Reshape", operand(node, 0), f.constant([n * channels, taps, *grid], TensorProto.INT64)
    )
    # Tap k of the kernel is the image of input channel k.
    kernel = np.eye(taps).reshape(taps, 1, *(int(b) for b in block))
    leftover = [
        int(image[a]) + pads[a] + pads[dims + a] - (grid[a] - 1) * strides[a] - spans[a]
        for a in range(dims)
    ]
    y = f.op(
        "ConvTranspose",
        columns,
        f.constant(kernel, f.dtype(operand(node, 0))),
        dilations=dilations,
        strides=strides,
        pads=[0] * 2 * dims,
        output_padding=leftover,
    )
    if any(pads):
        crop = [-p for p in pads]
        amounts = [0, 0, *crop[:dims], 0, 0, *crop[dims:]]
        y = f.op("Pad", y, f.constant(amounts, TensorProto.INT64))
    shape = f.constant([n, channels, *(int(v) for v in image)], TensorProto.INT64)
    f.result(f.op("Reshape", y, shape), result_name(node, 0))
    return True
