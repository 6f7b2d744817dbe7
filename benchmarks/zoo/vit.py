"""ViT-Tiny, patches of 16x16, exported as PyTorch does (GELU from Erf, one fused QKV).

Source: Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words", in the Tiny size of Touvron
et al. 2020, "DeiT", table 1 (width 192, 3 heads, 12 layers).
"""

import math

import numpy as np
import onnx

from benchmarks.zoo.builder import GraphBuilder
from benchmarks.zoo.transformer import add_mlp, dense, layer_norm

WIDTH, NUM_HEADS, NUM_LAYERS, PATCH = 192, 3, 12, 16
HEAD_WIDTH = WIDTH // NUM_HEADS
EPSILON = 1e-6


def build(*, input_size: int = 224, num_classes: int = 1000, seed: int = 0) -> onnx.ModelProto:
    """Build the float network; input (1, 3, input_size, input_size), logits out.

    Args:
        input_size: Height and width, a multiple of 16.
        num_classes: Number of logits.
        seed: Seed of the weights.
    """
    g = GraphBuilder("vit_tiny", seed)
    x = g.input("image", (1, 3, input_size, input_size))
    with g.scope("embed"):
        x = _embed(g, x)
    for layer in range(NUM_LAYERS):
        with g.scope(f"blocks.{layer}"):
            x = g.node("Add", x, _attention(g, layer_norm(g, x, EPSILON, label="norm1")))
            normed = layer_norm(g, x, EPSILON, label="norm2")
            x = g.node("Add", x, add_mlp(g, normed, 4 * WIDTH))
    x = layer_norm(g, x, EPSILON, label="norm")
    first = g.constant(np.array(0, np.int64), "class_index")
    return g.finish(logits=g.linear(g.node("Gather", x, first, axis=1), num_classes))


def _embed(g: GraphBuilder, x: str) -> str:
    x = g.conv(x, WIDTH, PATCH, stride=PATCH, pads=(0,) * 4, bias=True, label="patches")
    num_patches = g.shape(x)[2] * g.shape(x)[3]
    x = g.node("Transpose", g.reshape(x, (1, WIDTH, num_patches)), perm=[0, 2, 1])
    token = g.constant(g.normal((1, 1, WIDTH), 0.5), "class_token")
    x = g.node("Concat", token, x, axis=1)
    position = g.constant(g.normal((1, num_patches + 1, WIDTH), 0.5), "position")
    return g.node("Add", x, position)


def _attention(g: GraphBuilder, x: str) -> str:
    num_tokens = g.shape(x)[1]
    # A gain above 1 spreads the attention logits to a standard deviation of about 2, so that
    # heads attend to some tokens more than to others as trained ones do.
    qkv = dense(g, x, 3 * WIDTH, gain=1.4, label="qkv")
    qkv = g.reshape(qkv, (1, num_tokens, 3, NUM_HEADS, HEAD_WIDTH))
    qkv = g.node("Transpose", qkv, perm=[2, 0, 3, 1, 4])
    parts = [g.constant(np.array(i, np.int64), "index") for i in range(3)]
    query, key, value = (g.node("Gather", qkv, part, axis=0) for part in parts)
    scale = g.constant(np.array(1 / math.sqrt(HEAD_WIDTH), np.float32), "scale")
    scores = g.node(
        "MatMul", g.node("Mul", query, scale), g.node("Transpose", key, perm=[0, 1, 3, 2])
    )
    mixed = g.node("MatMul", g.node("Softmax", scores, axis=-1), value)
    mixed = g.node("Transpose", mixed, perm=[0, 2, 1, 3])
    return dense(g, g.reshape(mixed, (1, num_tokens, WIDTH)), WIDTH, label="proj")
