"""Integer kernels equal their references bit for bit, run by an emulator of HVX.

Only the integer mode is made for these instructions: float epilogues run lane by lane.
"""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tests.targets import test_conv_gemm, test_every_level, test_float_layer_norm
from tests.targets.conftest import random_array
from tests.targets.emulation import Case, cases_of, run_cases
from tests.targets.test_conv_gemm import EPILOGUES, KERNEL, PAD, SHAPES, make_arrays

from octavo.targets import TARGETS
from octavo.targets.instructions import isa_of
from octavo.targets.library import select
from octavo.targets.ops import move
from octavo.targets.ops.conv import Conv, reference
from octavo.targets.ops.move import Move
from octavo.targets.ops.requantize import Requantize

TARGET = TARGETS["hexagon-v66"]
ISA = isa_of(TARGET)
DYADIC = {"mode": "dyadic"}
SPREAD = 45.0  # powers of two: multipliers from 2**-40 to 2**20
FAMILIES = (
    "depthwise", "depthwise_dyadic_table", "depthwise_residual", "binary_dyadic", "max_pool",
    "average_pool", "reduce", "gather")


def convolution(op, spread=1.0, zero_point=117):
    """A test of one convolution in the integer mode."""
    op = replace(op, requantize=replace(op.requantize, **DYADIC))

    def run(run_kernel):
        arrays = make_arrays(op, np.random.default_rng(1), zero_point, spread)
        result = test_conv_gemm.run(run_kernel, op, ISA, arrays)
        place = op.placement
        written = result[:, place.offset_h :: place.step_h, place.offset_w :: place.step_w]
        written = written[:, : op.out_h, : op.out_w]
        np.testing.assert_array_equal(written, reference(op, arrays))

    return run


def family(name):
    """A test of one operation of each family."""
    op, expect, operands, out_shape = test_every_level.CASES[name]
    if hasattr(op, "requantize"):
        op = replace(op, requantize=replace(op.requantize, **DYADIC))

    def run(run_kernel):
        arrays = test_every_level.make_arrays(random_array, op, out_shape)
        expected = expect(op, arrays)
        y = run_kernel(select(op, ISA), op, ISA, [arrays[n] for n in operands], arrays,
                       np.zeros(out_shape, expected.dtype))
        np.testing.assert_array_equal(y.reshape(-1), expected.reshape(-1))

    return run


def hard_reals(scale, rng):
    """Any bits, and numbers around those where rounding changes its mind."""
    with np.errstate(over="ignore"):
        ties = (np.arange(-600, 600) + 0.5) * np.float64(scale)
        near = ties.astype(np.float32).view(np.int32)
    around = (near[:, None] + np.arange(-2, 3, dtype=np.int32)).reshape(-1)
    anything = rng.integers(-(2**31), 2**31, 20000, dtype=np.int64).astype(np.int32)
    bits = np.concatenate([around, anything])
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1e-45, -1e-45, 3.4e38]
    return np.concatenate([bits.view(np.float32), np.array(special, np.float32)])


def quantization(scale, zero_point, dtype):
    """A test of numbers that become bytes, by their bits."""
    def run(run_kernel):
        x = hard_reals(scale, np.random.default_rng(7))
        op = Move(src_elements=x.size, dst_elements=x.size, shape=(x.size,),
                  src_strides=(1,), dst_strides=(1,), dtype="float32", convert="quantize",
                  out_dtype=dtype)
        arrays = {"x": x, "scale": np.array([scale], np.float32),
                  "zero_point": np.array([zero_point], np.int32), "y": np.zeros(x.size, dtype)}
        y = run_kernel(select(op, ISA), op, ISA, [x.view(np.int32)], arrays, arrays["y"])
        np.testing.assert_array_equal(y, move.reference(op, arrays))

    return run


def cases():
    """Shapes, epilogues, channels around the vector width, extreme scales, families, rows."""
    for name, op in SHAPES.items():
        yield Case(f"shape {name}", convolution(op))
    for name in ("int8", "table", "saturated, from 0", "signed residual, table"):
        # 69 channels: stores are short and begin anywhere in a vector.
        yield Case(f"epilogue {name}", convolution(
            Conv(1, 3, 5, 16, 2 * ISA.lanes + 5, requantize=EPILOGUES[name])))
    for channels in (31, 32, 33, 127, 128, 129):
        yield Case(f"{channels} channels", convolution(Conv(1, 2, 3, 4, channels)))
    for residual in (None, "uint8"):
        op = Conv(1, 4, 4, 9, 40, 3, 3, requantize=Requantize(residual=residual), **PAD)
        yield Case(f"extreme scales, residual {residual}", convolution(op, SPREAD, 255))
    for scale in (1.0, 1 / 3, 0.0473, np.nextafter(2, 0), 1e-30, 1e30, 3.4e38, 1e-40, 1e-45):
        yield Case(f"quantize {scale}", quantization(scale, 3, "int8"))
    for zero_point in (0, 255):
        yield Case(f"quantize around {zero_point}", quantization(0.02, zero_point, "uint8"))
    for name in FAMILIES:
        yield Case(f"family {name}", family(name))
    # Float streams between integer products are normalized on the scalar unit.
    yield from cases_of(test_float_layer_norm.test_rounded_rows, TARGET, 11)


@pytest.mark.slow
def test_integer_kernels_equal_their_references(tmp_path):
    if shutil.which(TARGET.emulator.program) is None:
        pytest.skip(f"needs {TARGET.emulator.program} (Debian package qemu-user)")
    chosen = list(cases())
    assert run_cases(chosen, TARGET, tmp_path) == {}
    assert all(case.answers for case in chosen)


def test_the_kernel_that_is_tested_serves_convolutions():
    assert KERNEL.reject(SHAPES["matrix product"], ISA) == ""
