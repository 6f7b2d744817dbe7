"""GPU convolution equals its reference bit for bit."""

import numpy as np
import pytest
from tests.targets.opencl.conftest import NARROW, PORTABLE, WIDE

from octavo.targets.opencl.conv import GpuConv
from octavo.targets.ops.conv import Conv, Placement, reference
from octavo.targets.ops.requantize import Requantize, dyadic

PAD = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}
KERNEL = GpuConv()

SHAPES = {
    "3x3 of 5 channels": Conv(1, 9, 7, 5, 24, 3, 3, **PAD),
    "first layer": Conv(1, 11, 9, 3, 7, 3, 3, 2, 2, pad_bottom=1, pad_right=1),
    "16 channels": Conv(1, 5, 7, 16, 8, 3, 3, **PAD),
    "strided, dilated": Conv(1, 9, 7, 5, 10, 3, 3, 2, 2, 2, 2, pad_left=2),
    "pixels left out": Conv(1, 9, 7, 5, 10, 3, 3, pad_top=-1, pad_right=-2),
    "batch and groups": Conv(2, 6, 6, 8, 20, 3, 3, groups=2, **PAD),
    "groups of 3": Conv(1, 6, 6, 9, 9, 3, 3, groups=3, **PAD),
    "strided batch": Conv(3, 9, 19, 8, 16, 3, 3, 2, 2, **PAD),
    "matrix product": Conv(1, 1, 5, 70, 10),
    "matrix product of whole words": Conv(1, 1, 5, 64, 33),
    "one pixel": Conv(1, 1, 1, 33, 70),
    "fewer channels than a quad": Conv(1, 3, 3, 4, 3),
    "interleaved output": Conv(
        1, 5, 4, 8, 16, 2, 2, placement=Placement(8, 8, 2, 2, 1, 1)),
}  # fmt: skip
EPILOGUES = {
    "uint8": Requantize(),
    "int8": Requantize(dtype="int8"),
    "residual": Requantize(residual="uint8"),
    "signed residual, table": Requantize(residual="int8", dtype="int8", has_table=True),
    "table": Requantize(has_table=True),
    "saturated": Requantize(has_limits=False),
    "dyadic": Requantize(mode="dyadic"),
    "dyadic, residual, table": Requantize(mode="dyadic", residual="int8", has_table=True),
    "dequantize": Requantize(dtype="float32"),
    "dequantize, add": Requantize(dtype="float32", residual="float32"),
}


def make_arrays(op, rng, zero_point=117):
    """Random operands whose results fill the output."""
    epilogue = op.requantize
    scale = rng.uniform(0.5, 1.5, op.out_c) * 40 / (
        70 * 75 * np.sqrt(op.kernel_h * op.kernel_w * op.group_in))
    multiplier = scale * np.exp2(rng.uniform(-1, 1, op.out_c))
    significand, shift = dyadic(multiplier)
    signed = epilogue.dtype == "int8"
    low, high = (-120, 119) if signed else (3, 250)
    if not epilogue.has_limits:
        low, high = (-128, 127) if signed else (0, 255)
    out = (op.batch, op.out_h, op.out_w, op.out_c)
    residual = rng.integers(0, 256, out).astype(np.uint8)
    if epilogue.residual == "float32":
        residual = rng.normal(0, 3, out).astype(np.float32)
    elif epilogue.residual == "int8":
        residual = residual.view(np.int8)
    return {
        "x": rng.integers(0, 256, (op.batch, op.in_h, op.in_w, op.in_c))
        .astype(np.uint8).view(op.dtype),
        "weight": rng.integers(
            -127, 128, (op.out_c, op.kernel_h, op.kernel_w, op.group_in)).astype(np.int8),
        "bias": rng.integers(-1000, 1000, op.out_c).astype(np.int32),
        "zero_point": np.array([zero_point], np.int32),
        "multiplier": multiplier.astype(np.float32),
        "significand": significand,
        "shift": shift,
        "params": np.array([(low + high) // 2, low, high, 99], np.int32),
        "residual": residual,
        "residual_multiplier": np.array([0.37], np.float32),
        "residual_significand": np.rint(0.37 * 2.0 ** np.minimum(shift, 50)).astype(np.int64),
        "table": rng.permutation(256).astype(np.uint8).view(
            epilogue.dtype if epilogue.dtype != "float32" else "uint8"),
    }  # fmt: skip


def run(run_gpu, op, arrays, kernel=KERNEL, **options):
    inputs = [arrays["x"]] + ([arrays["residual"]] if op.requantize.residual else [])
    shape = (op.batch, op.full_h, op.full_w, op.out_c)
    (y,) = run_gpu(
        kernel, op, inputs, arrays, [np.zeros(shape, op.requantize.dtype)], **options)
    return y.reshape(shape)


@pytest.mark.parametrize("accelerator", [NARROW, PORTABLE, WIDE], ids=lambda a: a.name)
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_match_the_reference(run_gpu, name, accelerator):
    op = SHAPES[name]
    arrays = make_arrays(op, np.random.default_rng(1))
    result = run(run_gpu, op, arrays, accelerator=accelerator)
    place = op.placement
    written = result[:, place.offset_h :: place.step_h, place.offset_w :: place.step_w]
    written = written[:, : op.out_h, : op.out_w]
    np.testing.assert_array_equal(written, reference(op, arrays))


@pytest.mark.parametrize("channels", [8, 10])
@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues_match_the_reference(run_gpu, name, channels):
    op = Conv(1, 4, 5, 8, channels, 3, 3, requantize=EPILOGUES[name], **PAD)
    arrays = make_arrays(op, np.random.default_rng(2))
    np.testing.assert_array_equal(run(run_gpu, op, arrays), reference(op, arrays))


def test_signed_activations(run_gpu):
    op = Conv(1, 6, 5, 7, 9, 3, 3, dtype="int8", requantize=Requantize(dtype="int8"), **PAD)
    arrays = make_arrays(op, np.random.default_rng(3), zero_point=-5)
    np.testing.assert_array_equal(run(run_gpu, op, arrays), reference(op, arrays))


def test_slices_of_wider_tensors(run_gpu):
    op = Conv(1, 4, 5, 6, 8, placement=Placement(pixel_stride=20), in_pixel_stride=11)
    arrays = make_arrays(op, np.random.default_rng(4))
    wide = np.zeros((20, 11), np.uint8)
    wide[:, :6] = arrays["x"].reshape(20, 6)
    y = np.full(op.out_elements, 7, np.uint8)
    (result,) = run_gpu(KERNEL, op, [wide.reshape(-1)[: op.in_elements]], arrays, [y])
    expected = np.full((20, 20), 7, np.uint8)
    expected[:, :8] = reference(op, arrays).reshape(20, 8)
    np.testing.assert_array_equal(result, expected.reshape(-1)[: op.out_elements])
