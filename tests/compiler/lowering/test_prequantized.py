"""Models that arrive quantized, written by hand: what quantizers other than ours produce.

Each against onnxruntime's run of the same model: one step apart at most, 99% of values equal,
and in integers where an integer kernel exists. Scales are no round numbers: 0.03 / 0.06 makes
every second sum an exact tie, which float32 resolves by its own rounding noise.
"""

import numpy as np
import pytest
from onnx import TensorProto
from tests.compiler.lowering.qdq_builder import GraphBuilder, compile_and_run

from octavo.errors import LoweringError

IMAGE = (1, 8, 9, 7)
CHANNEL_SCALES = np.linspace(0.0021, 0.0203, 12).astype(np.float32)
BLOCK_SCALES = np.linspace(0.0051, 0.0203, 48).astype(np.float32).reshape(4, 12)
ROWS = (5, 16)
X, Y = (0.0313, 120), (0.2071, 128)  # scale and zero point of input and output


def image(g, *params, shape=IMAGE):
    return g.qdq(g.input("x", shape), *(params or X))


def conv(g, x, **options):
    return g.op("Conv", x, g.weight(12, 8, 3, 3, scale=CHANNEL_SCALES), **options)


def of_weight(make, op_type="Conv"):
    """A model of one layer whose weight ``make`` writes."""

    def build(g):
        x = image(g, shape=IMAGE if op_type == "Conv" else ROWS)
        g.output(g.qdq(g.op(op_type, x, make(g)), *Y), "y")

    return build


def of_bias(make):
    def build(g):
        w = g.weight(12, 8, 3, 3, scale=CHANNEL_SCALES)
        g.output(g.qdq(g.op("Conv", image(g), w, make(g)), *Y), "y")

    return build


def narrow(kind, low, high, shape, *more, **attributes):
    """DequantizeLinear of a constant of a type that numpy lacks."""

    def make(g):
        values = g.constant(g.rng.integers(low, high, shape), kind)
        return g.op("DequantizeLinear", values, *(m(g) for m in more), **attributes)

    return make


def number(value, kind=None):
    return lambda g: g.constant(np.asarray(value), kind)


def moved(op_type, operand, shape, scale=CHANNEL_SCALES, axis=0, **attributes):
    def make(g):
        operands = [] if operand is None else [g.constant(np.array(operand))]
        return g.op(op_type, g.weight(*shape, scale=scale, axis=axis), *operands, **attributes)

    return make


def int8_image(g):
    x = image(g, 0.0313, 5, np.int8)
    g.output(g.qdq(conv(g, x, pads=[1] * 4), 0.2071, -3, np.int8), "y")


def mixed_signs(g):
    g.output(g.qdq(conv(g, image(g, 0.0313, 5, np.int8)), *Y), "y")


def q_after_every_op(g):
    c = g.qdq(conv(g, image(g)), *Y)
    r = g.qdq(g.op("Relu", c), 0.1037, 0)
    g.output(g.qdq(g.op("MaxPool", r, kernel_shape=[2, 2]), 0.1037, 0), "y")


def residual(g):
    x = image(g)
    w = g.weight(8, 8, 3, 3, scale=CHANNEL_SCALES[:8])
    c = g.qdq(g.op("Conv", x, w, pads=[1] * 4), *Y)
    g.output(g.qdq(g.op("Relu", g.qdq(g.op("Add", c, x), 0.2517, 131)), 0.1213, 0), "y")


def back_to_back(g):
    y = g.qdq(image(g), 0.0511, 128)
    g.output(g.qdq(g.qdq(y, 0.0317, 7, np.int8), 0.1013, 0), "y")


def moves_without_quantizer(g):
    t = g.op("Transpose", image(g), perm=[0, 2, 3, 1])
    r = g.op("Reshape", t, g.constant(np.array([1, 63, 8])))
    g.output(g.qdq(g.op("MatMul", r, g.weight(8, 12, scale=CHANNEL_SCALES, axis=1)), *Y), "y")


def shared_weight(g):
    w = g.weight(8, 8, 3, 3, scale=CHANNEL_SCALES[:8])
    a = g.qdq(g.op("Conv", image(g), w, pads=[1] * 4), *Y)
    g.output(g.qdq(g.op("Conv", a, w, pads=[1] * 4), 0.5113, 128), "y")


def constant_operands(g):
    x = image(g)
    c = g.dequantize(g.constant(g.rng.integers(0, 255, (8, 1, 1), np.uint8)), 0.0217, 100)
    other = g.dequantize(g.constant(g.rng.integers(0, 255, IMAGE, np.uint8)), 0.0191, 90)
    added = g.qdq(g.op("Add", x, c), 0.0419, 110)
    g.output(g.qdq(g.op("Concat", added, other, axis=1), 0.0431, 111), "y")


def no_zero_points(g):
    def qdq(x, scale):
        s = g.constant(np.float32(scale))
        return g.op("DequantizeLinear", g.op("QuantizeLinear", x, s), s)

    g.output(qdq(conv(g, qdq(g.input("x", IMAGE), 0.0213)), 0.1021), "y")


def attention(g):
    x = image(g, shape=(2, 5, 16))
    scores = g.qdq(g.op("MatMul", x, g.op("Transpose", x, perm=[0, 2, 1])), 0.0713, 40)
    chosen = g.qdq(g.op("Softmax", scores, axis=-1), 1 / 255, 0)
    mixed = g.qdq(g.op("MatMul", chosen, x), 0.0217, 128)
    gamma = g.constant(g.rng.normal(size=16).astype(np.float32))
    g.output(g.qdq(g.op("LayerNormalization", mixed, gamma), 0.0213, 128), "y")


def moves_of_integers(g):
    """What QOperator models do: operators that only choose elements, on the integers."""
    q = g.quantize(conv(g, image(g), pads=[1] * 4), *Y)
    q = g.op("MaxPool", q, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    q = g.op("Pad", q, g.constant(np.array([0, 0, 1, 0, 0, 0, 0, 2])), g.constant(np.uint8(9)))
    q = g.op("Resize", q, "", "", g.constant(np.array([1, 12, 7, 11])), mode="nearest")
    q = g.op("Slice", q, *(g.constant(np.array([n])) for n in (-1, -9, 3, -2)))
    q = g.op("Concat", q, g.op("Transpose", q, perm=[0, 1, 2, 3]), axis=2)
    g.output(g.dequantize(g.op("Reshape", q, g.constant(np.array([12, -1]))), *Y), "y")


INTEGER_CASES = {
    "int8_image": int8_image,
    "mixed_signs": mixed_signs,
    "uint8_weight_128": of_weight(
        lambda g: g.weight(12, 8, 3, 3, dtype=np.uint8, zero_point=128)
    ),
    "per_channel_matmul": of_weight(
        lambda g: g.weight(16, 12, scale=CHANNEL_SCALES, axis=-1), "MatMul"
    ),
    "int8_weight_minus_128": of_weight(
        lambda g: g.dequantize(
            g.constant(np.full((12, 8, 3, 3), -128, np.int8)), 0.0031, 0, np.int8)
    ),
    "int4_weight": of_weight(
        narrow(TensorProto.INT4, -8, 8, (12, 8, 3, 3), number(CHANNEL_SCALES),
               number(np.zeros(12), TensorProto.INT4), axis=0)
    ),
    "uint4_weight": of_weight(
        narrow(TensorProto.UINT4, 0, 16, (16, 12), number(np.float32(0.0313)),
               number(9, TensorProto.UINT4)),
        "MatMul",
    ),
    "weight_transposed": of_weight(
        moved("Transpose", None, (3, 3, 8, 12), axis=3, perm=[3, 2, 0, 1])
    ),
    "weight_reshaped": of_weight(moved("Reshape", [12, 8, 3, 3], (12, 72))),
    "weight_reshaped_per_tensor": of_weight(
        moved("Reshape", [12, 8, 3, 3], (24, 36), scale=0.0103)
    ),
    "bias_float": of_bias(lambda g: g.constant(g.rng.normal(size=12).astype(np.float32))),
    "bias_int32": of_bias(
        lambda g: g.dequantize(
            g.constant(g.rng.integers(-3000, 3000, 12, np.int32)),
            np.float32(X[0]) * CHANNEL_SCALES, np.zeros(12), np.int32, axis=0)
    ),
    "bias_int32_other_scale": of_bias(
        lambda g: g.dequantize(
            g.constant(g.rng.integers(-300, 300, 12, np.int32)), 0.0137, 0, np.int32)
    ),
    "bias_int8": of_bias(
        lambda g: g.dequantize(
            g.constant(g.rng.integers(-100, 100, 12, np.int8)), 0.0137, 3, np.int8)
    ),
    "q_after_every_op": q_after_every_op,
    "residual": residual,
    "moves_of_integers": moves_of_integers,
    "back_to_back": back_to_back,
    "moves_without_quantizer": moves_without_quantizer,
    "shared_weight": shared_weight,
    "constant_operands": constant_operands,
    "no_zero_points": no_zero_points,
    "attention": attention,
}  # fmt: skip


@pytest.mark.parametrize("requantize", ["float32", "dyadic"])
@pytest.mark.parametrize("name", INTEGER_CASES)
def test_integers_match_onnxruntime(name, requantize):
    g = GraphBuilder()
    INTEGER_CASES[name](g)
    found = compile_and_run(g.model(), requantize=requantize)
    assert found.worst_steps <= 1.001
    assert found.equal_share >= 0.99
    assert found.float_steps == []


NOT_SYMMETRIC = "its weights are not symmetric int8"
IN_BLOCKS = "its weights have a scale for each block"
FLOAT_CASES = {
    "uint8_weight_100": (
        of_weight(lambda g: g.weight(12, 8, 3, 3, dtype=np.uint8, zero_point=100)),
        NOT_SYMMETRIC,
    ),
    "int8_weight_zero_point": (
        of_weight(lambda g: g.weight(12, 8, 3, 3, zero_point=5)), NOT_SYMMETRIC),
    "zero_point_per_channel": (
        of_weight(lambda g: g.weight(
            12, 8, 3, 3, scale=CHANNEL_SCALES, zero_point=np.arange(12) - 6)),
        NOT_SYMMETRIC,
    ),
    "scales_along_inputs": (
        of_weight(lambda g: g.weight(12, 8, 3, 3, scale=CHANNEL_SCALES[:8], axis=1)),
        NOT_SYMMETRIC,
    ),
    "int16_weight": (
        of_weight(lambda g: g.weight(12, 8, 3, 3, scale=1.03e-4, dtype=np.int16)),
        "its weights are int16",
    ),
    "float8_weight": (
        of_weight(narrow(TensorProto.FLOAT8E4M3FN, -8, 8, (12, 8, 3, 3),
                         number(np.float32(0.0313)))),
        NOT_SYMMETRIC,
    ),
    "blocked_weight": (
        of_weight(narrow(TensorProto.INT8, -127, 128, (16, 12),
                         number(BLOCK_SCALES),
                         axis=0, block_size=4), "MatMul"),
        IN_BLOCKS,
    ),
    "blocked_int4_weight": (
        of_weight(narrow(TensorProto.INT4, -8, 8, (16, 12),
                         number(BLOCK_SCALES),
                         axis=0, block_size=4), "MatMul"),
        IN_BLOCKS,
    ),
    "computed_bias": (of_bias(lambda g: g.input("b", (12,))), "its bias is computed"),
    "computed_weight": (
        of_weight(lambda g: g.qdq(g.input("w", (12, 8, 3, 3)), 0.0213, 128)),
        "no integer kernel",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FLOAT_CASES)
def test_what_has_no_integer_kernel_is_float_and_says_why(name):
    build, reason = FLOAT_CASES[name]
    g = GraphBuilder()
    build(g)
    found = compile_and_run(g.model())
    assert found.worst_steps <= 1.001
    assert found.equal_share >= 0.99
    assert found.float_steps
    assert reason in found.float_steps[0][1]


@pytest.mark.parametrize("kind", [TensorProto.FLOAT8E4M3FN])
def test_activations_of_narrow_types_are_refused_by_name(kind):
    g = GraphBuilder()
    scale, zero = g.constant(np.float32(0.0313)), g.constant(np.asarray(0), kind)
    q = g.op("QuantizeLinear", g.input("x", IMAGE), scale, zero)
    g.output(g.op("Relu", g.op("DequantizeLinear", q, scale, zero)), "y")
    with pytest.raises(
        LoweringError, match=f"QuantizeLinear.*{TensorProto.DataType.Name(kind)}"
    ):
        compile_and_run(g.model())


def test_one_dequantized_value_feeds_integer_and_float_readers():
    g = GraphBuilder()
    x = image(g)
    g.output(g.qdq(conv(g, x), *Y), "y")
    g.output(g.op("Softplus", x), "z")
    found = compile_and_run(g.model())
    assert found.steps_apart("y").max() <= 1.001
    # one exponential and one logarithm, each within a few units of 2**-23
    np.testing.assert_allclose(found.ours["z"], found.reference["z"], rtol=1e-5, atol=1e-6)
    assert [op for op, _ in found.float_steps] == [["Softplus"]]
