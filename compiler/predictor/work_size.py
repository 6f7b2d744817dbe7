"""The few numbers that all kinds of operations share.

Every multiply-accumulate kernel is seen as ``repeats`` products of (rows, depth) by (depth,
columns); everything else as ``rows`` times ``columns`` results of ``depth`` terms each.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Work:
    """Size of an operation.

    Attributes:
        rows: Results along the dimension that tiles run over: output pixels, tokens.
        columns: Results that lie side by side: output channels of a group, elements.
        depth: Terms of one result; 1 without a reduction.
        repeats: Independent products: groups, heads, time steps.
        macs: Multiply-accumulates.
        read_bytes: Activations that are read, each once.
        weight_bytes: Constants, as the model has them.
        written_bytes: Activations that are written.
        span_bytes: From the first to the last byte of what is read and written: more than
            their sum where tensors are slices of wider ones.
        run: Input elements in a row in memory.
        window: Taps of a window: kernel height times width.
        window_h: Kernel height.
        stride: Of a window along rows of the image, or of the innermost elements.
        line: Results of one line of an image; ``rows`` without one.
        extra_terms: Residuals, tables and limits that the end of the kernel handles.
        in_bits: Of an element that is read.
        out_bits: Of an element that is written.
        is_padded: Some of a window's elements are made up.
        is_dilated: A window has holes.
        is_depthwise: Every channel has a window of its own.
    """

    rows: int
    columns: int
    depth: int = 1
    repeats: int = 1
    macs: int = 0
    read_bytes: int = 0
    weight_bytes: int = 0
    written_bytes: int = 0
    span_bytes: int = 0
    run: int = 0
    window: int = 1
    window_h: int = 1
    stride: int = 1
    line: int = 0
    extra_terms: int = 0
    in_bits: int = 8
    out_bits: int = 8
    is_padded: bool = False
    is_dilated: bool = False
    is_depthwise: bool = False


def item_bytes(dtype: str) -> int:
    """Bytes of an element."""
    return np.dtype(dtype).itemsize
