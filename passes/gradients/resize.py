"""Derivative of Resize: the transposed weights of its neighbours, axis by axis."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import constant_array
from octavo.passes.gradients.backward import Rule, no_rule_for, one_output
from octavo.passes.gradients.emitter import Emitter, shape_of
from octavo.passes.wiring import int_attribute, ints_attribute, string_attribute

Positions = NDArray[np.float64]

_ROUNDINGS: dict[str, Callable[[Positions], Positions]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _resize(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    sizes, outputs = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    scales = _scales(node, sizes, outputs)
    if position or scales is None:
        raise no_rule_for(node, position)
    gradient, rank = one_output(cotangents), len(sizes)
    for axis, size in enumerate(sizes):
        places = _places(node, size, outputs[axis], scales[axis])
        weights = None if places is None else _weights(node, places, size)
        if weights is None:
            raise no_rule_for(node, position)
        if size == outputs[axis] and np.array_equal(weights, np.eye(size)):
            continue
        order = [*(other for other in range(rank) if other != axis), axis]
        back = [int(i) for i in np.argsort(order)]
        last = e.op("MatMul", e.op("Transpose", gradient, perm=order), e.array(weights))
        gradient = e.op("Transpose", last, perm=back)
    return gradient


def _places(node: ir.Node, size: int, output: int, scale: float) -> Positions | None:
    """Where on the axis of the input each output lies.

    Source: ONNX operators, Resize: coordinate_transformation_mode.
    """
    x = np.arange(output, dtype=np.float64)
    mode = string_attribute(node, "coordinate_transformation_mode", "half_pixel")
    if mode == "asymmetric":
        return x / scale
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and output > 1):
        return (x + 0.5) / scale - 0.5
    if mode in ("align_corners", "pytorch_half_pixel"):
        return x * (size - 1) / max(1, output - 1)
    return None


def _weights(node: ir.Node, places: Positions, size: int) -> NDArray[np.float64] | None:
    """What each output takes of each input, (outputs, inputs)."""
    mode = string_attribute(node, "mode", "nearest")
    if mode == "nearest":
        rounding = string_attribute(node, "nearest_mode", "round_prefer_floor")
        taken = np.clip(_ROUNDINGS[rounding](places), 0, size - 1)
        return np.eye(size)[taken.astype(np.int64)]
    if mode == "linear":
        inside = np.clip(places, 0, size - 1)
        return np.maximum(0.0, 1.0 - np.abs(inside[:, None] - np.arange(size)))
    return None


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


RESIZE_DERIVATIVES: dict[str, Rule] = {"Resize": _resize}
