"""exp, tanh, sigmoid and erf in compiled float code, against float64, over all magnitudes."""

import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from scipy.special import erf, expit

from octavo.compiler.compile import compile_model
from octavo.compiler.session import load

NUM = 1 << 16
# Function and largest error in units in the last place, as the docstrings promise.
FUNCTIONS = {
    "Exp": (np.exp, 1.5), "Tanh": (np.tanh, 2.0), "Sigmoid": (expit, 2.5), "Erf": (erf, 1.5),
}  # fmt: skip
SPECIAL = {
    "Exp": [np.inf, 0.0, np.nan, 1.0, 1.0],
    "Tanh": [1.0, -1.0, np.nan, 0.0, -0.0],
    "Sigmoid": [1.0, 0.0, np.nan, 0.5, 0.5],
    "Erf": [1.0, -1.0, np.nan, 0.0, -0.0],
}
SPECIAL_ARGUMENTS = [np.inf, -np.inf, np.nan, 0.0, -0.0]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("math")
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], [op]) for op in FUNCTIONS],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (NUM,))],
        [helper.make_tensor_value_info(op, TensorProto.FLOAT, (NUM,)) for op in FUNCTIONS],
    )
    opset = helper.make_opsetid("", 20)
    onnx.save(helper.make_model(graph, opset_imports=[opset]), folder / "math.onnx")
    compile_model(folder / "math.onnx", "host", folder / "out", float_only=True)
    return folder / "out"


@pytest.fixture(scope="module")
def results(artifact):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, NUM // 2, np.uint64).astype(np.uint32).view(np.float32)
    usual = rng.uniform(-105, 105, NUM // 4).astype(np.float32)
    small = rng.uniform(-4, 4, NUM // 4).astype(np.float32)
    x = np.concatenate([bits, usual, small])
    x[: len(SPECIAL_ARGUMENTS)] = SPECIAL_ARGUMENTS
    with load(artifact) as session:
        return x, session.run({"x": x})


@pytest.mark.parametrize("op", FUNCTIONS)
def test_errors_are_a_few_units_in_the_last_place(results, op):
    x, got = results[0], results[1][op]
    function, most = FUNCTIONS[op]
    with np.errstate(all="ignore"):
        exact = function(x.astype(np.float64))
        rounded = exact.astype(np.float32)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    units = np.abs(got[finite] - exact[finite]) / np.spacing(np.abs(rounded[finite]))
    # A sigmoid below 2**-126 is 1 / (1 + exp(-x)) of a number that overflows close to there.
    if op == "Sigmoid":
        units = units[np.abs(exact[finite]) > np.finfo(np.float32).tiny * 2]
    assert units.max() <= most


@pytest.mark.parametrize("op", FUNCTIONS)
def test_infinities_zeros_and_nan(results, op):
    got = results[1][op][: len(SPECIAL_ARGUMENTS)]
    expected = np.array(SPECIAL[op], np.float32)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.signbit(got[3:]), np.signbit(expected[3:]))


def test_nothing_of_the_math_library_is_called(artifact):
    symbols = subprocess.run(
        ["nm", "--undefined-only", artifact / "kernels.o"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert not {"expf", "tanhf", "erff"} & set(symbols.split())
