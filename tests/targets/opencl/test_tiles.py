"""Tiles follow the device: registers bound them, and small layers keep all cores busy."""

import pytest

from octavo.targets import get_target
from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.tiles import conv_tile, depthwise_tile

LARGE = {"pixels": 112 * 112, "quads": 16, "groups": 1, "words_at_once": 4}
SMALL = {"pixels": 7 * 7, "quads": 40, "groups": 1, "words_at_once": 4}


@pytest.mark.parametrize(
    ("registers", "expected"), [(16, (1, 1)), (32, (2, 1)), (64, (4, 1)), (96, (4, 2))]
)
def test_registers_bound_a_tile(registers, expected):
    tile = conv_tile(Accelerator(name="one", registers=registers, core_items=1), **LARGE)
    assert tile == expected


def test_small_layers_have_small_tiles_on_many_cores():
    def tile(num_cores, layer):
        record = Accelerator(name="some", registers=96, num_cores=num_cores)
        pixels, quads = conv_tile(record, **layer)
        return pixels * quads

    assert tile(20, LARGE) == tile(1, LARGE)
    assert tile(20, SMALL) < tile(1, SMALL)


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_tiles_are_not_larger_than_the_image(pixels):
    record = Accelerator(name="one", registers=160, core_items=1)
    tile = conv_tile(record, pixels=pixels, quads=1, groups=3, words_at_once=1)
    assert tile[0] <= pixels
    assert tile[1] == 1
    assert depthwise_tile(record, pixels=pixels, quads=9) <= pixels


def test_products_have_tiles_of_their_own():
    """More registers on a later Adreno, more cores on a larger Mali."""
    records = {name: get_target(name).accelerator for name in
               ("adreno-650", "adreno-740", "mali-g78", "mali-g710")}  # fmt: skip
    large = {name: conv_tile(record, **LARGE) for name, record in records.items()}
    assert large["adreno-650"] == (4, 1)
    assert large["adreno-740"] == (4, 2)
    small = {name: conv_tile(record, **SMALL) for name, record in records.items()}
    assert small["mali-g710"] == (2, 1)
    assert small["mali-g78"] == (1, 1)
