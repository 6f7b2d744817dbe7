"""The MiniLM-L6 encoder as PyTorch exports a BERT: standard operators, GELU from Erf.

Source: Wang et al. 2020, "MiniLM"; sizes from the config.json published with the weights.
"""

import math
from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.zoo.builder import GraphBuilder
from benchmarks.zoo.transformer import gelu

NUM_LAYERS, WIDTH, NUM_HEADS = 6, 384, 12
HEAD_WIDTH = WIDTH // NUM_HEADS
EPSILON = 1e-12
# Added to the attention scores of padding. The library version that the weights were published
# with uses this value; newer ones use the lowest float32.
MASKED_SCORE = -10000.0

Weights = Mapping[str, NDArray[np.float32]]


def build(weights: Weights, sequence_length: int = 32) -> onnx.ModelProto:
    """Build the encoder for one sentence of a fixed length.

    Inputs ``input_ids``, ``attention_mask`` and ``token_type_ids``, int64, shape
    (1, sequence_length); output ``hidden``, float32, shape (1, sequence_length, 384).

    Args:
        weights: As returned by `load_weights`.
        sequence_length: Tokens with padding, 2 to 512.
    """
    g = GraphBuilder("minilm_l6")
    names = ("input_ids", "attention_mask", "token_type_ids")
    shape, int64 = (1, sequence_length), onnx.TensorProto.INT64
    ids, mask, token_types = (g.input(name, shape, int64) for name in names)
    with g.scope("mask"):
        bias = _mask_bias(g, mask)
    with g.scope("embeddings"):
        x = _embed(g, weights, ids, token_types)
    for layer in range(NUM_LAYERS):
        prefix = f"encoder.layer.{layer}"
        with g.scope(f"layer.{layer}"):
            y = _attention(g, weights, f"{prefix}.attention", x, bias)
            x = _add_norm(g, weights, f"{prefix}.attention.output.LayerNorm", y, x)
            y = gelu(g, _dense(g, weights, f"{prefix}.intermediate.dense", x))
            y = _dense(g, weights, f"{prefix}.output.dense", y)
            x = _add_norm(g, weights, f"{prefix}.output.LayerNorm", y, x)
    return g.finish(hidden=x)


def _mask_bias(g: GraphBuilder, mask: str) -> str:
    """Return 0 for tokens and a large negative score for padding, (1, 1, 1, length)."""
    axes = g.constant(np.array([1, 2], np.int64), "axes")
    as_float = g.node("Cast", g.node("Unsqueeze", mask, axes), to=int(onnx.TensorProto.FLOAT))
    one = g.constant(np.array(1, np.float32), "one")
    masked = g.constant(np.array(MASKED_SCORE, np.float32), "masked_score")
    return g.node("Mul", g.node("Sub", one, as_float), masked)


def _embed(g: GraphBuilder, weights: Weights, ids: str, token_types: str) -> str:
    length = g.shape(ids)[1]

    def table(name: str) -> NDArray[np.float32]:
        return weights[f"embeddings.{name}_embeddings.weight"]

    words = g.node("Gather", g.constant(table("word"), "word"), ids)
    types = g.node("Gather", g.constant(table("token_type"), "token_type"), token_types)
    positions = g.constant(table("position")[None, :length], "position")
    x = g.node("Add", g.node("Add", words, types), positions)
    return _layer_norm(g, weights, "embeddings.LayerNorm", x)


def _attention(g: GraphBuilder, weights: Weights, prefix: str, x: str, bias: str) -> str:
    length = g.shape(x)[1]

    def heads(name: str, perm: list[int]) -> str:
        y = _dense(g, weights, f"{prefix}.self.{name}", x)
        y = g.reshape(y, (1, length, NUM_HEADS, HEAD_WIDTH))
        return g.node("Transpose", y, perm=perm)

    query, value = heads("query", [0, 2, 1, 3]), heads("value", [0, 2, 1, 3])
    scores = g.node("MatMul", query, heads("key", [0, 2, 3, 1]))
    root = g.constant(np.array(math.sqrt(HEAD_WIDTH), np.float32), "sqrt_head_width")
    scores = g.node("Add", g.node("Div", scores, root), bias)
    mixed = g.node("MatMul", g.node("Softmax", scores, axis=-1), value)
    mixed = g.reshape(g.node("Transpose", mixed, perm=[0, 2, 1, 3]), (1, length, WIDTH))
    return _dense(g, weights, f"{prefix}.output.dense", mixed)


def _dense(g: GraphBuilder, weights: Weights, name: str, x: str) -> str:
    label = name.split(".", 3)[3]  # without encoder.layer.N
    weight = g.constant(weights[f"{name}.weight"].T, f"{label}.weight")
    bias = g.constant(weights[f"{name}.bias"], f"{label}.bias")
    return g.node("Add", bias, g.node("MatMul", x, weight, label=label))


def _layer_norm(g: GraphBuilder, weights: Weights, name: str, x: str) -> str:
    parts = [g.constant(weights[f"{name}.{key}"], key) for key in ("weight", "bias")]
    return g.node("LayerNormalization", x, *parts, axis=-1, epsilon=EPSILON)


def _add_norm(g: GraphBuilder, weights: Weights, name: str, x: str, shortcut: str) -> str:
    return _layer_norm(g, weights, name, g.node("Add", x, shortcut))
