"""Operators that move, cut and join tensors of a random model."""

from math import prod

import numpy as np
from hypothesis import strategies as st


def concat(b):
    x = b.value(2, 3, 4)
    if x is None:
        return
    shape = b.values[x]
    axis = b.int(0, len(shape) - 1)
    rest = shape[:axis] + shape[axis + 1 :]
    fitting = [
        n for n, s in b.values.items()
        if len(s) == len(shape) and s[:axis] + s[axis + 1 :] == rest
    ]  # fmt: skip
    names = [x, *(b.pick(fitting) for _ in range(b.int(0, 2)))]
    total = sum(b.values[n][axis] for n in names)
    if b.int(0, 3) == 0:
        names.append(b.weight(*(n if a != axis else 2 for a, n in enumerate(shape))))
        total += 2
    b.add("Concat", names, (*shape[:axis], total, *shape[axis + 1 :]), axis=axis)


def reshape(b):
    x = b.value()
    size = prod(b.values[x])
    out = []
    for _ in range(b.int(1, 3)):
        factor = b.pick([n for n in range(1, size + 1) if size % n == 0][:12])
        out.append(factor)
        size //= factor
    out.append(size)
    b.add("Reshape", [x, b.constant(np.int64(out))], tuple(out))


def transpose(b):
    x = b.value(2, 3, 4)
    if x is not None:
        perm = b.draw(st.permutations(range(len(b.values[x]))))
        b.add("Transpose", [x], tuple(b.values[x][p] for p in perm), perm=perm)


def unsqueeze(b):
    x = b.value(1, 2, 3)
    if x is not None:
        shape = b.values[x]
        axis = b.int(0, len(shape))
        axes = b.constant(np.int64([axis]))
        b.add("Unsqueeze", [x, axes], (*shape[:axis], 1, *shape[axis:]))


def slices(b):
    x = b.value()
    shape = b.values[x]
    if not shape:
        return
    axis = b.int(0, len(shape) - 1)
    step = b.pick([1, 1, 2, -1, -3])
    size = shape[axis]
    start, end = b.int(-size - 1, size), b.int(-size - 2, size + 1)
    count = len(range(size)[start:end:step])
    if count:
        operands = [b.constant(np.int64([v])) for v in (start, end, axis, step)]
        b.add("Slice", [x, *operands], (*shape[:axis], count, *shape[axis + 1 :]))


def split(b):
    x = b.value(at_least=2)
    if x is None or not b.values[x]:
        return
    shape = b.values[x]
    axis = b.int(0, len(shape) - 1)
    if shape[axis] >= 2:
        first = b.int(1, shape[axis] - 1)
        parts = [first, shape[axis] - first]
        shapes = [(*shape[:axis], n, *shape[axis + 1 :]) for n in parts]
        b.add("Split", [x, b.constant(np.int64(parts))], *shapes, axis=axis)


def pad(b):
    x = b.value(2, 3, 4)
    if x is None:
        return
    shape = b.values[x]
    pads = [b.int(-1, 2) if b.int(0, 1) else 0 for _ in range(2 * len(shape))]
    out = tuple(n + pads[i] + pads[i + len(shape)] for i, n in enumerate(shape))
    mode = b.pick(["constant", "constant", "edge"])
    if min(out) < 1 or (mode != "constant" and min(pads) < 0):
        return
    inputs = [x, b.constant(np.int64(pads))]
    if b.int(0, 1) and mode == "constant":
        inputs.append(b.constant(np.float32(b.pick([0.0, 1.5, -9.0])), share=False))
    b.add("Pad", inputs, out, mode=mode)


def gather(b):
    x = b.value(1, 2, 3, 4)
    if x is None:
        return
    shape = b.values[x]
    axis = b.int(0, len(shape) - 1)
    count = b.int(1, 4)
    at = [b.int(-shape[axis], shape[axis] - 1) for _ in range(count)]
    indices = b.constant(np.int64(at), share=False)
    b.add("Gather", [x, indices], (*shape[:axis], count, *shape[axis + 1 :]), axis=axis)
