"""Elementwise operators and normalizations that join a random model."""

from math import prod

import numpy as np

ACTIVATIONS = {
    "Relu": {}, "Sigmoid": {}, "Tanh": {}, "HardSwish": {}, "LeakyRelu": {"alpha": 0.2},
    "Elu": {}, "Gelu": {}, "Softplus": {}, "Abs": {}, "Neg": {}, "Erf": {}, "Identity": {},
    "HardSigmoid": {}, "Mish": {}, "Floor": {}, "Sin": {}, "Selu": {},
}  # fmt: skip


def binary(b):
    x = b.value()
    shape = b.values[x]
    same = [n for n, s in b.values.items() if s == shape]
    wide = [n for n, s in b.values.items() if _broadcasts(s, shape)]
    kind = b.int(0, 3)
    if kind == 0:
        other = b.weight(*[n if b.int(0, 1) else 1 for n in shape])
    elif kind == 1:
        other = b.constant(np.float32(b.pick([0.5, 3.0, -1.0, 0.0, 6.0])), share=False)
    else:
        other = b.pick(same if kind == 2 else wide)
    inputs = [x, other] if b.int(0, 1) else [other, x]
    b.add(b.pick(["Add", "Sub", "Mul", "Add", "Max", "Min"]), inputs, shape)


def _broadcasts(small, large):
    if len(small) > len(large):
        return False
    tail = large[len(large) - len(small) :]
    return all(n in (1, m) for n, m in zip(small, tail, strict=True))


def activation(b):
    x, op_type = b.value(), b.pick(ACTIVATIONS)
    b.add(op_type, [x], b.values[x], **ACTIVATIONS[op_type])


def clip(b):
    x = b.value()
    low, high = sorted(b.pick([-3.0, -0.5, 0.0, 0.7, 6.0]) for _ in range(2))
    limits = [b.constant(np.float32(v), share=False) for v in (low, high)]
    keep = b.int(1, 3)
    b.add(
        "Clip", [x, *(c if keep >> i & 1 else "" for i, c in enumerate(limits))], b.values[x]
    )


def choose(b):
    x = b.value()
    shape = b.values[x]
    zero = b.constant(np.float32(0), share=False)
    mask = b.add("Greater", [x, zero], shape)
    del b.values[mask]
    b.add("Where", [mask, x, b.pick([n for n, s in b.values.items() if s == shape])], shape)


def normalize(b):
    x = b.value(2, 3, 4)
    if x is None:
        return
    shape = b.values[x]
    axis = b.int(0, len(shape) - 1)
    if b.int(0, 1):
        b.add("Softmax", [x], shape, axis=axis - len(shape) * b.int(0, 1))
    elif prod(shape[axis:]) > 1:
        inputs = [x, b.weight(*shape[axis:])]
        if b.int(0, 1):
            inputs.append(b.weight(*shape[axis:]))
        b.add("LayerNormalization", inputs, shape, axis=axis)


def batch_norm(b):
    x = b.value(2, 3, 4)
    if x is not None:
        shape = b.values[x]
        rest = [b.weight(shape[1]) for _ in range(3)]
        variance = b.constant(b.rng.uniform(0.5, 2, shape[1]).astype(np.float32), share=False)
        b.add("BatchNormalization", [x, *rest, variance], shape)
