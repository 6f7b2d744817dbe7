import numpy as np
import onnx_ir as ir
import pytest

from octavo.compiler.lowering.factors import factors_of_constants, weight_factors
from octavo.compiler.lowering.program import Factors


def dequantized(values, scale, zero_point=None, **attributes):
    inputs = [values, scale] if zero_point is None else [values, scale, zero_point]
    node = ir.node(
        "DequantizeLinear",
        [
            ir.Value(name=name, const_value=ir.tensor(array))
            for name, array in zip("wsz", inputs, strict=False)
        ],
        attributes=attributes,
    )
    return node.outputs[0]


def plain(weight):
    return weight


def test_factors_are_what_dequantizing_multiplies():
    rng = np.random.default_rng(0)
    values = rng.integers(-7, 8, (4, 8)).astype(np.int8)
    scale = rng.uniform(0.1, 1, (4, 2)).astype(np.float32)
    blocks = dequantized(values, scale, axis=1, block_size=4)
    found = weight_factors(blocks, np.transpose)
    assert (found.integers == values.T).all()
    assert (found.scales == np.repeat(scale, 4, axis=1).T).all()
    zeros = np.full(4, 120, np.uint8)
    middle = dequantized((values + 120).astype(np.uint8), scale[:, 0], zeros, axis=0)
    found = weight_factors(middle, plain)
    assert (found.integers == values).all()
    assert (found.scales == scale[:, :1]).all()


def test_wide_integers_and_other_values_have_no_factors():
    wide = dequantized(np.array([[200, 3]], np.int16), np.float32(0.5))
    assert weight_factors(wide, plain) is None
    assert weight_factors(ir.Value(name="x"), plain) is None
    assert weight_factors(None, plain) is None


@pytest.fixture
def factors():
    rng = np.random.default_rng(1)
    integers = rng.integers(-7, 8, (5, 3)).astype(np.int8)
    return Factors(integers, np.repeat(rng.uniform(0.1, 1, (5, 1)), 3, 1).astype(np.float32))


def found_by(constants, factors):
    weight = factors.integers.astype(np.float32) * factors.scales
    arrays = {"weight": weight, "bias": np.ones(5, np.float32) * 3}
    wanted = constants(arrays)
    return wanted, factors_of_constants(constants, arrays, wanted, factors)


def test_kernels_that_pad_and_move_keep_factors(factors):
    def constants(arrays):
        padded = np.zeros((8, 3), np.float32)
        padded[:5] = arrays["weight"]
        return [padded.T.copy().reshape(-1), arrays["bias"]]

    wanted, (weight, bias) = found_by(constants, factors)
    assert bias is None
    assert (weight.integers * weight.scales == wanted[0]).all()
    assert weight.integers.dtype == np.int8


@pytest.mark.parametrize(
    "transform",
    [
        lambda weight: weight[:, :2] + weight[:, 1:],
        lambda weight: weight * np.float32(0.5),
        lambda weight: weight.astype(np.float16),
        lambda weight: weight * np.inf,
    ],
)
def test_kernels_that_transform_or_round_are_found_out(factors, transform):
    with np.errstate(invalid="ignore"):
        _, found = found_by(lambda arrays: [transform(arrays["weight"])], factors)
    assert found == [None]


def test_without_factors_nothing_is_asked(factors):
    def constants(arrays):
        raise AssertionError

    assert factors_of_constants(constants, {}, [np.ones(3)], None) == [None]
