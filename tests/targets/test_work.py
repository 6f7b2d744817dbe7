"""Work of operations against numbers that were worked out by hand."""

import pytest

from octavo.targets.ops.conv import Conv, Placement
from octavo.targets.ops.gather import Gather
from octavo.targets.ops.gru import Gru
from octavo.targets.ops.lstm import Lstm
from octavo.targets.ops.matmul import MatMul
from octavo.targets.ops.move import Move
from octavo.targets.ops.pool import MaxPool
from octavo.targets.ops.work import Touched, macs, touched

IMAGE = {"batch": 1, "in_h": 8, "in_w": 10, "in_c": 16}
PADDED = {"kernel_h": 3, "kernel_w": 3, "pad_top": 1, "pad_left": 1, "pad_bottom": 1,
          "pad_right": 1}  # fmt: skip


@pytest.mark.parametrize(
    ("op", "products", "read", "written"),
    [
        # 80 pixels of 16 channels in, 32 out.
        (Conv(**IMAGE, out_c=32), 80 * 32 * 16, 1280, 2560),
        (Conv(**IMAGE, out_c=32, **PADDED), 80 * 32 * 16 * 9, 1280, 2560),
        # Every second row and column: 4 x 5 pixels are read and written.
        (Conv(**IMAGE, out_c=32, stride_h=2, stride_w=2), 20 * 32 * 16, 320, 640),
        # A 3x3 window in steps of 2 still sees every pixel.
        (Conv(**IMAGE, out_c=32, stride_h=2, stride_w=2, **PADDED), 20 * 32 * 144, 1280, 640),
        # Depthwise: 9 products for each output; 4 groups: 4 input channels each.
        (Conv(**IMAGE, out_c=16, groups=16, **PADDED), 80 * 16 * 9, 1280, 1280),
        (Conv(**IMAGE, out_c=32, groups=4, **PADDED), 80 * 32 * 4 * 9, 1280, 2560),
        # Dilated by 3 without padding: rows 0 to 7 but 2 x 4 outputs of 9 taps.
        (Conv(**IMAGE, out_c=8, kernel_h=3, kernel_w=3, dilation_h=3, dilation_w=3),
         2 * 4 * 8 * 144, 1280 - 2 * 10 * 16, 64),
        # One of the four parts of a transposed convolution in steps of 2.
        (Conv(**IMAGE, out_c=8, placement=Placement(16, 20, 2, 2, 1, 1)), 80 * 8 * 16,
         1280, 640),
    ],
)  # fmt: skip
def test_convolution(op, products, read, written):
    assert macs(op) == products
    assert touched(op) == Touched((read,), (written,))


def test_product_of_heads_inside_a_projection():
    # 3 heads of 5 x 7 times 7 x 4, in rows of one (5, 3 * 3 * 7) projection; b is shared.
    op = MatMul(
        batch=(3,), rows=5, cols=4, depth=7, a_strides=(7, 63), b_strides=(0, 4, 1),
        y_strides=(4, 12), a_elements=315, b_elements=28, y_elements=60,
    )  # fmt: skip
    assert macs(op) == 3 * 5 * 4 * 7
    assert touched(op) == Touched((3 * 5 * 7, 7 * 4), (3 * 5 * 4,))


def test_recurrent_layers_read_and_write_their_tensors_whole():
    sizes = {"steps": 6, "batch": 2, "inputs": 5, "hidden": 3, "direction": "bidirectional"}
    # For each of 6 steps, 2 directions and 2 sequences: rows of gates times 5 + 3 features.
    assert macs(Lstm(**sizes)) == 6 * 2 * 2 * (4 * 3) * (5 + 3)
    assert macs(Gru(**sizes)) == 6 * 2 * 2 * (3 * 3) * (5 + 3)
    assert touched(Lstm(**sizes)) == Touched()


def test_move_counts_repeated_elements_once_and_filled_ones_all():
    sizes = {"shape": (4, 6), "src_strides": (0, 1), "dst_strides": (10, 1),
             "src_elements": 100, "dst_elements": 40, "dtype": "uint8", "convert": "copy",
             "out_dtype": "uint8"}  # fmt: skip
    assert touched(Move(**sizes)) == Touched((6,), (24,))
    assert touched(Move(**sizes, fills=True)) == Touched((6,), (40,))
    assert macs(Move(**sizes)) == 0


@pytest.mark.parametrize(("count", "slices"), [(5, 5), (1000, 300)])
def test_gather_reads_the_slices_it_picks(count, slices):
    op = Gather(outer=2, extent=300, inner=64, count=count, dtype="int8")
    assert touched(op) == Touched((2 * slices * 64,))


def test_without_a_rule_all_of_every_tensor_takes_part():
    op = MaxPool(batch=1, in_h=4, in_w=4, channels=8, out_h=2, out_w=2, kernel_h=2, kernel_w=2)
    assert touched(op) == Touched()
    assert macs(op) == 0
