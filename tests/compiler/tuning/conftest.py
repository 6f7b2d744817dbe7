"""Tasks of a small convolution, and timings that were made up."""

import numpy as np
import pytest

from octavo.compiler.lowering.kernel_call import KernelCall
from octavo.compiler.lowering.program import Buffer
from octavo.compiler.lowering.tensor import Tensor, channels_last, dense_strides
from octavo.compiler.measurements.key import this_context, tuning_key
from octavo.compiler.tuning.records import TuningTask
from octavo.compiler.tuning.trials import Timing
from octavo.targets import get_target
from octavo.targets.instructions import isa_of
from octavo.targets.kernels.conv_gemm import ConvGemm
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.requantize import Requantize


def tensor(name, channels, height, width):
    shape = (1, channels, height, width)
    buffer = Buffer(name, channels * height * width)
    return Tensor(buffer, "uint8", shape, dense_strides(shape, channels_last(4)))


def make_task(target, in_c=16, out_c=40, size=7, num_schedules=3):
    """A 1x1 convolution with random weights."""
    isa = isa_of(target)
    op = Conv(
        batch=1, in_h=size, in_w=size, in_c=in_c, out_c=out_c,
        requantize=Requantize(dtype="uint8"),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    arrays = {
        "weight": rng.integers(-127, 128, (out_c, 1, 1, in_c), np.int8),
        "bias": np.zeros(out_c, np.int32),
        "zero_point": np.array([3], np.int32),
        "multiplier": np.full(out_c, 1e-3, np.float32),
        "params": np.array([0, 0, 255, 0], np.int32),
    }
    call = KernelCall(
        ConvGemm(), op, isa, [tensor("x", in_c, size, size)],
        [tensor("y", out_c, size, size)], arrays, "int8",
    )  # fmt: skip
    schedules = tuple(ConvGemm().schedules(op, isa)[:num_schedules])
    key = tuning_key(call.kernel, op, this_context(target))
    return TuningTask(key, call, schedules, 1, op.macs)


@pytest.fixture
def target():
    return get_target("x86-64-avx2")


@pytest.fixture
def task(target):
    return make_task(target)


@pytest.fixture
def make_tasks(target):
    """Tasks of different sizes, all for the same target."""

    def make(count):
        return [make_task(target, out_c=32 + 8 * i) for i in range(count)]

    return make


@pytest.fixture
def timing():
    """78 runs around a median, with a spread that repeats, in even and odd runs alike."""

    def make(median_us, spread_us=0.0):
        wave = np.tile([-1.0, -1.0, 0.0, 0.0, 1.0, 1.0], 13)
        return Timing(median_us + spread_us * wave)

    return make
