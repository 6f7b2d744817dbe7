"""Which elements a Resize to the nearest neighbour takes."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import constant_array
from octavo.passes.gradients.emitter import shape_of
from octavo.passes.wiring import int_attribute, ints_attribute, string_attribute

Positions = NDArray[np.float64]

_ROUNDINGS: dict[str, Callable[[Positions], Positions]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def nearest_sources(node: ir.Node) -> list[NDArray[np.int64]] | None:
    """For each axis, the element that each output takes; None where it mixes several.

    Source: ONNX operators, Resize: coordinate_transformation_mode and nearest_mode.
    """
    sizes, outputs = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    scales = _scales(node, sizes, outputs)
    mode = string_attribute(node, "coordinate_transformation_mode", "half_pixel")
    nearest = string_attribute(node, "nearest_mode", "round_prefer_floor")
    if string_attribute(node, "mode", "nearest") != "nearest" or scales is None:
        return None
    sources = []
    for size, output, scale in zip(sizes, outputs, scales, strict=True):
        x = np.arange(output, dtype=np.float64)
        if mode == "asymmetric":
            x = x / scale
        elif mode in ("half_pixel", "pytorch_half_pixel"):
            alone = mode == "pytorch_half_pixel" and output == 1
            x = np.zeros(1) if alone else (x + 0.5) / scale - 0.5
        elif mode == "align_corners":
            x = x * (size - 1) / (output - 1) if output > 1 else np.zeros(1)
        else:
            return None
        taken = np.clip(_ROUNDINGS[nearest](x), 0, size - 1)
        sources.append(taken.astype(np.int64))
    return sources


def _scales(
    node: ir.Node, sizes: tuple[int, ...], outputs: tuple[int, ...]
) -> tuple[float, ...] | None:
    unusual = int_attribute(node, "antialias", 0) or ints_attribute(node, "axes")
    given = constant_array(node.inputs[2]) if len(node.inputs) > 2 else None
    if unusual:
        return None
    if given is not None and given.size == len(sizes):
        return tuple(float(scale) for scale in given)
    return tuple(output / size for output, size in zip(outputs, sizes, strict=True))
