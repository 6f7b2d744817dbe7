"""Models with integer inputs and outputs: ports carry their scale, runs take integers."""

import numpy as np
import pytest
from tests.compiler.lowering.qdq_builder import GraphBuilder, compile_and_run

IMAGE = (1, 8, 9, 7)
SCALES = np.linspace(0.0021, 0.0203, 12).astype(np.float32)


def conv(g, x):
    return g.op("Conv", x, g.weight(12, 8, 3, 3, scale=SCALES))


def port(found, kind, index=0):
    entry = found.manifest[kind][index]
    return entry["dtype"], entry["scale"], entry["zero_point"]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("out_dtype", [np.uint8, np.int8])
def test_integers_in_and_out(dtype, out_dtype):
    zero_point, out_zero_point = (120 if t == np.uint8 else -12 for t in (dtype, out_dtype))
    g = GraphBuilder()
    x = g.dequantize(g.input("x", IMAGE, dtype), 0.0313, zero_point, dtype)
    g.output(g.quantize(conv(g, x), 0.2071, out_zero_point, out_dtype), "y")
    found = compile_and_run(g.model())
    assert port(found, "inputs") == (np.dtype(dtype).name, np.float32(0.0313), zero_point)
    assert port(found, "outputs") == (
        np.dtype(out_dtype).name,
        np.float32(0.2071),
        out_zero_point,
    )
    assert found.ours["y"].dtype == out_dtype
    assert found.worst_steps <= 1
    assert found.equal_share >= 0.99


def test_scales_are_found_through_transpositions_and_reshapes():
    g = GraphBuilder()
    x = g.op("Transpose", g.input("x", (1, 9, 7, 8), np.uint8), perm=[0, 3, 1, 2])
    y = g.quantize(conv(g, g.dequantize(x, 0.0313, 120)), 0.2071, 128)
    g.output(g.op("Reshape", y, g.constant(np.array([1, -1]))), "y")
    found = compile_and_run(g.model())
    assert port(found, "inputs") == ("uint8", np.float32(0.0313), 120)
    assert port(found, "outputs") == ("uint8", np.float32(0.2071), 128)
    assert found.worst_steps <= 1


def test_an_input_that_is_an_output_keeps_its_scale():
    g = GraphBuilder()
    x = g.input("x", IMAGE, np.int8)
    g.output(x, "y")
    g.output(g.dequantize(x, 0.1031, 3, np.int8), "z")
    found = compile_and_run(g.model())
    assert port(found, "outputs") == ("int8", np.float32(0.1031), 3)
    assert port(found, "outputs", 1) == ("float32", None, None)
    assert found.worst_steps == 0


def test_one_input_read_by_two_scales():
    g = GraphBuilder()
    q = g.input("x", IMAGE, np.int8)
    a, b = g.dequantize(q, 0.0313, -12, np.int8), g.dequantize(q, 0.0517, 2, np.int8)
    g.output(g.quantize(g.op("Add", a, b), 0.2071, 12, np.int8), "y")
    found = compile_and_run(g.model())
    assert found.worst_steps <= 1
    assert found.equal_share >= 0.99


def test_a_quantized_tensor_is_an_output_and_read_inside():
    g = GraphBuilder()
    x = g.qdq(g.input("x", IMAGE), 0.0313, 120)
    q = g.quantize(conv(g, x), 0.2071, 128)
    d = g.dequantize(q, 0.2071, 128)
    g.output(q, "q")
    g.output(d, "d")
    g.output(g.qdq(g.op("Relu", d), 0.1031, 0), "y")
    found = compile_and_run(g.model())
    assert port(found, "outputs") == ("uint8", np.float32(0.2071), 128)
    assert found.worst_steps <= 1.001
    assert found.float_steps == []


def test_a_float_value_inside_a_region_can_be_an_output():
    g = GraphBuilder()
    c = conv(g, g.qdq(g.input("x", IMAGE), 0.0313, 120))
    g.output(c, "c")
    g.output(g.qdq(g.op("Relu", c), 0.1031, 0), "y")
    found = compile_and_run(g.model())
    assert found.steps_apart("y").max() <= 1.001
    # 72 products, added up in float32 by onnxruntime
    tolerance = 72 * 2**-24 * np.abs(found.reference["c"]).max()
    np.testing.assert_allclose(found.ours["c"], found.reference["c"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("op_type", ["MatMulInteger", "ConvInteger"])
def test_integer_products_are_exact(op_type):
    g = GraphBuilder()
    shape, weight = (
        ((5, 16), (16, 12)) if op_type == "MatMulInteger" else (IMAGE, (12, 8, 3, 3))
    )
    w = g.constant(g.rng.integers(0, 256, weight, np.uint8))
    zeros = [g.constant(np.uint8(z)) for z in (7, 120)]
    g.output(g.op(op_type, g.input("x", shape, np.uint8), w, *zeros), "y")
    found = compile_and_run(g.model())
    np.testing.assert_array_equal(found.ours["y"], found.reference["y"])


@pytest.mark.parametrize("op_type", ["MatMulInteger", "ConvInteger"])
def test_dynamic_quantization_compiles_with_samples(op_type):
    """The range is fixed by calibration: no step for step comparison, but a close result."""
    g = GraphBuilder()
    shape, weight = (
        ((5, 16), (16, 12)) if op_type == "MatMulInteger" else (IMAGE, (12, 8, 3, 3))
    )
    q, scale, zero_point = g.op("DynamicQuantizeLinear", g.input("x", shape), outputs=3)
    w = g.constant(g.rng.integers(-127, 128, weight, np.int8))
    product = g.op("Cast", g.op(op_type, q, w, zero_point), to=1)
    factor = g.op("Mul", scale, g.constant(np.float32(0.0101)))
    g.output(g.op("Mul", product, factor), "y")
    samples = [
        {"x": np.random.default_rng(s).normal(size=shape).astype(np.float32)} for s in range(8)
    ]
    found = compile_and_run(
        g.model(), samples[0], samples={"x": np.stack([s["x"] for s in samples])}
    )
    # 8 bits of input and output over their range: uniform noise of step / sqrt(12) at a peak
    # of four deviations is 40 dB each
    assert found.sqnr_db >= 30
