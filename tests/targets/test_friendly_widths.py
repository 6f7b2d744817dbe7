"""Friendly widths of targets, against numbers that were worked out by hand."""

import pytest

from octavo.targets import get_target
from octavo.targets.friendly_widths import (
    FriendlyWidth,
    channel_waste,
    friendly_widths,
    integer_twin,
)
from octavo.targets.instructions import isa_of
from octavo.targets.ops.bfloat16_conv import Bfloat16Conv
from octavo.targets.ops.conv import Conv, Placement
from octavo.targets.ops.pool import MaxPool
from octavo.targets.ops.word_conv import WordConv

PADS = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}
THREE = {"kernel_h": 3, "kernel_w": 3, **PADS}


def widths(target, **sizes):
    isa = isa_of(get_target(target))
    op = integer_twin(Conv(batch=1, in_h=28, in_w=28, dtype="float32", **sizes), isa)
    return [(f.axis, f.width, f.smaller, f.larger) for f in friendly_widths(op, isa)]


@pytest.mark.parametrize(
    ("target", "sizes", "expected"),
    [
        # 16 lanes of four products each.
        ("x86-64-avx512vnni", {"in_c": 26, "out_c": 40},
         [("input channels", 26, 24, 28), ("output channels", 40, 32, 48)]),
        ("x86-64-avx512vnni", {"in_c": 24, "out_c": 48},
         [("input channels", 24, 24, 24), ("output channels", 48, 48, 48)]),
        # Nothing is below a vector. Three columns of 3 channels are padded to 12 products.
        ("x86-64-avx512vnni", {"in_c": 3, "out_c": 5, **THREE},
         [("input channels", 3, None, 4), ("output channels", 5, None, 16)]),
        ("x86-64-avx512vnni", {"in_c": 24, "out_c": 24, "groups": 24, **THREE},
         [("channels", 24, 16, 32)]),
        # Groups of 8 channels fill half of a vector each.
        ("x86-64-avx512vnni", {"in_c": 32, "out_c": 32, "groups": 4},
         [("input channels", 32, 32, 32), ("output channels", 32, None, 64)]),
        # 8 lanes; 4 lanes; 32 lanes.
        ("x86-64-avx2", {"in_c": 24, "out_c": 20},
         [("input channels", 24, 24, 24), ("output channels", 20, 16, 24)]),
        ("arm64-dotprod", {"in_c": 24, "out_c": 18},
         [("input channels", 24, 24, 24), ("output channels", 18, 16, 20)]),
        ("hexagon-v68", {"in_c": 24, "out_c": 40},
         [("input channels", 24, 24, 24), ("output channels", 40, 32, 64)]),
    ],
)  # fmt: skip
def test_of_targets(target, sizes, expected):
    assert widths(target, **sizes) == expected


def test_waste_of_each_axis_and_of_both():
    isa = isa_of(get_target("x86-64-avx512vnni"))
    op = integer_twin(Conv(batch=1, in_h=8, in_w=8, in_c=3, out_c=8), isa)
    found = friendly_widths(op, isa)
    assert found == (
        FriendlyWidth("input channels", 3, 0.25, None, 4),
        FriendlyWidth("output channels", 8, 0.5, None, 16))
    assert channel_waste(op, isa) == pytest.approx(1 - 0.75 * 0.5)


def test_what_is_named_wastes_nothing():
    isa = isa_of(get_target("host"))
    for width in range(1, 70):
        op = integer_twin(Conv(batch=1, in_h=4, in_w=4, in_c=16, out_c=width), isa)
        (_, out) = friendly_widths(op, isa)
        for named in (out.smaller, out.larger):
            if named is not None:
                other = integer_twin(Conv(batch=1, in_h=4, in_w=4, in_c=16, out_c=named), isa)
                assert friendly_widths(other, isa)[1].waste == 0
        assert out.larger is not None
        assert out.larger >= width


def test_a_slice_of_a_wider_tensor_is_as_friendly_as_the_whole():
    isa = isa_of(get_target("host"))
    op = Conv(batch=1, in_h=4, in_w=4, in_c=16, out_c=24, in_pixel_stride=64,
              placement=Placement(pixel_stride=48))  # fmt: skip
    op = integer_twin(op, isa)
    assert [f.larger for f in friendly_widths(op, isa)] == [16, 32]


def test_other_operations_have_no_widths():
    op = MaxPool(batch=1, in_h=4, in_w=4, channels=3, kernel_h=2, kernel_w=2,
                 out_h=3, out_w=3)  # fmt: skip
    isa = isa_of(get_target("host"))
    assert friendly_widths(op, isa) == ()
    assert channel_waste(op, isa) == 0


@pytest.mark.parametrize("kind", [WordConv, Bfloat16Conv])
def test_other_records_have_the_twin_of_a_convolution(kind):
    isa = isa_of(get_target("x86-64-avx512vnni"))
    sizes = {"batch": 1, "in_h": 8, "in_w": 8, "in_c": 26, "out_c": 40}
    assert integer_twin(kind(**sizes), isa) == integer_twin(Conv(**sizes), isa)
