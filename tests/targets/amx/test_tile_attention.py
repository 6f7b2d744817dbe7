"""Attention on tiles equals its reference."""

from dataclasses import replace

import numpy as np
import pytest
from tests.targets.test_attention import MODES, arrays_of, fused

from octavo.targets.kernels.tile_attention import TileAttention
from octavo.targets.kernels.tile_cost import SLOWER
from octavo.targets.ops.attention import MAX_COLUMNS, reference
from octavo.targets.x86.amx import AmxInt8
from octavo.targets.x86.avx512_vnni import Avx512Vbmi

ISA = AmxInt8()


class AnySize(TileAttention):
    """Serves what vector registers compute faster, too."""

    def reject(self, op, isa):
        reason = super().reject(op, isa)
        return "" if reason == SLOWER else reason


def check(run_tiles, op, arrays):
    names = ("q", "k", "v") if op.mask_strides is None else ("q", "k", "mask", "v")
    expected = reference(op, arrays)
    got = run_tiles(
        AnySize(), op, [arrays[n] for n in names], arrays, np.zeros(op.y_elements, op.dtype))
    np.testing.assert_array_equal(got, expected)
    assert len(np.unique(expected)) > 1, "a constant output would hide errors"


@MODES
@pytest.mark.parametrize("columns", [4, 15, 17, 63, 65, 197])
def test_columns_around_the_tiles(run_tiles, mode, columns):
    check(run_tiles, *with_arrays(fused(1, 5, columns, 12, 8, mode=mode), columns))


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 31, 32, 33, 49, 66])
def test_rows_around_the_tiles(run_tiles, rows):
    check(run_tiles, *with_arrays(fused(3, rows, 40, 64, 64), rows))


@pytest.mark.parametrize("width", [1, 17, 64, 80])
@pytest.mark.parametrize("depth", [1, 33, 64, 130])
def test_features_around_the_tiles(run_tiles, depth, width):
    check(run_tiles, *with_arrays(fused(2, 20, 20, depth, width), width))


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("q_dtype", ["uint8", "int8"])
def test_operands_of_either_sign(run_tiles, q_dtype, dtype):
    op = fused(2, 19, 37, 16, 16, q_dtype=q_dtype, k_dtype=dtype, v_dtype="int8", dtype=dtype)
    check(run_tiles, *with_arrays(op, 3))


@pytest.mark.parametrize("columns", [5, 16, 70])
def test_masks_for_every_row_and_for_each(run_tiles, columns):
    shared = fused(2, 34, columns, 16, 16, mask_strides=(columns, 0, 0, 1),
                   mask_elements=columns)
    check(run_tiles, *with_arrays(shared, 1))
    each = replace(shared, mask_strides=(0, 34 * columns, columns, 1),
                   mask_elements=68 * columns)
    check(run_tiles, *with_arrays(each, 2))


def test_keys_and_values_shared_by_heads(run_tiles):
    op = fused(4, 18, 21, 16, 16)
    shared = replace(
        op, batch=(2, 4), q_strides=(0, 16, 64), y_strides=(18 * 64, 16, 64),
        y_elements=2 * 18 * 64, k_strides=(21 * 16, 0, 1, 16), k_elements=2 * 21 * 16,
        v_strides=(0, 0, 16, 1), v_elements=21 * 16)
    check(run_tiles, *with_arrays(shared, 5))


def test_operands_that_lie_the_other_way_round(run_tiles):
    turned = replace(
        fused(1, 17, 33, 20, 18), k_strides=(0, 0, 33, 1), v_strides=(0, 0, 1, 33))
    check(run_tiles, *with_arrays(turned, 6))


def test_attention_of_several_tasks_sets_tiles_up_once_in_each(run_tiles, tiles):
    op = fused(3, 197, 197, 64, 64)
    assert TileAttention().reject(op, ISA) == ""
    if tiles.emulator is not None:
        tiles.take_counts()
    check(run_tiles, *with_arrays(op, 7))
    counts = tiles.take_counts()
    assert 12 <= counts["load_config"] == counts["release"] <= 24


@pytest.mark.parametrize(("op", "isa", "reason"), [
    (fused(1, 1, 4, 8, 8), ISA, SLOWER),
    (fused(1, 1, MAX_COLUMNS + 1, 4, 4), ISA, str(MAX_COLUMNS)),
    (fused(3, 197, 197, 64, 64), Avx512Vbmi(), "avx512_vbmi has no tiles"),
], ids=["small", "long", "no tiles"])
def test_what_tiles_refuse(op, isa, reason):
    assert reason in TileAttention().reject(op, isa)


def with_arrays(op, seed):
    return op, arrays_of(op, seed)
