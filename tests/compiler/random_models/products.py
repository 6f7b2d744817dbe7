"""Convolutions and matrix products that join a random model."""

from math import prod

from tests.compiler.random_models.builder import MAX_ELEMENTS


def conv(b):
    x = b.value(3, 4)
    if x is None:
        return
    shape = b.values[x]
    groups = b.pick([g for g in range(1, shape[1] + 1) if shape[1] % g == 0])
    channels = groups * b.int(1, 5)
    kernel = [b.int(1, 3) for _ in shape[2:]]
    stride = [b.int(1, 2) for _ in shape[2:]]
    dilation = [b.int(1, 2) for _ in shape[2:]]
    pads = [b.int(0, 2) for _ in range(2 * len(kernel))]
    out = [
        (n + pads[i] + pads[i + len(kernel)] - dilation[i] * (kernel[i] - 1) - 1) // stride[i]
        + 1
        for i, n in enumerate(shape[2:])
    ]
    if min(out) < 1:
        return
    inputs = [x, b.weight(channels, shape[1] // groups, *kernel)]
    if b.int(0, 1):
        inputs.append(b.weight(channels))
    b.add("Conv", inputs, (shape[0], channels, *out), group=groups, strides=stride,
          dilations=dilation, pads=pads)  # fmt: skip


def conv_transpose(b):
    x = b.value(3, 4)
    if x is None:
        return
    shape = b.values[x]
    kernel = [b.int(1, 3) for _ in shape[2:]]
    stride = [b.int(1, 3) for _ in shape[2:]]
    channels = b.int(1, 5)
    out = [(n - 1) * stride[i] + kernel[i] for i, n in enumerate(shape[2:])]
    if shape[0] * channels * prod(out) > MAX_ELEMENTS:
        return
    inputs = [x, b.weight(shape[1], channels, *kernel)]
    b.add("ConvTranspose", inputs, (shape[0], channels, *out), strides=stride)


def gemm(b):
    x = b.value(2)
    if x is None:
        return
    rows, depth = b.values[x]
    columns, transposed = b.int(1, 9), b.int(0, 1)
    inputs = [x, b.weight(columns, depth) if transposed else b.weight(depth, columns)]
    if b.int(0, 2):
        inputs.append(b.weight(*b.pick([(columns,), (1, columns), (rows, columns), (1,)])))
    attributes = {"alpha": 0.5, "beta": 2.0} if b.int(0, 3) == 0 else {}
    b.add("Gemm", inputs, (rows, columns), transB=transposed, **attributes)


def matmul(b):
    x = b.value(2, 3, 4)
    if x is None:
        return
    shape = b.values[x]
    if b.int(0, 2):
        columns = b.int(1, 9)
        b.add("MatMul", [x, b.weight(shape[-1], columns)], (*shape[:-1], columns))
    else:
        perm = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        flipped = (*shape[:-2], shape[-1], shape[-2])
        other = b.add("Transpose", [x], flipped, perm=perm)
        b.add("MatMul", [x, other], (*shape[:-1], shape[-2]))
