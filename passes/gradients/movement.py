"""Derivatives of operators that move elements: cotangents move back.

Where an element goes to several places, or to none, the operator is run once on the numbers
0, 1, 2, ... instead of data; a scatter by what comes out adds everything up where it belongs.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import constant_array
from octavo.passes.gradients.backward import Rule, no_rule_for, one_output
from octavo.passes.gradients.emitter import Emitter, shape_of
from octavo.passes.wiring import int_attribute, ints_attribute, string_attribute

Places = NDArray[np.int64]


def _reshape(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    if position:
        raise no_rule_for(node, position)
    return e.reshaped(one_output(cotangents), shape_of(node.inputs[0]))


def _transpose(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    rank = len(shape_of(node.inputs[0]))
    order = ints_attribute(node, "perm") or tuple(reversed(range(rank)))
    back = [int(i) for i in np.argsort(order)]
    return e.op("Transpose", one_output(cotangents), perm=back)


def _concat(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    shapes = [shape_of(value) for value in node.inputs]
    axis = int_attribute(node, "axis", 0) % len(shapes[0])
    start = sum(shape[axis] for shape in shapes[:position])
    stop = start + shapes[position][axis]
    bounds = (e.ints([start]), e.ints([stop]), e.ints([axis]))
    return e.op("Slice", one_output(cotangents), *bounds)


def _split(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    if position:
        raise no_rule_for(node, position)
    parts = [
        e.zeros(shape_of(output)) if part is None else part
        for part, output in zip(cotangents, node.outputs, strict=True)
    ]
    return e.op("Concat", *parts, axis=int_attribute(node, "axis", 0))


def _pad(
    e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
) -> ir.Value:
    pads = constant_array(node.inputs[1])
    if position or pads is None or string_attribute(node, "mode", "constant") != "constant":
        raise no_rule_for(node, position)
    dy, shape = one_output(cotangents), shape_of(node.inputs[0])
    listed = constant_array(node.inputs[3]) if len(node.inputs) > 3 else None
    axes = list(range(len(shape))) if listed is None else listed.reshape(-1).tolist()
    front, behind = np.split(pads.reshape(-1), 2)
    # Negative pads cut off: there the gradient is zero.
    starts = np.maximum(front, 0)
    stops = [
        start + shape[axis] + min(0, before) + min(0, after)
        for start, axis, before, after in zip(starts, axes, front, behind, strict=True)
    ]
    kept = e.op("Slice", dy, e.ints(starts), e.ints(stops), e.ints(axes))
    cut = np.maximum(-np.concatenate([front, behind]), 0)
    return e.op("Pad", kept, e.ints(cut), None, e.ints(axes)) if cut.any() else kept


def _scatter_back(places: Callable[[ir.Node, Places], Places | None]) -> Rule:
    def rule(
        e: Emitter, node: ir.Node, cotangents: Sequence[ir.Value | None], position: int
    ) -> ir.Value:
        shape = shape_of(node.inputs[0])
        numbered = np.arange(math.prod(shape)).reshape(shape)
        taken = None if position else places(node, numbered)
        if taken is None:
            raise no_rule_for(node, position)
        flat = e.reshaped(one_output(cotangents), [-1])
        zeros = e.zeros((numbered.size,))
        where = e.ints(taken.reshape(-1))
        back = e.op("ScatterElements", zeros, where, flat, axis=0, reduction="add")
        return e.reshaped(back, shape)

    return rule


def _operands(node: ir.Node) -> list[NDArray[Any] | None]:
    return [constant_array(value) for value in node.inputs[1:]]


def _slice(node: ir.Node, numbered: Places) -> Places | None:
    given = [None if array is None else array.reshape(-1) for array in _operands(node)]
    starts, stops, axes, steps = (*given, None, None)[:4]
    if starts is None or stops is None:
        return None
    chosen: list[slice] = [slice(None)] * numbered.ndim
    for i, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
        axis = i if axes is None else int(axes[i])
        step = 1 if steps is None else int(steps[i])
        size = numbered.shape[axis]
        # Below the first element numpy counts from the end once more; ONNX stops there.
        behind_front = step < 0 and stop < -size
        chosen[axis] = slice(start, None if behind_front else stop, step)
    return numbered[tuple(chosen)]


def _gather(node: ir.Node, numbered: Places) -> Places | None:
    (indices,) = _operands(node)
    if indices is None:
        return None
    return np.take(numbered, indices, axis=int_attribute(node, "axis", 0))


def _expand(node: ir.Node, numbered: Places) -> Places:
    return np.broadcast_to(numbered, shape_of(node.outputs[0]))


def _tile(node: ir.Node, numbered: Places) -> Places | None:
    (repeats,) = _operands(node)
    return None if repeats is None else np.tile(numbered, repeats)


def _depth_to_space(node: ir.Node, numbered: Places) -> Places:
    n, c, h, w = numbered.shape
    b = int_attribute(node, "blocksize", 1)
    if string_attribute(node, "mode", "DCR") == "DCR":
        blocks = numbered.reshape(n, b, b, c // b**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        blocks = numbered.reshape(n, c // b**2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return blocks.reshape(n, c // b**2, h * b, w * b)


def _space_to_depth(node: ir.Node, numbered: Places) -> Places:
    n, c, h, w = numbered.shape
    b = int_attribute(node, "blocksize", 1)
    blocks = numbered.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4)
    return blocks.reshape(n, c * b**2, h // b, w // b)


MOVEMENT_DERIVATIVES: dict[str, Rule] = {
    "Concat": _concat,
    "DepthToSpace": _scatter_back(_depth_to_space),
    "Expand": _scatter_back(_expand),
    "Flatten": _reshape,
    "Gather": _scatter_back(_gather),
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _scatter_back(_slice),
    "SpaceToDepth": _scatter_back(_space_to_depth),
    "Split": _split,
    "Squeeze": _reshape,
    "Tile": _scatter_back(_tile),
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
