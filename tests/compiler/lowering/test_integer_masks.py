"""Attention masks of integers: one table, no float inside, and the numbers of the network."""

import numpy as np
import onnx
import onnxruntime
import pytest
from benchmarks.zoo.builder import GraphBuilder
from onnx import TensorProto

from octavo.compiler.compile import compile_model
from octavo.compiler.importer import import_model
from octavo.compiler.quantize import quantize_model
from octavo.compiler.samples import open_samples
from octavo.compiler.session import load
from octavo.errors import LoweringError

LENGTH, WIDTH, HEADS = 8, 16, 2
LOWEST = np.finfo(np.float32).min


def mask_bias(g, kind, mask):
    """What exporters make of a mask, (1, 1, 1 or LENGTH, LENGTH)."""

    def number(value):
        return g.constant(np.array(value, np.float32), "number")

    spread = g.node("Unsqueeze", mask, g.constant(np.array([1, 2]), "axes"))
    if kind == "bool":
        return g.node("Where", spread, number(0), number(LOWEST))
    if kind == "distances":
        return g.node("Mul", g.node("Cast", spread, to=TensorProto.FLOAT), number(0.01))
    if kind == "subtracted":
        as_float = g.node("Cast", spread, to=TensorProto.FLOAT)
        return g.node("Mul", g.node("Sub", number(1), as_float), number(-10000))
    if kind == "expanded":
        shape = g.constant(np.array([1, 1, LENGTH, LENGTH]), "shape")
        as_float = g.node("Cast", g.node("Expand", spread, shape), to=TensorProto.FLOAT)
        masked = g.node("Sub", number(1), as_float)
        is_masked = g.node("Cast", masked, to=TensorProto.BOOL)
        return g.node("Where", is_masked, number(LOWEST), masked)
    triangle = np.tril(np.ones((1, 1, LENGTH, LENGTH), bool))
    chosen = g.node("Cast", spread, to=TensorProto.BOOL)
    chosen = g.node("And", chosen, g.constant(triangle, "triangle"))
    return g.node("Where", chosen, number(0), number(-np.inf))


def attention(kind):
    rng = np.random.default_rng(0)
    g = GraphBuilder("attention")
    x = g.input("x", (1, LENGTH, WIDTH))
    mask_type = TensorProto.BOOL if kind == "bool" else TensorProto.INT64
    bias = mask_bias(g, kind, g.input("mask", (1, LENGTH), mask_type))

    def dense(value):
        weight = rng.normal(size=(WIDTH, WIDTH)) / WIDTH**0.5
        return g.node("MatMul", value, g.constant(weight.astype(np.float32), "weight"))

    def heads(perm):
        parts = g.reshape(dense(x), (1, LENGTH, HEADS, WIDTH // HEADS))
        return g.node("Transpose", parts, perm=perm)

    query, key, value = heads([0, 2, 1, 3]), heads([0, 2, 3, 1]), heads([0, 2, 1, 3])
    scale = g.constant(np.array((WIDTH // HEADS) ** -0.5, np.float32), "scale")
    scores = g.node("Mul", g.node("MatMul", query, key), scale)
    weights = g.node("Softmax", g.node("Add", scores, bias), axis=-1)
    mixed = g.node("Transpose", g.node("MatMul", weights, value), perm=[0, 2, 1, 3])
    return g.finish(y=dense(g.reshape(mixed, (1, LENGTH, WIDTH))))


def samples_of(kind, count):
    rng = np.random.default_rng(1)
    mask = np.arange(LENGTH) < rng.integers(3, LENGTH + 1, (count, 1))
    mask = mask if kind == "bool" else mask.astype(np.int64)
    return {
        "x": rng.normal(size=(count, LENGTH, WIDTH)).astype(np.float32),
        "mask": mask,
    }


def relative_error(actual, expected):
    """Noise over signal."""
    return np.square(actual - expected).mean() / np.square(expected).mean()


@pytest.mark.parametrize("kind", ["subtracted", "bool", "expanded", "causal"])
def test_a_masked_attention_is_integer(tmp_path, kind):
    onnx.save(attention(kind), tmp_path / "m.onnx")
    samples = samples_of(kind, 24)
    result = compile_model(
        tmp_path / "m.onnx", "host", tmp_path / "out", samples=samples, integer_only=True
    )
    steps = result.manifest["steps"]
    assert sum("integer_table" in step["variant"] for step in steps) == 1
    reference = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    with load(tmp_path / "out") as session:
        for index in range(4):
            given = {name: array[index : index + 1] for name, array in samples.items()}
            (expected,) = reference.run(None, given)
            (actual,) = session.run(given).values()
            assert relative_error(actual, expected) < 3e-3


@pytest.mark.parametrize("kind", ["subtracted", "expanded"])
def test_integers_that_are_no_flags_give_what_the_network_gives(tmp_path, kind):
    onnx.save(attention(kind), tmp_path / "m.onnx")
    samples = samples_of(kind, 24)
    compile_model(tmp_path / "m.onnx", "host", tmp_path / "out", samples=samples)
    quantized = onnxruntime.InferenceSession(tmp_path / "out" / "model.int8.onnx")
    row = np.array([[0, 1, 2, 127, 200, 2**40, -1, -(2**50)]])
    if kind == "subtracted":
        row[row > 1] = 1  # a score of 10000 for a token leaves nothing to compare
    given = {"x": samples["x"][:1], "mask": row}
    (expected,) = quantized.run(None, given)
    with load(tmp_path / "out") as session:
        (actual,) = session.run(given).values()
    assert relative_error(actual, expected) < 1e-3


def test_masks_get_one_quantizer(tmp_path):
    onnx.save(attention("expanded"), tmp_path / "m.onnx")
    model = import_model(tmp_path / "m.onnx")
    samples = open_samples(samples_of("expanded", 8), model)
    quantized = quantize_model(model, samples, measure=False)
    where = next(node for node in quantized.model.graph if node.op_type == "Where")
    assert [use.node.op_type for use in where.outputs[0].uses()] == ["QuantizeLinear"]
    casts = [node for node in quantized.model.graph if node.op_type == "Cast"]
    assert all(
        use.node.op_type != "QuantizeLinear" for c in casts for use in c.outputs[0].uses()
    )


def test_a_bias_of_too_many_integers_is_refused_by_name(tmp_path):
    onnx.save(attention("distances"), tmp_path / "m.onnx")
    samples = samples_of("distances", 8)
    samples["mask"] = np.random.default_rng(2).integers(0, 10_000, (8, LENGTH))
    given = (tmp_path / "m.onnx", "host", tmp_path / "out")
    with pytest.raises(LoweringError, match="--integer-only: Cast '"):
        compile_model(*given, samples=samples, integer_only=True)
    compile_model(*given, samples=samples)
