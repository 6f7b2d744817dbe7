"""Integer kernels equal their references bit for bit, run by an emulator of HVX.

Only the integer mode is made for these instructions: float epilogues run lane by lane.
"""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tests.targets import test_conv_gemm, test_every_level
from tests.targets.conftest import random_array
from tests.targets.emulation import Case, run_cases
from tests.targets.test_conv_gemm import EPILOGUES, KERNEL, PAD, SHAPES, make_arrays

from octavo.targets import TARGETS
from octavo.targets.instructions import isa_of
from octavo.targets.library import select
from octavo.targets.ops.conv import Conv, reference
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


def cases():
    """Shapes, epilogues, channels around the vector width, extreme scales, families."""
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
    for name in FAMILIES:
        yield Case(f"family {name}", family(name))


@pytest.mark.slow
def test_integer_kernels_equal_their_references(tmp_path):
    if shutil.which(TARGET.emulator.program) is None:
        pytest.skip(f"needs {TARGET.emulator.program} (Debian package qemu-user)")
    chosen = list(cases())
    assert run_cases(chosen, TARGET, tmp_path) == {}
    assert all(case.answers for case in chosen)


def test_the_kernel_that_is_tested_serves_convolutions():
    assert KERNEL.reject(SHAPES["matrix product"], ISA) == ""
