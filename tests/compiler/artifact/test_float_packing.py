import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from octavo.compiler.artifact.float_packing import find_pattern, packed_floats
from octavo.compiler.lowering.program import Factors


def expanded(pattern, size):
    places = np.arange(size)
    sets = places // (pattern.run * pattern.lanes * pattern.rows)
    return pattern.scales[sets * pattern.lanes + places // pattern.run % pattern.lanes]


@given(
    hnp.arrays(np.float32, st.integers(1, 12), elements=st.sampled_from([0.5, 1, 2, 3])),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_every_number_finds_its_scale(scales, run, rows):
    for lanes in range(1, scales.size + 1):
        if scales.size % lanes == 0:
            sets = scales.reshape(-1, 1, lanes, 1)
            shape = (sets.shape[0], rows, lanes, run)
            full = np.broadcast_to(sets, shape).reshape(-1)
            pattern = find_pattern(full)
            assert (expanded(pattern, full.size) == full).all()
            assert pattern.scales.size <= scales.size


def test_the_orders_of_kernels_need_no_more_scales_than_there_are():
    scales = np.random.default_rng(0).uniform(size=(32, 6)).astype(np.float32)
    each = np.repeat(scales, 16, axis=1)  # 32 outputs, 6 blocks of 16 inputs
    assert find_pattern(each.reshape(-1)).scales.size == scales.size
    assert find_pattern(each.T.reshape(-1)).scales.size == scales.size
    panels = each.reshape(2, 16, 96).transpose(0, 2, 1)
    pattern = find_pattern(panels.reshape(-1))
    assert (pattern.run, pattern.lanes, pattern.rows) == (1, 16, 16)
    assert pattern.scales.size == scales.size


@pytest.mark.parametrize("num_bits", [2, 3, 4, 8])
def test_what_is_stored(num_bits):
    largest = 2 ** (num_bits - 1) - 1
    rng = np.random.default_rng(0)
    integers = rng.integers(-largest, largest + 1, (40, 33)).astype(np.int8)
    scales = np.repeat(rng.uniform(size=(40, 1)), 33, axis=1).astype(np.float32)
    (packed,) = packed_floats(Factors(integers, scales))
    assert packed.num_bytes == 40 * 33 // 8 * num_bits + 4 * 40
    assert packed.integers.num_bits == num_bits


@pytest.mark.parametrize("block_size", [16, 96])
def test_the_last_panel_may_be_narrower(block_size):
    rng = np.random.default_rng(0)
    each = np.repeat(rng.uniform(size=(37, 96 // block_size)), block_size, axis=1)
    scales = each.astype(np.float32)
    panels = [scales[:16], scales[16:32], scales[32:]]
    full = np.concatenate([panel.T.reshape(-1) for panel in panels])
    integers = rng.integers(-7, 8, full.size).astype(np.int8)
    parts = packed_floats(Factors(integers, full))
    assert [part.pattern.lanes for part in parts] == [16, 5]
    sizes = [part.integers.num_values for part in parts]
    assert sizes == [32 * 96, 5 * 96]
    found = [expanded(part.pattern, size) for part, size in zip(parts, sizes, strict=True)]
    assert (np.concatenate(found) == full).all()
    assert sum(part.pattern.scales.size for part in parts) == 37 * 96 // block_size


def test_nothing_is_packed_that_saves_nothing():
    rng = np.random.default_rng(0)
    integers = rng.integers(-7, 8, 300).astype(np.int8)
    scales = rng.uniform(size=300).astype(np.float32)
    assert packed_floats(Factors(integers, scales)) is None
    assert packed_floats(Factors(integers[:8], np.ones(8, np.float32))) is None
    assert packed_floats(Factors(integers[:0], scales[:0])) is None
