"""Work-groups have the shape in which their items read least; constants keep their bits."""

import numpy as np
import pytest

from octavo.targets.opencl.grid import exact, sharing_group_shape, work_group_shape


@pytest.mark.parametrize(
    ("extents", "item_bytes", "expected"),
    [
        # Weights of 4 channels weigh as much as 4 pixels: a square.
        ((64, 64), (16, 16), (8, 8)),
        # Twice the weights: half as wide, since a square is no power of 2.
        ((64, 64), (64, 16), (4, 16)),
        # One pixel only: nothing to share along y.
        ((256, 1), (16, 4), (64, 1)),
        # Ten quads: groups of 8 would leave more work items idle.
        ((10, 49), (16, 16), (2, 32)),
        ((1, 1), (16, 16), (1, 1)),
    ],
)
def test_groups_share_what_they_read(extents, item_bytes, expected):
    assert sharing_group_shape(extents, 64, item_bytes) == expected


def test_other_groups_are_filled_along_x_first():
    assert work_group_shape((5, 100, 3), 64) == (8, 8, 1)
    assert work_group_shape((1000, 100), 64) == (64, 1)


def test_constants_keep_all_of_their_bits():
    """A third has no decimal of seven digits that is read back as the same number."""
    third = np.float32(1 / 3)
    assert np.float32(f"{third:e}") != third
    (bits,) = exact(1 / 3).args[1:]
    assert int(bits) == third.view(np.int32)
