"""Activations of 16 bits: what is computed in integers, against onnxruntime.

Results are a step of 16 bits apart at most: onnxruntime sums in float32, where a step is as
small as the rounding of a sum.
"""

import numpy as np
import pytest
from tests.compiler.lowering.qdq_builder import GraphBuilder, compile_and_run

from octavo.compiler.importer import import_model
from octavo.compiler.lowering.lower import lower
from octavo.targets import get_target
from octavo.targets.kernels.word_gemm_parts import PART_INPUTS

WORST_STEPS = 1 + 2**15 * 2**-22  # outputs are float32, of up to 2**15 steps
IMAGE = (1, 8, 9, 7)
INT16 = (0.0002, 0, np.int16)
UINT16 = (0.00021, 30000, np.uint16)
RELU16 = (0.00043, 0, np.uint16)  # nothing below 0
INT8 = (0.0413, 3, np.int8)
UINT8 = (0.0413, 120, np.uint8)


def conv(g, x, params, *, relu=False, residual=None, channels=8, **options):
    w = g.weight(channels, 8, 3, 3, scale=np.linspace(0.0011, 0.0021, channels))
    bias = g.constant(g.rng.normal(size=channels).astype(np.float32))
    y = g.op("Conv", x, w, bias, pads=[1, 1, 1, 1], **options)
    if residual is not None:
        y = g.op("Add", y, residual)
    if relu:
        y = g.op("Relu", y)
    return g.qdq(y, *params)


def image(g, params):
    return g.qdq(g.input("x", IMAGE), *params)


def chain(g):
    x = image(g, INT16)
    return conv(g, conv(g, x, RELU16, relu=True), UINT16)


def residual(g):
    x = image(g, UINT16)
    return conv(g, conv(g, x, RELU16, relu=True), INT16, residual=x)


def residual_of_bytes(g):
    x = image(g, UINT8)
    return conv(g, conv(g, x, RELU16, relu=True), INT16, residual=x)


def added_to_bytes(g):
    x = image(g, UINT16)
    return conv(g, conv(g, x, UINT8), UINT8, residual=x)


def words_to_bytes(g):
    return conv(g, conv(g, image(g, UINT16), UINT8), INT8)


def bytes_to_words(g):
    return conv(g, conv(g, image(g, UINT8), INT16), UINT16)


def depthwise(g):
    x = conv(g, image(g, UINT16), RELU16, relu=True)
    w = g.weight(8, 1, 3, 3, scale=np.linspace(0.0011, 0.0021, 8))
    return g.qdq(g.op("Conv", x, w, group=8, strides=[2, 2], pads=[1, 1, 1, 1]), *INT16)


def classifier(g):
    x = conv(g, image(g, UINT16), RELU16, relu=True)
    x = g.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = g.qdq(g.op("GlobalAveragePool", g.qdq(x, *RELU16)), *RELU16)
    w = g.weight(8, 10, scale=np.linspace(0.001, 0.002, 10), axis=1)
    return g.qdq(g.op("Gemm", g.op("Flatten", x), w), *INT16)


def long_rows(g):
    x = g.qdq(g.input("x", (3, 5 * PART_INPUTS + 4)), *INT16)
    w = g.weight(5 * PART_INPUTS + 4, 24, scale=np.linspace(3e-5, 9e-5, 24), axis=1)
    return g.qdq(g.op("MatMul", x, w), *UINT16)


def row_and_residual(g):
    """A product whose result stays float, with a float tensor added."""
    x = g.qdq(g.input("x", (3, 40)), *INT16)
    y = g.op("MatMul", x, g.weight(40, 24, scale=0.0013))
    return g.op("Add", y, g.input("more", (3, 24)))


def elementwise(kind, first, second):
    def build(g):
        a = g.qdq(g.input("a", IMAGE), *first)
        b = g.qdq(g.input("b", IMAGE), *second)
        return g.qdq(g.op("Relu", g.op(kind, a, b)), *RELU16)

    return build


INTEGER_CASES = {
    "chain": chain,
    "residual": residual,
    "residual of bytes": residual_of_bytes,
    "words added to bytes": added_to_bytes,
    "words to bytes": words_to_bytes,
    "bytes to words": bytes_to_words,
    "depthwise": depthwise,
    "classifier": classifier,
    "long rows": long_rows,
    "real results": row_and_residual,
    "Add": elementwise("Add", INT16, UINT16),
    "Sub, of bytes": elementwise("Sub", UINT16, UINT8),
    "Max": elementwise("Max", INT16, INT16),
}
FLOAT_CASES = {
    "Mul": (
        elementwise("Mul", INT16, UINT16),
        "its input has 16 bits; integer kernels of Mul",
    ),
    "Sigmoid": (
        lambda g: g.qdq(g.op("Sigmoid", image(g, INT16)), *INT16),
        "its input has 16 bits; integer kernels of Sigmoid",
    ),
    "Concat": (
        lambda g: g.qdq(g.op("Concat", x := image(g, INT16), x, axis=1), *UINT16),
        "its input has 16 bits",
    ),
    "blocks": (
        lambda g: g.qdq(
            g.op(
                "MatMul",
                g.qdq(g.input("x", (3, 16)), *INT16),
                g.dequantize(
                    g.constant(g.rng.integers(-7, 8, (16, 12), np.int8)),
                    np.linspace(0.01, 0.02, 48).reshape(4, 12),
                    np.zeros((4, 12)),
                    np.int8,
                    axis=0,
                    block_size=4,
                ),
            ),
            *INT16,
        ),
        "a scale for each block",
    ),
}


def model_of(build):
    g = GraphBuilder()
    g.output(build(g), "y")
    return g.model()


@pytest.mark.parametrize("name", INTEGER_CASES)
def test_integers_of_16_bits(name):
    found = compile_and_run(model_of(INTEGER_CASES[name]))
    assert found.float_steps == []
    if name != "real results":
        assert found.worst_steps <= WORST_STEPS
    else:
        assert found.sqnr_db > 110


def test_products_of_words_name_their_kernels():
    variants = {
        step["op_types"][0]: step["variant"]
        for step in compile_and_run(model_of(classifier)).manifest["steps"]
    }
    assert "word_gemm" in variants["Conv"]
    assert "word_gemm" in variants["MatMul"]


@pytest.mark.parametrize("name", FLOAT_CASES)
def test_what_has_no_kernel_of_words_is_float_and_says_why(name):
    build, reason = FLOAT_CASES[name]
    found = compile_and_run(model_of(build))
    assert found.worst_steps <= WORST_STEPS
    assert reason in " ".join(reason for _, reason in found.float_steps)


@pytest.mark.parametrize(
    ("target", "mode", "reason"),
    [
        ("arm64-neon", None, "in the time of 4 float32 ones"),
        ("host", "dyadic", "rounding without float makes 8"),
        ("hexagon-v66", None, "rounding without float makes 8"),
    ],
)
def test_where_words_do_not_pay_layers_are_float_and_say_why(target, mode, reason, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(model_of(chain).SerializeToString())
    program = lower(import_model(path), get_target(target), mode=mode)
    convolutions = [step for step in program.steps if "Conv" in step.op_types]
    assert {step.placement for step in convolutions} == {"float32"}
    assert all("its input has 16 bits; " in step.reason for step in convolutions)
    assert all(reason in step.reason for step in convolutions)
