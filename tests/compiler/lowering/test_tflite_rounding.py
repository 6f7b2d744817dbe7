"""The mode "tflite" gives the integers of LiteRT's reference kernels, every one of them."""

import numpy as np
import pytest

from octavo.compiler.compile import compile_model
from octavo.compiler.session import load
from octavo.targets.ops.requantize import dyadic, round_twice

pytest.importorskip("ai_edge_litert")
from tests.compiler.importer.tflite_files import TfliteFile, litert_run

RNG = np.random.default_rng(5)
SHAPE = (1, 9, 8, 12)
SCALE, ZERO = 0.0517, 3


def weights(file, shape, axis, bias=True):
    """int8 with a scale for each channel, and a bias."""
    scale = (RNG.uniform(0.5, 1.5, shape[axis]) * 0.002).astype(np.float32)
    stored = RNG.integers(-127, 128, shape).astype(np.int8)
    w = file.tensor("w", data=stored, scale=scale, axis=axis)
    b = RNG.integers(-2000, 2000, shape[axis]).astype(np.int32)
    return [w, *([file.tensor("b", data=b, scale=scale * np.float32(SCALE))] if bias else [])]


def conv(file, x):
    return [x, *weights(file, (7, 3, 3, 12), 0)]


def depthwise(file, x):
    return [x, *weights(file, (1, 3, 3, 12), 3)]


def fully_connected(file, x):
    return [x, *weights(file, (40, 12), 0)]


def alone(file, x):
    return [x]


def with_axes(*axes):
    return lambda file, x: [x, file.tensor("axes", data=np.int32(axes))]


def with_constant(file, x):
    stored = RNG.integers(-127, 128, (12,)).astype(np.int8)
    return [x, file.tensor("c", data=stored, scale=0.0123)]


WINDOW = {"strideH": 1, "strideW": 1}
POOL = {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2}
FACTORS = {"dilationHFactor": 1, "dilationWFactor": 1}
# name: kind, operands, output shape, scale and zero point, options
CASES = {
    "conv": ("CONV_2D", conv, (1, 9, 8, 7), 0.07, -5, "Conv2DOptions", WINDOW | FACTORS),
    "depthwise": (
        "DEPTHWISE_CONV_2D", depthwise, SHAPE, 0.03, 9, "DepthwiseConv2DOptions",
        WINDOW | FACTORS | {"depthMultiplier": 1}),
    "fully connected": (
        "FULLY_CONNECTED", fully_connected, (72, 40), 0.04, 1, "FullyConnectedOptions", {}),
    "product": ("MUL", with_constant, SHAPE, 0.0371, 11, "MulOptions", {}),
    "sum": ("ADD", with_constant, SHAPE, 0.0371, 11, "AddOptions", {}),
    "mean of an image": (
        "MEAN", with_axes(1, 2), (1, 12), 0.0191, 6, "ReducerOptions", {}),
    "mean, kept": (
        "MEAN", with_axes(2, 1), (1, 1, 1, 12), 0.0191, 6, "ReducerOptions",
        {"keepDims": True}),
    "average": (
        "AVERAGE_POOL_2D", alone, (1, 5, 4, 12), SCALE, ZERO, "Pool2DOptions", POOL),
    "requantize": ("QUANTIZE", alone, SHAPE, 0.0711, -8, "QuantizeOptions", {}),
    "hard swish": ("HARD_SWISH", alone, SHAPE, 0.0299, -100, "HardSwishOptions", {}),
    "sigmoid": ("LOGISTIC", alone, SHAPE, 1 / 256, -128, None, {}),
    "tanh": ("TANH", alone, SHAPE, 1 / 128, 0, None, {}),
    "softmax": ("SOFTMAX", alone, SHAPE, 1 / 256, -128, "SoftmaxOptions", {"beta": 1.0}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_operators_equal_the_reference(name, tmp_path):
    kind, operands, shape, scale, zero, options, fields = CASES[name]
    file = TfliteFile()
    x = file.tensor("x", SHAPE, "int8", scale=SCALE, zero=ZERO)
    y = file.tensor("y", shape, "int8", scale=scale, zero=zero)
    file.operator(kind, operands(file, x), [y], options, **fields)
    check(file, x, y, tmp_path)


def check(file, x, y, tmp_path):
    content = file.pack([x], [y])
    feeds = {"x": RNG.integers(-128, 128, SHAPE).astype(np.int8)}
    (expected,) = litert_run(content, feeds)
    (tmp_path / "net.tflite").write_bytes(content)
    compile_model(tmp_path / "net.tflite", "host", tmp_path / "out", requantize="tflite")
    with load(tmp_path / "out") as session:
        actual = session.run(feeds)["y"]
    assert np.unique(expected).size > min(20, expected.size // 2)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", ["fully connected", "sum", "conv"])
def test_functions_behind_other_operators_equal_the_reference(name, tmp_path):
    kind, operands, shape, scale, zero, options, fields = CASES[name]
    file = TfliteFile()
    x = file.tensor("x", SHAPE, "int8", scale=SCALE, zero=ZERO)
    between = file.tensor("between", shape, "int8", scale=scale, zero=zero)
    y = file.tensor("y", shape, "int8", scale=0.0299, zero=-100)
    file.operator(kind, operands(file, x), [between], options, **fields)
    file.operator("HARD_SWISH", [between], [y], "HardSwishOptions")
    check(file, x, y, tmp_path)


def test_rounding_is_that_of_gemmlowp():
    def literally(x, multiplier, exponent):
        product = x * (1 << max(exponent, 0)) * multiplier
        nudge = 1 << 30 if product >= 0 else 1 - (1 << 30)
        high = abs(product + nudge) // 2**31 * (1 if product + nudge >= 0 else -1)
        bits = max(-exponent, 0)
        mask = (1 << bits) - 1
        threshold = (mask >> 1) + (high < 0)
        return (high >> bits) + ((high & mask) > threshold)

    for multiplier in (0.25, 0.3, 1.0, 2.71, 0.0021, 2.0**-9):
        significand, shift = dyadic(np.array(multiplier))
        x = RNG.integers(-(2**20), 2**20, 4000)
        found = round_twice(x * significand, shift)
        exponent = 31 - int(shift)
        expected = [literally(int(v), int(significand), exponent) for v in x]
        np.testing.assert_array_equal(found, expected)
