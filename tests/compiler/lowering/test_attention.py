"""Attention, written as the quantizer does: one kernel for all of it."""

import numpy as np
import pytest
from tests.compiler.lowering.qdq_builder import GraphBuilder, compile_and_run

TOKENS, HEADS, DEPTH = 21, 3, 16
WIDTH = HEADS * DEPTH


def heads(b, x, perm, scale=0.03):
    x = b.qdq(x, scale, 128)
    split = b.op("Reshape", x, b.constant(np.array([1, TOKENS, HEADS, DEPTH])))
    return b.op("Transpose", split, perm=perm)


def mix(b, scores, v, *, weight_scale=1 / 255, zero_point=0):
    axes = b.constant(np.array([-1]))
    largest = b.op("ReduceMax", scores, axes, keepdims=1)
    power = b.op("Exp", b.op("Sub", scores, largest))
    weights = b.qdq(power, weight_scale, zero_point)
    total = b.op("ReduceSum", weights, axes, keepdims=1)
    return b.op("Div", b.op("MatMul", weights, v), total)


def attention(b, *, scale=0.25, mask=None, **options):
    inputs = [b.input(name, (1, TOKENS, WIDTH)) for name in "qkv"]
    q, k, v = (heads(b, x, perm) for x, perm in zip(
        inputs, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True))
    scores = b.op("Mul", b.op("MatMul", q, k), b.constant(np.float32(scale)))
    if mask is not None:
        scores = b.op("Add", scores, mask)
    y = b.qdq(mix(b, scores, v, **options), 0.02, 128)
    y = b.op("Transpose", y, perm=[0, 2, 1, 3])
    b.output(b.op("Reshape", y, b.constant(np.array([1, TOKENS, WIDTH]))), "y")


def variants(outcome):
    return [s["variant"].partition(".")[0] for s in outcome.manifest["steps"]]


@pytest.mark.parametrize("integer_only", [False, True])
def test_one_kernel_and_no_copies(integer_only):
    b = GraphBuilder()
    attention(b)
    outcome = compile_and_run(b.model(), integer_only=integer_only)
    assert variants(outcome).count("attention_rows") == 1
    assert set(variants(outcome)) <= {"attention_rows", "move"}
    assert not any(
        set(step["op_types"]) & {"Transpose", "Reshape"} for step in outcome.manifest["steps"])
    # A weight that rounds to its other neighbour moves a sum of 21 by at most two steps.
    assert outcome.worst_steps <= 2
    assert outcome.equal_share > 0.98


def test_a_mask_for_all_rows():
    b = GraphBuilder()
    mask = b.qdq(b.input("mask", (1, 1, 1, TOKENS)), 0.1, 255)
    attention(b, mask=mask)
    outcome = compile_and_run(b.model())
    assert variants(outcome).count("attention_rows") == 1
    assert outcome.worst_steps <= 2


def test_a_stored_bias_for_each_row():
    b = GraphBuilder()
    bias = b.weight(1, HEADS, TOKENS, TOKENS, scale=0.04)
    attention(b, mask=bias)
    outcome = compile_and_run(b.model())
    assert variants(outcome).count("attention_rows") == 1
    assert outcome.worst_steps <= 2


@pytest.mark.parametrize("options", [{"weight_scale": 1 / 128}, {"zero_point": 3}])
def test_other_roundings_are_computed_as_written(options):
    b = GraphBuilder()
    attention(b, **options)
    outcome = compile_and_run(b.model())
    assert "attention_rows" not in variants(outcome)
    assert outcome.worst_steps <= 2


def test_a_float_softmax_keeps_its_precision():
    b = GraphBuilder()
    inputs = [b.input(name, (1, TOKENS, WIDTH)) for name in "qkv"]
    q, k, v = (heads(b, x, perm) for x, perm in zip(
        inputs, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True))
    y = b.op("MatMul", b.op("Softmax", b.op("MatMul", q, k), axis=-1), v)
    b.output(b.qdq(y, 0.02, 128), "y")
    outcome = compile_and_run(b.model())
    assert "attention_rows" not in variants(outcome)
    assert outcome.worst_steps <= 1
