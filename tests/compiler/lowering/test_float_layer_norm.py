"""Layer normalization between integer products: the sum in front of it stays in float."""

import numpy as np
import pytest
from tests.compiler.lowering.qdq_builder import GraphBuilder, compile_and_run

ROWS, WIDTH = 12, 32


def normalize(b, x, shape=(WIDTH,), *, axis=-1, beta=True, **attributes):
    parameters = [1 + 0.1 * b.rng.normal(size=shape) for _ in range(1 + beta)]
    names = [b.constant(p.astype(np.float32)) for p in parameters]
    return b.op("LayerNormalization", x, *names, axis=axis, **attributes)


def variants(outcome):
    return {v.partition(".")[0] for v in (s["variant"] for s in outcome.manifest["steps"])}


@pytest.mark.parametrize(
    ("axis", "shape", "beta"),
    [(-1, (WIDTH,), True), (2, (1,), True), (1, (ROWS, WIDTH), True), (-1, (WIDTH,), False)],
)
def test_one_kernel_computes_it(axis, shape, beta):
    b = GraphBuilder()
    x = b.input("x", (2, ROWS, WIDTH))
    b.output(normalize(b, x, shape, axis=axis, beta=beta, epsilon=1e-3), "y")
    outcome = compile_and_run(b.model(), float_only=True)
    assert "float_layer_norm_rows" in variants(outcome)
    # Sums of up to 384 numbers of size 1: a few hundred roundings, at worst all one way.
    np.testing.assert_allclose(
        outcome.ours["y"], outcome.reference["y"], rtol=0, atol=400 * 2.0**-24 * 4
    )


def test_a_block_keeps_its_residual_stream_in_float():
    b = GraphBuilder()
    x = normalize(b, b.input("x", (1, ROWS, WIDTH)))
    hidden = b.op("MatMul", b.qdq(x, 0.03, 128), b.weight(WIDTH, 64, scale=0.01, axis=1))
    hidden = b.qdq(b.op("Relu", hidden), 0.1)
    down = b.op("MatMul", hidden, b.weight(64, WIDTH, scale=0.02, axis=1))
    y = normalize(b, b.op("Add", down, x))
    b.output(y, "y")
    outcome = compile_and_run(b.model())
    assert {op for ops, _ in outcome.float_steps for op in ops} <= {
        "Add",
        "LayerNormalization",
    }
    # One step of a 64-term sum where a rounding falls on the other side; else float noise.
    assert outcome.sqnr_db > 50.0


def test_computed_parameters_are_left_to_the_compiler():
    b = GraphBuilder()
    x, gamma = b.input("x", (ROWS, WIDTH)), b.input("gamma", (WIDTH,))
    b.output(b.op("LayerNormalization", x, gamma), "y")
    outcome = compile_and_run(b.model(), float_only=True)
    assert "float_layer_norm_rows" not in variants(outcome)
    np.testing.assert_allclose(outcome.ours["y"], outcome.reference["y"], atol=1e-4)


@pytest.mark.parametrize("smoothed", [False, True])
@pytest.mark.parametrize("is_read_in_float", [False, True])
def test_it_rounds_what_a_product_reads(smoothed, is_read_in_float):
    b = GraphBuilder()
    y = normalize(b, b.input("x", (1, ROWS, WIDTH)))
    read = y
    if smoothed:
        factor = b.rng.uniform(0.5, 2.0, WIDTH).astype(np.float32)
        read = b.op("Mul", y, b.constant(factor))
    rounded = b.qdq(read, 0.03, 120)
    product = b.op("MatMul", rounded, b.weight(WIDTH, 16, scale=0.01, axis=1))
    b.output(b.qdq(product, 0.05, 128), "product")
    if is_read_in_float:
        b.output(y, "y")
    outcome = compile_and_run(b.model())
    assert sorted(variants(outcome) - {"move"}) == ["conv_gemm", "float_layer_norm_rows"]
    kinds = [s["variant"] for s in outcome.manifest["steps"]]
    assert not any(kind.startswith("move.quantize") for kind in kinds)
    assert outcome.steps_apart("product").max() <= 1
    assert outcome.sqnr_db > 40.0
