"""The mode "tflite" gives the integers of LiteRT's reference kernels, every one of them."""

import numpy as np
import pytest

from octavo.compiler.compile import compile_model
from octavo.compiler.session import load
from octavo.targets.ops.requantize import dyadic, round_twice

pytest.importorskip("ai_edge_litert")
from ai_edge_litert.interpreter import OpResolverType
from benchmarks.peers.tflite.files import litert_run
from benchmarks.tflite_cases import CASES, Writer, build

RNG = np.random.default_rng(5)
KERNELS = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
# What LiteRT computes in float, in products of its own, or wrongly (quotients near 0): the
# least share of equal results.
ROUGH = {
    "int8": {"PRELU": 0.99, "SQUARED_DIFFERENCE": 0.99},
    "uint8": {
        "PRELU": 0.99, "CONV_2D": 0.99, "DEPTHWISE_CONV_2D": 0.99, "TRANSPOSE_CONV": 0.99,
        "RESIZE_BILINEAR": 0.9},
}  # fmt: skip
ABSENT = ("DIV",)
MOST_DISTINCT = 10  # results must differ for the comparison to mean anything


@pytest.mark.parametrize("usual", [False, True], ids=["reference", "usual kernels"])
@pytest.mark.parametrize("dtype", ROUGH)
def test_operators_equal_the_reference(dtype, usual, tmp_path):
    chosen = [
        case
        for case in CASES
        if dtype in case.dtypes and case.usual == usual and case.kind not in ABSENT
    ]
    content, feeds, operators = build(chosen, dtype)
    kernels = KERNELS if usual else OpResolverType.BUILTIN_REF
    expected = dict(zip(operators, litert_run(content, feeds, kernels), strict=True))
    actual = compiled(content, feeds, tmp_path)
    for name, operator in operators.items():
        steps = np.abs(actual[name].astype(int) - expected[name])
        least = ROUGH[dtype].get(operator.split(",")[0], 1.0)
        assert steps.max() <= (least < 1), operator
        assert (steps == 0).mean() >= least, operator
        distinct = np.unique(expected[name]).size
        assert distinct > min(MOST_DISTINCT, expected[name].size // 2), operator


def compiled(content, feeds, tmp_path):
    """What a file computes in the mode."""
    (tmp_path / "net.tflite").write_bytes(content)
    compile_model(tmp_path / "net.tflite", "host", tmp_path / "out", requantize="tflite")
    with load(tmp_path / "out") as session:
        return session.run(feeds)


FUNCTIONS = {
    "HARD_SWISH": ("HardSwishOptions", {}),
    "LEAKY_RELU": ("LeakyReluOptions", {"alpha": 0.13}),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    "kind", ["FULLY_CONNECTED", "ADD", "CONV_2D", "RESIZE_BILINEAR", "AVERAGE_POOL_2D"]
)
def test_functions_behind_other_operators_equal_the_reference(kind, function, tmp_path):
    case = next(case for case in CASES if case.kind == kind)
    writer = Writer("int8", seed=1)
    x, (between,) = case.append(writer, "x")
    y = writer.value("y", case.shape, 0.0299, -100)
    options, fields = FUNCTIONS[function]
    writer.file.operator(function, [between], [y], options, **fields)
    content, feeds = writer.file.pack([x], [y]), {"x": writer.integers(case.source)}
    (expected,) = litert_run(content, feeds)
    np.testing.assert_array_equal(compiled(content, feeds, tmp_path)["y"], expected)


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
