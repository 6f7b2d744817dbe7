"""The parts that transformer encoders share, as PyTorch exports them."""

import math

import numpy as np

from benchmarks.zoo.builder import GraphBuilder


def dense(g: GraphBuilder, x: str, width: int, *, gain: float = 1.0, label: str) -> str:
    """Append MatMul and Add on the last axis, weights from N(0, gain^2 / fan_in)."""
    features = g.shape(x)[-1]
    weight = g.constant(
        g.normal((features, width), gain / math.sqrt(features)), f"{label}.weight"
    )
    bias = g.constant(g.normal((width,), 0.1), f"{label}.bias")
    return g.node("Add", bias, g.node("MatMul", x, weight, label=label))


def layer_norm(g: GraphBuilder, x: str, epsilon: float, *, label: str) -> str:
    """Append a LayerNormalization over the last axis with spread-out scales."""
    width = g.shape(x)[-1]
    scale = g.rng.uniform(0.5, 1.5, width).astype(np.float32)
    names = [
        g.constant(scale, f"{label}.weight"),
        g.constant(g.normal((width,), 0.2), f"{label}.bias"),
    ]
    return g.node("LayerNormalization", x, *names, axis=-1, epsilon=epsilon, label=label)


def gelu(g: GraphBuilder, x: str) -> str:
    """Append GELU as opset 17 spells it: x * (1 + erf(x / sqrt(2))) / 2."""
    root2, one, half = (
        g.constant(np.array(value, np.float32), name)
        for value, name in ((math.sqrt(2), "sqrt2"), (1.0, "one"), (0.5, "half"))
    )
    bell = g.node("Add", g.node("Erf", g.node("Div", x, root2)), one)
    return g.node("Mul", g.node("Mul", x, bell), half)


def add_mlp(g: GraphBuilder, x: str, hidden: int) -> str:
    """Append dense, GELU, dense back to the input width."""
    width = g.shape(x)[-1]
    with g.scope("mlp"):
        y = gelu(g, dense(g, x, hidden, label="fc1"))
        return dense(g, y, width, label="fc2")
