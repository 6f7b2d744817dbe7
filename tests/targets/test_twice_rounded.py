"""Results that are rounded twice in 32-bit lanes equal those of 64-bit arithmetic."""

import dataclasses

import numpy as np
import pytest
from tests.targets import test_binary, test_conv_gemm, test_depthwise

from octavo.compiler.lowering.tflite_rounding import sum_constants
from octavo.targets.ops.binary import reference as reference_of_binary
from octavo.targets.ops.conv import Conv, reference
from octavo.targets.ops.requantize import DIVIDED_SHIFTS, Requantize

FIELDS = {
    "plain": {},
    "signed": {"dtype": "int8"},
    "table": {"has_table": True},
}


def divided(fields):
    return Requantize(mode="tflite", is_divided=True, **fields)


def with_multipliers(arrays, lowest, highest):
    """The same constants with multipliers that are divided once more: many ties."""
    rng = np.random.default_rng(lowest)
    shape = arrays["shift"].shape
    significand = rng.integers(2**30, 2**31, shape, dtype=np.int64)
    significand.reshape(-1)[::2] = 2**30
    shift = rng.integers(lowest, highest + 1, shape)
    return arrays | {
        "significand": significand.astype(np.int32), "shift": shift.astype(np.int32)}


@pytest.mark.parametrize("name", FIELDS)
def test_convolutions(run_kernel, isa, name):
    for channels in (2 * isa.lanes + 5, 4 * isa.lanes):
        op = Conv(1, 3, 5, 16, channels, requantize=divided(FIELDS[name]))
        arrays = test_conv_gemm.make_arrays(op, np.random.default_rng(2))
        for shifts in ((38, 43), (DIVIDED_SHIFTS[0], DIVIDED_SHIFTS[-1])):
            scaled = with_multipliers(arrays, *shifts)
            result = test_conv_gemm.run(run_kernel, op, isa, scaled)
            np.testing.assert_array_equal(result, reference(op, scaled))


def test_the_largest_accumulators(run_kernel, isa):
    op = Conv(1, 2, 2, 4, isa.lanes, requantize=divided({}))
    arrays = test_conv_gemm.make_arrays(op, np.random.default_rng(3))
    arrays["bias"] = np.resize(
        np.array([2**31 - 2**18, -(2**31) + 2**18], np.int32), arrays["bias"].shape)
    scaled = with_multipliers(arrays, DIVIDED_SHIFTS[0], DIVIDED_SHIFTS[-1])
    result = test_conv_gemm.run(run_kernel, op, isa, scaled)
    np.testing.assert_array_equal(result, reference(op, scaled))


@pytest.mark.parametrize("channels", [20, 64])
@pytest.mark.parametrize("name", ["plain", "table"])
def test_depthwise_convolutions(run_kernel, isa, name, channels):
    op = test_depthwise.depthwise(6, 9, channels, requantize=divided(FIELDS[name]))
    arrays = with_multipliers(test_depthwise.make_arrays(op), 38, 43)
    result = test_depthwise.run(run_kernel, op, isa, arrays)
    np.testing.assert_array_equal(result, test_depthwise.reference(op, arrays))


@pytest.mark.parametrize("scales", [(0.03, 0.07, 0.05), (0.08, 0.0003, 0.1), (0.1, 0.1, 0.1)])
@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
def test_two_operands(run_kernel, random_array, isa, kind, scales):
    *terms, output = (np.float64(scale) for scale in scales)
    op = test_binary.same(kind, (3, 50), requantize=divided({}))
    arrays = test_binary.make_arrays(random_array, op, zero_points=(3, 200))
    if kind == "mul":
        arrays = with_multipliers(arrays, 36, 40)
    else:
        arrays |= sum_constants(tuple(terms), output)
        assert int(arrays["shift"][0]) in DIVIDED_SHIFTS
    expected = reference_of_binary(op, arrays)
    assert len(np.unique(expected)) > 20
    test_binary.check(run_kernel, op, isa, arrays)


def test_the_flag_leaves_the_result_alone(run_kernel, isa):
    op = Conv(1, 3, 5, 16, 24, requantize=divided({}))
    arrays = with_multipliers(
        test_conv_gemm.make_arrays(op, np.random.default_rng(4)), 38, 43)
    plain = dataclasses.replace(op, requantize=Requantize(mode="tflite"))
    np.testing.assert_array_equal(
        test_conv_gemm.run(run_kernel, op, isa, arrays),
        test_conv_gemm.run(run_kernel, plain, isa, arrays))
