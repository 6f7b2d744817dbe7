"""Integer products that are stored as float32, with a float tensor added."""

from typing import Any

import numpy as np
import pytest

from octavo.targets.host import CPUINFO, LEVELS, cpu_flags
from octavo.targets.instructions import isa_of
from octavo.targets.kernels.conv_gemm import ConvGemm
from octavo.targets.ops.conv import Conv, reference
from octavo.targets.ops.requantize import Requantize

KERNEL = ConvGemm()


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level[0].name)
@pytest.mark.parametrize("channels", [1, 15, 16, 17, 48, 70])
def test_a_float_tensor_is_added_with_one_rounding(
    run_kernel: Any, level: Any, channels: int
) -> None:
    target, needed = level
    missing = needed - cpu_flags(CPUINFO)
    if missing:
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}")
    rows, depth = 11, 20
    op = Conv(batch=1, in_h=1, in_w=rows, in_c=depth, out_c=channels,
              requantize=Requantize(dtype="float32", residual="float32"))
    rng = np.random.default_rng(channels)
    arrays = {
        "x": rng.integers(0, 256, rows * depth).astype(np.uint8),
        "residual": rng.normal(0, 100, (1, 1, rows, channels)).astype(np.float32),
        "weight": rng.integers(-127, 128, (channels, 1, 1, depth)).astype(np.int8),
        "bias": rng.integers(-1000, 1000, channels).astype(np.int32),
        "zero_point": np.array([77], np.int32),
        "multiplier": rng.uniform(1e-3, 0.1, channels).astype(np.float32),
    }
    y = np.zeros((1, 1, rows, channels), np.float32)
    got = run_kernel(
        KERNEL, op, isa_of(target), [arrays["x"], arrays["residual"]], arrays, y)
    np.testing.assert_array_equal(got, reference(op, arrays))
