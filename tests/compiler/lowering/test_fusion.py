"""Epilogues say what they need not do: add a zero point of 0, limit what saturates anyway."""

import numpy as np
import onnx_ir as ir
import pytest

from octavo.compiler.lowering.fusion import Tail, epilogue
from octavo.compiler.lowering.program import Buffer
from octavo.compiler.lowering.tensor import Tensor


def record(scale=0.1, zero_point=0, acc_scale=0.001, low=-np.inf, high=np.inf, mode="float32"):
    y = Buffer("y", 8)
    output = Tensor(y, "uint8", (1, 8), (8, 1), scale=scale, zero_point=zero_point)
    tail = Tail((), ir.Value(name="y"), low=low, high=high)
    return epilogue(tail, mode, np.full(8, acc_scale), output, None)[0]


def test_a_rectified_output_from_zero_only_saturates():
    plain = record(low=0.0)
    assert not plain.has_limits
    assert not plain.has_zero_point


def test_another_zero_point_is_added():
    assert record(zero_point=7).has_zero_point
    assert not record(zero_point=7).has_limits


@pytest.mark.parametrize("changes", [
    {"high": 6.0},  # 60 steps, below 255
    {"low": 0.0, "zero_point": 7},  # results below 7 are cut
    {"acc_scale": 0.1},  # the largest accumulators leave the int32 range when scaled
])  # fmt: skip
def test_limits_stay_where_saturation_is_not_enough(changes):
    assert record(**changes).has_limits


def test_integer_arithmetic_is_always_limited():
    assert record(low=0.0, mode="dyadic").has_limits
