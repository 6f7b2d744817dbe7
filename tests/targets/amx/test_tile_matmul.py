"""Products of two activations on tiles equal their reference."""

import itertools

import numpy as np
import pytest
from tests.targets.test_matmul import mixture, random_arrays, scores

from octavo.targets.kernels.matmul import MAX_DEPTH
from octavo.targets.kernels.tile_cost import SLOWER
from octavo.targets.kernels.tile_matmul import TileMatMul
from octavo.targets.ops.matmul import MatMul, reference
from octavo.targets.ops.requantize import Requantize
from octavo.targets.x86.amx import AmxInt8
from octavo.targets.x86.avx512_vnni import Avx512Vbmi

ISA = AmxInt8()


class AnySize(TileMatMul):
    """Serves what vector registers compute faster, too."""

    def reject(self, op, isa):
        reason = super().reject(op, isa)
        return "" if reason == SLOWER else reason


def check(run_tiles, op, seed, **fields):
    arrays = random_arrays(op, seed, **fields)
    inputs = [arrays[name] for name in ("a", "b", "residual") if name in arrays]
    got = run_tiles(AnySize(), op, inputs, arrays, np.zeros(op.y_elements, op.out_dtype))
    np.testing.assert_array_equal(got, reference(op, arrays))


@pytest.mark.parametrize(
    ("a_dtype", "b_dtype"), list(itertools.product(("uint8", "int8"), repeat=2)))
@pytest.mark.parametrize("make", [scores, mixture])
def test_every_pair_of_types(run_tiles, make, a_dtype, b_dtype):
    check(run_tiles, make(2, 37, 70, a_dtype=a_dtype, b_dtype=b_dtype), 1)


@pytest.mark.parametrize("length", [1, 3, 15, 16, 17, 33, 49, 66, 130])
def test_sizes_around_the_tiles(run_tiles, length):
    check(run_tiles, scores(1, length, 16), length)
    check(run_tiles, mixture(2, length, length + 1), length)


@pytest.mark.parametrize("requantize", [
    Requantize(mode="dyadic"),
    Requantize(mode="dyadic", residual="uint8"),
    Requantize(residual="int8", dtype="int8"),
    Requantize(has_table=True),
    Requantize(dtype="float32"),
], ids=str)
def test_every_epilogue(run_tiles, requantize):
    check(run_tiles, scores(2, 35, 12, requantize=requantize), 2)


@pytest.mark.parametrize("mode", ["float32", "dyadic"])
@pytest.mark.parametrize("multiplier", [2.0**-40, 3.7])
def test_extreme_multipliers(run_tiles, mode, multiplier):
    op = mixture(1, 18, 20, requantize=Requantize(mode=mode))
    check(run_tiles, op, 3, multiplier=multiplier)


def test_an_operand_that_the_batch_shares(run_tiles):
    op = MatMul((2, 3), 7, 9, 6, (42, 0, 6), (0, 54, 9, 1), (189, 63, 9), 84, 162, 378)
    check(run_tiles, op, 4)
    op = MatMul((3,), 7, 9, 6, (42, 6), (0, 9, 1), (63, 9), 126, 54, 189)
    check(run_tiles, op, 5)


def test_operands_that_start_inside_their_tensors(run_tiles):
    # Queries, keys and values side by side, as one projection writes them: (17, 3, 2, 8).
    fused = 17 * 3 * 16
    op = MatMul((2,), 17, 17, 8, (8, 48), (8, 1, 48), (289, 17), fused, fused, 600,
                a_offset=0, b_offset=16, y_offset=5)
    check(run_tiles, op, 6)
    op = MatMul((2,), 17, 8, 17, (289, 17), (8, 48, 1), (8, 16), 580, fused, 17 * 16,
                a_offset=2, b_offset=32, a_dtype="int8")
    check(run_tiles, op, 7)


@pytest.mark.parametrize(("make", "a_dtype"), [(scores, "uint8"), (mixture, "int8")])
def test_products_of_several_tasks(run_tiles, tiles, make, a_dtype):
    op = make(3, 197, 64, a_dtype=a_dtype)
    assert TileMatMul().reject(op, ISA) == ""
    check(run_tiles, op, 8)


@pytest.mark.parametrize(("a_dtype", "b_dtype"), [("uint8", "uint8"), ("int8", "int8")])
def test_the_deepest_product_does_not_overflow(run_tiles, a_dtype, b_dtype):
    op = MatMul((), 2, 3, MAX_DEPTH, (MAX_DEPTH,), (1, MAX_DEPTH), (3,),
                2 * MAX_DEPTH, 3 * MAX_DEPTH, 6, a_dtype, b_dtype)
    arrays = random_arrays(op, 9, multiplier=2.0**-24)
    low, high = np.iinfo(a_dtype).min, np.iinfo(a_dtype).max
    arrays["a"][:], arrays["b"][:] = high, high
    for zero_points in ((low, low), (low, high), (high, low)):
        arrays["zero_points"] = np.array(zero_points, np.int32)
        got = run_tiles(
            AnySize(), op, [arrays["a"], arrays["b"]], arrays, np.zeros(6, op.out_dtype))
        np.testing.assert_array_equal(got, reference(op, arrays))


@pytest.mark.parametrize(("op", "reason"), [
    (scores(1, 64, 64, a_dtype="float32", b_dtype="float32"), "float operands"),
    (scores(1, 3, 64), SLOWER),
    (MatMul((), 2, 3, MAX_DEPTH + 1, (MAX_DEPTH + 1,), (1, MAX_DEPTH + 1), (3,),
            2 * MAX_DEPTH + 2, 3 * MAX_DEPTH + 3, 6), "16385"),
], ids=["float", "small", "deep"])
def test_what_tiles_refuse(op, reason):
    assert reason in TileMatMul().reject(op, ISA)


def test_attention_is_taken_where_there_are_tiles():
    for op in (scores(3, 197, 64), mixture(3, 197, 64), scores(12, 128, 32)):
        assert TileMatMul().reject(op, ISA) == ""
        assert TileMatMul().reject(op, Avx512Vbmi()) == "avx512_vbmi has no tiles"
