"""Convolution on tiles: the machine code, run by the CPU or emulated, equals the reference."""

from dataclasses import replace

import numpy as np
import pytest
from tests.targets.test_conv_gemm import EPILOGUES, PAD, make_arrays
from tests.targets.test_conv_slices import widened

from octavo.targets.kernels.tile_conv import TileConv
from octavo.targets.kernels.tile_cost import SLOWER
from octavo.targets.ops.conv import Conv, Placement, reference
from octavo.targets.ops.requantize import Requantize
from octavo.targets.x86.amx import AmxInt8
from octavo.targets.x86.avx512_vnni import Avx512Vbmi

ISA = AmxInt8()


class AnySize(TileConv):
    """Serves what vector registers compute faster, too."""

    def reject(self, op, isa):
        reason = super().reject(op, isa)
        return "" if reason == SLOWER else reason


SHAPES = {
    "whole image": Conv(1, 9, 7, 64, 64),
    "gaps between rows": Conv(1, 9, 14, 5, 24, 3, 3, **PAD),
    "gaps between images": Conv(3, 6, 6, 8, 20, 3, 3, **PAD),
    "valid padding, 5x5": Conv(1, 11, 30, 6, 33, 5, 5),
    "strided": Conv(1, 9, 21, 5, 10, 3, 3, 2, 2, pad_left=2, pad_top=1),
    "strided, wider than a tile": Conv(2, 5, 39, 12, 48, 1, 1, 2, 2),
    "stride of rows only": Conv(1, 9, 17, 5, 10, 3, 1, 2, 1),
    "dilated": Conv(1, 12, 11, 5, 10, 3, 3, 1, 1, 2, 2),
    "strided, dilated": Conv(1, 12, 11, 5, 10, 3, 3, 2, 2, 2, 2, **PAD),
    "cropped": Conv(1, 9, 9, 8, 16, 1, 1, pad_top=-1, pad_left=-2),
    "first layer": Conv(1, 22, 22, 3, 32, 7, 7, 2, 2, 1, 1, 3, 3, 3, 3),
    "matrix product": Conv(1, 1, 45, 70, 10),
    "one pixel": Conv(1, 1, 1, 133, 170),
    "interleaved output": Conv(
        1, 5, 4, 8, 16, 2, 2, placement=Placement(8, 8, 2, 2, 1, 1)),
    "several tasks": Conv(1, 14, 14, 64, 160, 3, 3, **PAD),
    "several tasks along rows": Conv(1, 29, 29, 32, 96, 3, 3, 2, 2, **PAD),
}  # fmt: skip


def check(run_tiles, op, arrays, kernel=None):
    inputs = [arrays["x"]] + ([arrays["residual"]] if op.requantize.residual else [])
    y = np.zeros((op.batch, op.full_h, op.full_w, op.out_c), op.requantize.dtype)
    result = run_tiles(kernel or AnySize(), op, inputs, arrays, y)
    place = op.placement
    written = result[:, place.offset_h :: place.step_h, place.offset_w :: place.step_w]
    expected = reference(op, arrays)
    np.testing.assert_array_equal(written[:, : op.out_h, : op.out_w], expected)
    assert len(np.unique(expected)) > 1, "a constant output would hide errors"


def signed(op, arrays):
    """The same operation on signed activations, which stand for the same numbers."""
    moved = (arrays["x"].astype(np.int16) - 128).astype(np.int8)
    zero_point = arrays["zero_point"] - np.int32(128)
    return replace(op, dtype="int8"), arrays | {"x": moved, "zero_point": zero_point}


def with_rows(op, gathers):
    """The kernel that loads rows from the input, or the one that gathers them."""
    schedules = AnySize().schedules(op, ISA)
    return AnySize(next(s for s in schedules if s.gathers == gathers))


@pytest.mark.parametrize("gathers", [False, True], ids=["direct", "gathered"])
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_match_the_reference(run_tiles, name, gathers):
    op = SHAPES[name]
    arrays = make_arrays(op, np.random.default_rng(1))
    check(run_tiles, op, arrays, with_rows(op, gathers))


@pytest.mark.parametrize("name", SHAPES)
def test_signed_activations_match_the_reference(run_tiles, name):
    op, arrays = signed(SHAPES[name], make_arrays(SHAPES[name], np.random.default_rng(1)))
    check(run_tiles, op, arrays)


@pytest.mark.parametrize("gathers", [False, True], ids=["direct", "gathered"])
@pytest.mark.parametrize("name", [
    "whole image", "gaps between images", "strided", "cropped", "interleaved output"])
def test_slices_of_wider_tensors(run_tiles, name, gathers):
    gap = 13
    op = SHAPES[name]
    arrays = make_arrays(op, np.random.default_rng(10))
    place = replace(op.placement, pixel_stride=op.out_c + gap)
    sliced = replace(op, in_pixel_stride=op.in_c + gap, placement=place)
    y = np.full(sliced.out_elements, 77, np.uint8)
    got = run_tiles(
        with_rows(sliced, gathers), sliced, [widened(arrays["x"], sliced.in_pixel, 255)],
        arrays, y)
    expected = np.full((op.batch, op.full_h, op.full_w, op.out_c), 77, np.uint8)
    rows = expected[:, place.offset_h :: place.step_h, place.offset_w :: place.step_w]
    rows[:, : op.out_h, : op.out_w] = reference(op, arrays)
    np.testing.assert_array_equal(got, widened(expected, sliced.out_pixel, 77))


@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues_match_the_reference(run_tiles, name):
    op = Conv(1, 3, 15, 16, 101, requantize=EPILOGUES[name])
    check(run_tiles, op, make_arrays(op, np.random.default_rng(2)))


@pytest.mark.parametrize("name", ["residual", "dyadic, residual, table"])
def test_epilogues_skip_the_gaps(run_tiles, name):
    op = Conv(2, 5, 6, 16, 37, 3, 3, requantize=EPILOGUES[name], **PAD)
    check(run_tiles, op, make_arrays(op, np.random.default_rng(3)))


def test_a_float_tensor_is_added_to_float_results(run_tiles):
    op = Conv(1, 5, 9, 16, 70, 3, 3, requantize=Requantize(
        dtype="float32", residual="float32"), **PAD)
    rng = np.random.default_rng(11)
    arrays = make_arrays(replace(op, requantize=Requantize(dtype="float32")), rng)
    arrays["residual"] = rng.normal(0, 100, (1, 5, 9, 70)).astype(np.float32)
    check(run_tiles, op, arrays)


@pytest.mark.parametrize("channels", [1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 97, 129])
def test_output_channels_around_tiles_and_panels(run_tiles, channels):
    op = Conv(1, 1, 35, 20, channels)
    check(run_tiles, op, make_arrays(op, np.random.default_rng(4)))


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 63, 64, 65, 127, 128, 129, 260])
def test_input_channels_around_tiles(run_tiles, channels):
    op = Conv(1, 1, 35, channels, 20)
    check(run_tiles, op, make_arrays(op, np.random.default_rng(5)))


@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 65])
def test_rows_around_tiles_and_blocks(run_tiles, rows):
    op = Conv(1, 1, rows, 20, 40)
    check(run_tiles, op, make_arrays(op, np.random.default_rng(6)))


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_the_largest_accumulators_are_exact(run_tiles, dtype):
    op = Conv(1, 2, 20, 64, 24, requantize=Requantize(dtype="float32"))
    arrays = make_arrays(op, np.random.default_rng(7), zero_point=0)
    arrays["x"][...] = 255
    arrays["weight"][...] = np.where(np.arange(24) % 2, 127, -127)[:, None, None, None]
    if dtype == "int8":
        op, arrays = signed(op, arrays)
    check(run_tiles, op, arrays)


def test_tiles_are_set_up_once_for_each_task(run_tiles, tiles):
    op = SHAPES["several tasks"]
    arrays = make_arrays(op, np.random.default_rng(8))
    tiles.take_counts()
    check(run_tiles, op, arrays)
    counts = tiles.take_counts()
    assert 1 < counts["load_config"] == counts["release"] <= 16
    small = SHAPES["matrix product"]
    check(run_tiles, small, make_arrays(small, np.random.default_rng(8)))
    assert tiles.take_counts()["load_config"] == 1


def test_one_product_of_tiles_for_16384_products(run_tiles, tiles):
    """Where shapes fit: four products and four loads of tiles at a time, no other padding."""
    op = Conv(1, 16, 16, 256, 256)
    tiles.take_counts()
    check(run_tiles, op, make_arrays(op, np.random.default_rng(9)))
    counts = tiles.take_counts()
    assert counts["multiply"] == op.macs // (16 * 16 * 64)
    sums = 16 * 16 * 256 // (16 * 16)  # every tile of sums starts from the bias
    assert counts["load"] == counts["multiply"] + sums
    assert counts["store"] == sums


@pytest.mark.parametrize(("op", "reason"), [
    (Conv(1, 8, 8, 64, 64, dtype="float32"), "float32 activations"),
    (Conv(1, 8, 8, 64, 64, groups=2), "2 groups"),
    (Conv(1, 1, 2, 64, 64), SLOWER),
], ids=str)
def test_what_tiles_refuse(op, reason):
    assert reason in TileConv().reject(op, ISA)


def test_rows_are_gathered_where_taps_or_output_rows_are_short():
    pad = {"pad_top": 3, "pad_left": 3, "pad_bottom": 3, "pad_right": 3}
    for op in (Conv(1, 224, 224, 3, 64, 7, 7, 2, 2, **pad),
               Conv(1, 14, 14, 512, 512, 3, 3, 2, 2, **PAD)):
        assert TileConv().schedules(op, ISA)[0].gathers
    for op in (Conv(1, 28, 28, 128, 512), Conv(1, 14, 14, 256, 256, 3, 3, **PAD),
               Conv(1, 56, 56, 128, 128, 3, 3, 2, 2, **PAD)):
        assert not TileConv().schedules(op, ISA)[0].gathers


def test_large_convolutions_are_taken_where_there_are_tiles():
    op = Conv(1, 56, 56, 64, 64, 3, 3, **PAD)
    assert TileConv().reject(op, ISA) == ""
    assert TileConv().reject(op, Avx512Vbmi()) == "avx512_vbmi has no tiles"
