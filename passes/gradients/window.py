"""The windows of convolutions and pools: which inputs one output reads."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.gradients.emitter import shape_of
from octavo.passes.wiring import int_attribute, ints_attribute, string_attribute

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """Geometry of a Conv or a pool, one number for each spatial dimension.

    Attributes:
        kernel: Taps.
        strides: Steps between windows.
        dilations: Steps between taps.
        pads: Zeros in front.
        pads_behind: Zeros behind, as the attributes say.
        input_sizes: Extent of what is read.
        output_sizes: Extent of what is computed.
    """

    kernel: Sizes
    strides: Sizes
    dilations: Sizes
    pads: Sizes
    pads_behind: Sizes
    input_sizes: Sizes
    output_sizes: Sizes

    def transposed(self) -> dict[str, Any]:
        """Attributes of the ConvTranspose that spreads outputs over what they read."""
        excess = [
            (out - 1) * stride + (taps - 1) * dilation + 1 - pad - size
            for out, stride, taps, dilation, pad, size in zip(
                self.output_sizes,
                self.strides,
                self.kernel,
                self.dilations,
                self.pads,
                self.input_sizes,
                strict=True,
            )
        ]
        return {
            "kernel_shape": list(self.kernel),
            "strides": list(self.strides),
            "dilations": list(self.dilations),
            # What the last windows leave out behind them is a gap, which gets zeros.
            "pads": [*self.pads, *(max(0, more) for more in excess)],
            "output_padding": [max(0, -more) for more in excess],
        }

    def counts(self, *, include_pads: bool) -> NDArray[np.int64]:
        """Taps of each window that lie in the input, or in the padded input."""
        total = np.ones((), np.int64)
        for axis, size in enumerate(self.input_sizes):
            starts = np.arange(self.output_sizes[axis]) * self.strides[axis] - self.pads[axis]
            taps = starts[:, None] + np.arange(self.kernel[axis]) * self.dilations[axis]
            low = -self.pads[axis] if include_pads else 0
            high = size + (self.pads_behind[axis] if include_pads else 0)
            inside = ((taps >= low) & (taps < high)).sum(axis=1)
            total = np.multiply.outer(total, inside)
        return np.asarray(total)


def window_of(node: ir.Node, kernel: Sizes) -> Window:
    """The window of a Conv or a pool with static shapes."""
    sizes, outputs = shape_of(node.inputs[0])[2:], shape_of(node.outputs[0])[2:]
    rank = len(sizes)
    strides = ints_attribute(node, "strides") or (1,) * rank
    dilations = ints_attribute(node, "dilations") or (1,) * rank
    mode = string_attribute(node, "auto_pad", "NOTSET")
    listed = ints_attribute(node, "pads") if mode == "NOTSET" else None
    both = listed or (0,) * (2 * rank)
    front, behind = both[:rank], both[rank:]
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        totals = [
            max(0, (math.ceil(size / stride) - 1) * stride + span - size)
            for size, stride, span in zip(sizes, strides, spans, strict=True)
        ]
        less = tuple(total // 2 for total in totals)
        more = tuple(total - total // 2 for total in totals)
        front, behind = (less, more) if mode == "SAME_UPPER" else (more, less)
    return Window(kernel, strides, dilations, front, behind, sizes, outputs)


def conv_window(node: ir.Node) -> Window:
    """The window of a Conv."""
    return window_of(node, shape_of(node.inputs[1])[2:])


def pool_window(node: ir.Node) -> Window:
    """The window of a MaxPool or an AveragePool."""
    kernel = ints_attribute(node, "kernel_shape")
    if kernel is None:
        raise ValueError(f"{node.op_type} {node.name!r} has no kernel_shape")
    return window_of(node, kernel)


def num_groups(node: ir.Node) -> int:
    """Groups of a convolution."""
    return int_attribute(node, "group", 1)
