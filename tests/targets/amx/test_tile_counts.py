"""What the model of tiles counts is what the machine code executes."""

import numpy as np
import pytest
from tests.targets.amx.test_tile_attention import AnySize as AnyAttention
from tests.targets.amx.test_tile_conv import SHAPES, with_rows
from tests.targets.amx.test_tile_matmul import AnySize as AnyMatMul
from tests.targets.test_attention import arrays_of, fused
from tests.targets.test_conv_gemm import make_arrays
from tests.targets.test_matmul import mixture, random_arrays

from octavo.targets.x86.amx import AmxInt8

ISA = AmxInt8()


def counted(run_tiles, tiles, kernel, op, inputs, arrays, y):
    if tiles.emulator is None:
        pytest.skip("this CPU has tiles, and does not count their instructions")
    tiles.take_counts()
    run_tiles(kernel, op, inputs, arrays, y)
    return tiles.take_counts()


def modelled(kernel, op):
    return sum(layout.num_products * times for layout, times in kernel.layouts(op, ISA))


@pytest.mark.parametrize("gathers", [False, True], ids=["direct", "gathered"])
@pytest.mark.parametrize("name", SHAPES)
def test_convolutions(run_tiles, tiles, name, gathers):
    op = SHAPES[name]
    kernel, arrays = with_rows(op, gathers), make_arrays(op, np.random.default_rng(1))
    y = np.zeros((op.batch, op.full_h, op.full_w, op.out_c), np.uint8)
    counts = counted(run_tiles, tiles, kernel, op, [arrays["x"]], arrays, y)
    assert counts["multiply"] == modelled(kernel, op)
    # Two or more products for each tile of columns or rows; sums start with a load each.
    assert counts["load"] <= 2 * counts["multiply"] + counts["store"]


def test_products_of_activations(run_tiles, tiles):
    op, kernel = mixture(2, 49, 130), AnyMatMul()
    arrays = random_arrays(op, 1)
    counts = counted(run_tiles, tiles, kernel, op, [arrays["a"], arrays["b"]], arrays,
                     np.zeros(op.y_elements, np.uint8))
    assert counts["multiply"] == modelled(kernel, op)


def test_attention(run_tiles, tiles):
    op, kernel = fused(2, 70, 50, 32, 80), AnyAttention()
    arrays = arrays_of(op, 1)
    counts = counted(run_tiles, tiles, kernel, op, [arrays[n] for n in "qkv"], arrays,
                     np.zeros(op.y_elements, np.uint8))
    assert counts["multiply"] == modelled(kernel, op)
