"""Pools, reductions and resizes that join a random model."""

from math import prod

import numpy as np
from hypothesis import strategies as st
from tests.compiler.random_models.builder import MAX_ELEMENTS


def pool(b):
    x = b.value(3, 4)
    if x is None:
        return
    shape = b.values[x]
    kernel = [b.int(1, 3) for _ in shape[2:]]
    stride = [b.int(1, 3) for _ in shape[2:]]
    pads = [b.int(0, kernel[i % len(kernel)] - 1) for i in range(2 * len(kernel))]
    out = [
        (n + pads[i] + pads[i + len(kernel)] - kernel[i]) // stride[i] + 1
        for i, n in enumerate(shape[2:])
    ]
    if min(out) < 1:
        return
    kind = b.pick(["MaxPool", "AveragePool"])
    more = {"count_include_pad": b.int(0, 1)} if kind == "AveragePool" else {}
    b.add(
        kind, [x], (*shape[:2], *out), kernel_shape=kernel, strides=stride, pads=pads, **more
    )


def global_pool(b):
    x = b.value(3, 4)
    if x is not None:
        shape = b.values[x]
        out = (*shape[:2], *(1 for _ in shape[2:]))
        b.add(b.pick(["GlobalAveragePool", "GlobalMaxPool"]), [x], out)


def reduce(b):
    x = b.value(2, 3, 4)
    if x is None:
        return
    shape = b.values[x]
    axes = sorted(b.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    keep = b.int(0, 1)
    out = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
    kind = b.pick(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"])
    signed = [a - len(shape) * b.int(0, 1) for a in axes]
    b.add(kind, [x, b.constant(np.int64(signed))], tuple(out), keepdims=keep)


def resize(b):
    x = b.value(4)
    if x is None:
        return
    shape = b.values[x]
    sizes = (*shape[:2], b.int(1, 9), b.int(1, 9))
    if prod(sizes) <= MAX_ELEMENTS:
        inputs = [x, "", "", b.constant(np.int64(sizes))]
        b.add("Resize", inputs, sizes, mode=b.pick(["nearest", "linear"]),
              coordinate_transformation_mode=b.pick(["half_pixel", "asymmetric"]))  # fmt: skip
