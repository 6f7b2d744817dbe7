"""The quantizer in front of a layer: ``x -> [Clip] -> QuantizeLinear -> DequantizeLinear``."""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import constant_array
from octavo.passes.quant_math import integer_range
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
