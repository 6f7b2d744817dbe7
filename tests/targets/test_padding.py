"""What kernels compute in vain, against numbers that were worked out by hand."""

import numpy as np
import pytest
from tests.targets.test_conv_gemm import make_arrays

from octavo.targets import get_target
from octavo.targets.instructions import isa_of
from octavo.targets.kernels.conv_gemm import ConvGemm
from octavo.targets.kernels.conv_lines import ConvLines
from octavo.targets.kernels.depthwise import Depthwise
from octavo.targets.kernels.matmul import MatMulGemm
from octavo.targets.kernels.tile_conv import TileConv
from octavo.targets.kernels.tile_matmul import TileMatMul
from octavo.targets.kernels.tiling import Tiling
from octavo.targets.kernels.winograd import Winograd
from octavo.targets.kernels.winograd_layout import WinogradSchedule
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.matmul import MatMul
from octavo.targets.ops.pool import MaxPool
from octavo.targets.padding import (
    CHANNELS,
    COLUMNS,
    DEPTH,
    INPUT_CHANNELS,
    KERNEL_ROWS,
    OUTPUT_CHANNELS,
    PIXELS,
    ROWS,
    Padding,
    padding_of,
    round_up,
    waste,
)
from octavo.targets.x86.amx import AmxInt8

VNNI = isa_of(get_target("x86-64-avx512vnni"))
PADS = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}
IMAGE = {"batch": 1, "in_h": 10, "in_w": 10}
STEM = {**IMAGE, **PADS, "in_c": 3, "out_c": 24, "kernel_h": 3, "kernel_w": 3}


def tiled(rows, panel):
    return ConvGemm(Tiling(rows, panel, 1, round_up(100, rows) // rows))


@pytest.mark.parametrize(
    ("kernel", "op", "expected"),
    [
        # 24 channels are two vectors of 16; 3 columns of 3 channels are three steps of 4.
        (tiled(8, 2), Conv(**STEM),
         [(OUTPUT_CHANNELS, 24, 32), (INPUT_CHANNELS, 9, 12), (PIXELS, 100, 104)]),
        # Float adds one product at a time.
        (tiled(10, 1), Conv(**STEM, dtype="float32"),
         [(OUTPUT_CHANNELS, 24, 32), (INPUT_CHANNELS, 9, 9), (PIXELS, 100, 100)]),
        # Each of 8 groups has 2 output channels in a vector of its own.
        (tiled(7, 1), Conv(**IMAGE, in_c=24, out_c=16, groups=8),
         [(OUTPUT_CHANNELS, 2, 16), (INPUT_CHANNELS, 3, 4), (PIXELS, 100, 105)]),
        (ConvLines(), Conv(**(STEM | {"in_c": 8})),
         [(OUTPUT_CHANNELS, 24, 32), (INPUT_CHANNELS, 24, 24)]),
        # 10 x 10 pixels are 3 x 3 tiles of 4 x 4, in blocks of 5.
        (Winograd(WinogradSchedule(5, 1, True)), Conv(**(STEM | {"in_c": 64, "out_c": 16})),
         [(PIXELS, 100, 10 * 16)]),
    ],
)  # fmt: skip
def test_of_convolutions(kernel, op, expected):
    assert padding_of(kernel, op, VNNI) == tuple(Padding(*e) for e in expected)


def test_of_depthwise_convolutions():
    op = Conv(**(STEM | {"in_c": 24, "groups": 24}))
    channels, taps, pixels = padding_of(Depthwise(), op, VNNI)
    assert (channels, taps) == (Padding(CHANNELS, 24, 32), Padding(KERNEL_ROWS, 3, 4))
    assert pixels.axis == PIXELS
    assert pixels.wanted == 10 <= pixels.computed
    arrays = make_arrays(op, np.random.default_rng(0))
    weight = Depthwise().constants(op, VNNI, arrays)[0]
    assert weight.size == 3 * channels.computed * taps.computed


def test_of_products_of_activations():
    op = MatMul((), 9, 20, 30, (30,), (20, 1), (20,), 270, 600, 180)
    kernel = MatMulGemm(Tiling(4, 2, 3, 1))
    assert padding_of(kernel, op, VNNI) == (
        Padding(ROWS, 9, 12), Padding(COLUMNS, 20, 32), Padding(DEPTH, 30, 32))


def test_of_matrix_units():
    isa = AmxInt8()
    conv = Conv(batch=1, in_h=1, in_w=40, in_c=70, out_c=40)
    pixels, outputs, inputs = padding_of(TileConv(), conv, isa)
    assert outputs == Padding(OUTPUT_CHANNELS, 40, 48)
    assert inputs == Padding(INPUT_CHANNELS, 70, 72)
    assert pixels.axis == PIXELS
    assert pixels.wanted == 40 <= pixels.computed <= 64
    product = MatMul((), 40, 40, 70, (70,), (40, 1), (40,), 2800, 2800, 1600)
    rows, columns, depth = padding_of(TileMatMul(), product, isa)
    assert (columns.computed, depth.computed) == (48, 72)
    assert rows.axis == ROWS
    assert rows.wanted == 40 <= rows.computed <= 64


@pytest.mark.parametrize("name", ["host", "x86-64-avx2", "arm64-neon", "hexagon-v68",
                                  "riscv64-rvv", "armv7-neon"])  # fmt: skip
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
def test_never_less_than_is_wanted(name, dtype):
    isa = isa_of(get_target(name))
    for channels in (1, 3, 17, 40):
        for groups in {1, channels}:
            op = Conv(**(STEM | {"in_c": channels, "out_c": channels}), groups=groups,
                      dtype=dtype)  # fmt: skip
            for kernel in (ConvGemm(), Depthwise(), ConvLines()):
                if not kernel.reject(op, isa):
                    found = padding_of(kernel, op, isa)
                    assert found
                    assert all(p.computed >= p.wanted >= 1 for p in found)


def test_waste_multiplies_and_other_kernels_have_none():
    half, third = Padding(CHANNELS, 8, 16), Padding(PIXELS, 2, 3)
    assert waste([half, third]) == pytest.approx(1 - 1 / 3)
    assert waste([]) == 0
    assert half.waste == 0.5
    from octavo.targets.library import kernels_for

    pool = MaxPool(batch=1, in_h=4, in_w=4, channels=3, kernel_h=2, kernel_w=2,
                 out_h=3, out_w=3)  # fmt: skip
    assert padding_of(kernels_for(pool)[0], pool, VNNI) == ()
