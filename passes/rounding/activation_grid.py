"""The quantizer in front of a layer: ``x -> [Clip] -> QuantizeLinear -> DequantizeLinear``."""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import constant_array
from octavo.passes.quant_math import integer_range
from octavo.passes.quantizable_operators import UNIT_RANGE_OP_TYPES
from octavo.passes.rounding.stored_layer import store_constant
from octavo.passes.wiring import is_op, produced_by


@dataclass(frozen=True, eq=False)
class ActivationGrid:
    """How an activation is rounded, one pair for the tensor.

    Attributes:
        source: What is rounded.
        scale: One step.
        zero_point: Integer that stands for 0.
        qmin: Smallest integer in use.
        qmax: Largest integer in use.
        nodes: Clip, when there is one, then QuantizeLinear and DequantizeLinear.
    """

    source: ir.Value
    scale: float
    zero_point: int
    qmin: int
    qmax: int
    nodes: tuple[ir.Node, ...]

    def rounded(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Quantize and dequantize."""
        steps = np.rint(x / np.float32(self.scale)) + np.float32(self.zero_point)
        clipped = steps.clip(self.qmin, self.qmax) - np.float32(self.zero_point)
        return np.asarray(clipped * np.float32(self.scale), np.float32)

    def is_own_of(self, reader: ir.Node) -> bool:
        """Whether nothing but this reader depends on the grid."""
        forth, back = self.nodes[-2:]
        if {use.node for use in back.outputs[0].uses()} != {reader}:
            return False
        if back.outputs[0].is_graph_output() or len(forth.outputs[0].uses()) != 1:
            return False
        # What kernels of these compute fits no other scale.
        if produced_by(self.source, *UNIT_RANGE_OP_TYPES) is not None:
            return False
        pair = {forth, back}
        return all(
            value is not None and {use.node for use in value.uses()} == pair
            for value in forth.inputs[1:3]
        ) and list(forth.inputs[1:3]) == list(back.inputs[1:3])

    @property
    def ends_at_zero(self) -> bool:
        """Whether one end of the range is 0, where saturation may stand for a Relu."""
        return self.zero_point in (self.qmin, self.qmax)

    def write(self, scale: float, zero_point: int) -> None:
        """Store other parameters; only when ``is_own_of`` the layer that they are for."""
        forth = self.nodes[-2]
        step = np.asarray(scale, np.float32)
        store_constant(forth.inputs[1], step)
        old = constant_array(forth.inputs[2])
        assert old is not None
        store_constant(forth.inputs[2], np.asarray(zero_point, old.dtype))
        if len(self.nodes) == 3:
            for value, end in zip(
                self.nodes[0].inputs[1:], (self.qmin, self.qmax), strict=True
            ):
                store_constant(value, np.asarray((end - zero_point) * step, np.float32))


def activation_grid(value: ir.Value | None) -> ActivationGrid | None:
    """How a tensor was rounded that a layer reads; None when it was not."""
    back = produced_by(value, "DequantizeLinear")
    forth = produced_by(back.inputs[0], "QuantizeLinear") if back is not None else None
    if back is None or forth is None or forth.inputs[0] is None:
        return None
    scale, zero_point = constant_array(forth.inputs[1]), constant_array(forth.inputs[2])
    if scale is None or zero_point is None or scale.size != 1:
        return None
    bounds = integer_range(zero_point.dtype.name)
    step, zero = float(scale.reshape(())), int(zero_point.reshape(()))
    source = forth.inputs[0]
    nodes: tuple[ir.Node, ...] = (forth, back)
    clip = produced_by(source, "Clip")
    # Fewer bits than the type has: the quantizer's own Clip ends at whole steps.
    if clip is not None and len(clip.inputs) == 3 and _is_saturation(clip, forth):
        limits = [constant_array(v) for v in clip.inputs[1:]]
        if clip.inputs[0] is not None and all(v is not None and v.size == 1 for v in limits):
            low, high = (float(np.asarray(v).reshape(())) for v in limits)
            bounds = (round(low / step) + zero, round(high / step) + zero)
            source, nodes = clip.inputs[0], (clip, forth, back)
    return ActivationGrid(source, step, zero, *bounds, nodes)


def _is_saturation(clip: ir.Node, forth: ir.Node) -> bool:
    uses = clip.outputs[0].uses()
    return is_op(clip, "Clip") and len(uses) == 1 and next(iter(uses)).node is forth
