"""Fixed-point tanh and rows against real arithmetic."""

import numpy as np
import pytest

from octavo.targets.ops.fixed_point import (
    COEFFICIENT_BITS,
    EXPONENT_BITS,
    GATE_LIMIT,
    NODE_BITS,
    NUM_SEGMENTS,
    SEGMENT_BITS,
    STATE_BITS,
    TABLE_ROWS,
    TANH_BITS,
    apply_rows,
    fixed_rows,
    tanh_fixed,
    tanh_table,
)

# Both are below the 2**-12 that gates are allowed.
TANH_ERROR = 2.0**-14.9
SIGMOID_ERROR = 2.0**-15.9


def every_step() -> np.ndarray:
    return np.arange(-9 << STATE_BITS, 9 << STATE_BITS, dtype=np.int32)


def test_tanh_and_sigmoid_are_close_everywhere() -> None:
    fixed = every_step()
    real = fixed * 2.0**-STATE_BITS
    tanh = tanh_fixed(fixed)
    assert np.abs(tanh * 2.0**-TANH_BITS - np.tanh(real)).max() < TANH_ERROR
    sigmoid = (tanh + (1 << TANH_BITS)) * 2.0**-STATE_BITS
    assert np.abs(sigmoid - 1 / (1 + np.exp(-2 * real))).max() < SIGMOID_ERROR
    assert (np.diff(tanh) >= 0).all()


def test_tanh_saturates() -> None:
    extremes = np.array([-(2**31), -GATE_LIMIT, GATE_LIMIT, 2**31 - 1], np.int32)
    np.testing.assert_array_equal(tanh_fixed(extremes), [-32767, -32767, 32767, 32767])


def test_tanh_is_odd() -> None:
    fixed = every_step()
    np.testing.assert_array_equal(tanh_fixed(-fixed), -tanh_fixed(fixed))


def test_table_entries_are_nodes_and_slopes() -> None:
    table = tanh_table()
    assert table.shape == (TABLE_ROWS, NUM_SEGMENTS)
    nodes = (table[0] >> EXPONENT_BITS) * 2.0**-NODE_BITS - 2.0 ** -(TANH_BITS + 1)
    starts = np.arange(NUM_SEGMENTS) * 2.0 ** (SEGMENT_BITS - STATE_BITS)
    np.testing.assert_allclose(nodes, np.tanh(starts), rtol=0, atol=2.0**-NODE_BITS)
    slopes = table[1] & ((1 << COEFFICIENT_BITS) - 1)
    shifts = table[0] & ((1 << EXPONENT_BITS) - 1)
    real = slopes * 2.0 ** (STATE_BITS - NODE_BITS - shifts)
    # The cubic leaves a segment's start off by up to 1/100 of the slope.
    np.testing.assert_allclose(real, 1 / np.cosh(starts) ** 2, rtol=0.01)


@pytest.mark.parametrize("multiplier", [2.0**-40, 1e-6, 0.7, 3.3, 2.0**20])
@pytest.mark.parametrize("bias", [0.0, 0.3, -70000.0, 2.0**40])
def test_rows_round_the_real_sum(multiplier: float, bias: float) -> None:
    acc = np.random.default_rng(0).integers(-(2**25), 2**25, 1000).astype(np.int32)
    rows = fixed_rows(np.array([multiplier]), np.array([bias]))
    got = apply_rows(acc, *rows)
    real = np.clip(acc * multiplier + bias, -GATE_LIMIT, GATE_LIMIT)
    # Half a step of rounding; the significand and the bias have half a unit of their own.
    unit = 2.0 ** -float(rows[2][0])
    assert np.abs(got - real).max() <= 0.5 + (2**25 + 1) * unit / 2 + 1e-6
