"""Scales of weights of every width."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from octavo.passes.quant_math import (
    choose_qparams,
    dequantize,
    integer_range,
    quantize,
    weight_qmax,
)
from octavo.passes.weight_scales import block_scale, range_method, spread_blocks, weight_scale

WEIGHTS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=4, max_side=6),
    elements=st.floats(-100, 100, width=32),
)
BITS = st.sampled_from([2, 3, 4, 8, 16])


def rounded(weight, scale, axis, num_bits):
    dtype = "int8" if num_bits <= 8 else "int16"
    q = quantize(weight, scale, dtype=dtype, axis=axis, narrow_range=True, num_bits=num_bits)
    return q, dequantize(q, scale, axis=axis)


@given(WEIGHTS, BITS)
def test_extremes_are_the_largest_integers(weight, num_bits):
    scale = weight_scale(weight, 0, num_bits=num_bits)
    q, back = rounded(weight, scale, 0, num_bits)
    qmax = weight_qmax(num_bits)
    assert np.abs(q.astype(np.int64)).max() <= qmax
    for row, integers in zip(weight, q, strict=True):
        if np.abs(row).max() > 1e-6:
            assert np.abs(integers.astype(np.int64)).max() == qmax
    # Half a step, and the rounding of the division and the product in float32.
    bound = scale.reshape(-1, *[1] * (weight.ndim - 1)) * 0.5 + np.abs(weight) * 1e-6
    assert (np.abs(back - weight) <= bound).all()


@settings(deadline=None)
@given(WEIGHTS, st.sampled_from([2, 3, 4]), st.sampled_from([None, 0, 1]))
def test_searched_scales_are_never_worse_than_extremes(weight, num_bits, axis):
    errors = []
    for method in ("mse", "minmax"):
        scale = weight_scale(weight, axis, num_bits=num_bits, method=method)
        _, back = rounded(weight, scale, axis, num_bits)
        others = tuple(i for i in range(weight.ndim) if i != axis)
        square = np.square(back.astype(np.float64) - weight)
        errors.append(square.sum(axis=others if axis is not None else None))
    # The search divides in double: a tie may go the other way by the rounding of float32.
    assert (errors[0] <= errors[1] * (1 + 1e-5) + 1e-12).all()


def test_the_search_gains_what_theory_says(rng):
    weight = rng.normal(size=(4, 4096)).astype(np.float32)
    decibels = {}
    for method in ("minmax", "mse"):
        scale = weight_scale(weight, 0, num_bits=4, method=method)
        _, back = rounded(weight, scale, 0, 4)
        noise = np.square(back - weight).mean()
        decibels[method] = 10 * np.log10(np.square(weight).mean() / noise)
    # 16 even levels on normal numbers leave an error of 0.01154 at best, which is 19.4 dB
    # (Max 1960, table II); 15 levels a little more.
    assert 18.8 < decibels["mse"] < 19.4
    assert decibels["mse"] - decibels["minmax"] > 1.0


@pytest.mark.parametrize("size", [16, 32, 40, 15])
@pytest.mark.parametrize("axis", [0, 1])
def test_blocks_are_scaled_alone(rng, size, axis):
    shape = (size, 3) if axis == 0 else (3, size)
    weight = rng.normal(size=shape).astype(np.float32)
    scale = block_scale(weight, axis, 16, num_bits=4, method="minmax")
    assert scale.shape[axis] == -(-size // 16)
    for block in range(scale.shape[axis]):
        part = np.take(weight, range(16 * block, min(size, 16 * block + 16)), axis)
        expected = np.abs(part).max(axis=axis) / np.float32(7)
        np.testing.assert_array_equal(np.take(scale, block, axis), expected)
    spread = spread_blocks(scale, axis, 16, size)
    assert spread.shape == weight.shape
    q = quantize(weight, spread, narrow_range=True, num_bits=4)
    assert np.abs(q).max() == 7


def test_few_bits_are_searched_unless_told():
    assert [range_method(bits) for bits in (2, 3, 4, 8, 16)] == ["mse"] * 3 + ["minmax"] * 2
    assert range_method(4, "minmax") == "minmax"
    with pytest.raises(ValueError, match="allowed: minmax, mse"):
        weight_scale(np.ones((2, 2), np.float32), 0, method="max")


@pytest.mark.parametrize("method", ["minmax", "mse"])
def test_channels_of_zeros_take_the_widest_scale(method):
    weight = np.array([[0.0, 0.0], [3.0, -3.0]], np.float32)
    scale = weight_scale(weight, 0, num_bits=3, method=method)
    assert scale[0] == np.float32(3.0) / np.float32(3.0)


RANGES = st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)).filter(
    lambda r: max(-r[0], r[1]) > 1e-3 and r[0] <= r[1]
)


@given(RANGES, BITS, st.sampled_from(["uint8", "int8"]), st.booleans())
def test_activations_use_the_integers_of_their_bits(limits, num_bits, dtype, symmetric):
    params = choose_qparams(*limits, dtype=dtype, symmetric=symmetric, num_bits=num_bits)
    qmin, qmax = integer_range(params.dtype, num_bits)
    assert qmax - qmin == 2**num_bits - 1
    assert qmin <= params.zero_point <= qmax
    assert params.is_narrow == (num_bits not in (8, 16))
    x = np.linspace(2 * min(limits[0], 0), 2 * max(limits[1], 0), 301, dtype=np.float32)
    q = quantize(x, params.scale, params.zero_point, params.dtype, num_bits=num_bits)
    assert q.min() >= qmin
    assert q.max() <= qmax
    # Clip at the real limits and then the whole type: the same integers.
    clipped = np.clip(x, np.float32(params.low), np.float32(params.high))
    whole = quantize(clipped, params.scale, params.zero_point, params.dtype)
    np.testing.assert_array_equal(whole, q)
