"""GPU depthwise convolution equals its reference bit for bit."""

import numpy as np
import pytest
from tests.targets.opencl.conftest import PORTABLE, WIDE
from tests.targets.opencl.test_conv import EPILOGUES, PAD, make_arrays, run

from octavo.targets.opencl.depthwise import GpuDepthwise
from octavo.targets.ops.conv import Conv, Placement, reference
from octavo.targets.ops.requantize import Requantize

KERNEL = GpuDepthwise()
SHAPES = {
    "3x3": Conv(1, 9, 7, 8, 8, 3, 3, groups=8, **PAD),
    "channels beyond a quad": Conv(1, 6, 5, 7, 7, 3, 3, groups=7, **PAD),
    "strided, not padded": Conv(1, 9, 8, 5, 5, 3, 3, 2, 2, groups=5),
    "strided batch": Conv(3, 9, 8, 12, 12, 5, 5, 2, 2, groups=12, **PAD),
    "fewer channels than a quad": Conv(1, 5, 5, 3, 3, 3, 3, groups=3, **PAD),
    "dilated": Conv(1, 9, 9, 4, 4, 3, 3, 1, 1, 2, 2, groups=4, pad_left=2),
    "one pixel": Conv(1, 3, 3, 9, 9, 3, 3, groups=9),
}


@pytest.mark.parametrize("accelerator", [PORTABLE, WIDE], ids=lambda a: a.name)
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_match_the_reference(run_gpu, name, accelerator):
    op = SHAPES[name]
    arrays = make_arrays(op, np.random.default_rng(1))
    result = run(run_gpu, op, arrays, kernel=KERNEL, accelerator=accelerator)
    np.testing.assert_array_equal(result, reference(op, arrays))


@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues_match_the_reference(run_gpu, name):
    op = Conv(1, 4, 5, 6, 6, 3, 3, groups=6, requantize=EPILOGUES[name], **PAD)
    arrays = make_arrays(op, np.random.default_rng(2))
    np.testing.assert_array_equal(
        run(run_gpu, op, arrays, kernel=KERNEL), reference(op, arrays))


def test_signed_activations(run_gpu):
    op = Conv(1, 6, 5, 7, 7, 3, 3, groups=7, dtype="int8",
              requantize=Requantize(dtype="int8"), **PAD)
    arrays = make_arrays(op, np.random.default_rng(3), zero_point=-5)
    np.testing.assert_array_equal(
        run(run_gpu, op, arrays, kernel=KERNEL), reference(op, arrays))


def test_several_channels_of_a_group_are_refused():
    assert KERNEL.reject(Conv(1, 6, 6, 8, 16, 3, 3, groups=8), PORTABLE)
    assert KERNEL.reject(Conv(1, 6, 6, 8, 8, 3, 3, groups=4), PORTABLE)


def test_slices_of_wider_tensors(run_gpu):
    op = Conv(1, 4, 5, 6, 6, groups=6, placement=Placement(pixel_stride=20),
              in_pixel_stride=11)
    arrays = make_arrays(op, np.random.default_rng(4))
    wide = np.zeros((20, 11), np.uint8)
    wide[:, :6] = arrays["x"].reshape(20, 6)
    y = np.full(op.out_elements, 7, np.uint8)
    (result,) = run_gpu(KERNEL, op, [wide.reshape(-1)[: op.in_elements]], arrays, [y])
    expected = np.full((20, 20), 7, np.uint8)
    expected[:, :6] = reference(op, arrays).reshape(20, 6)
    np.testing.assert_array_equal(result, expected.reshape(-1)[: op.out_elements])
