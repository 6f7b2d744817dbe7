"""The bound of a convolution's results holds, and inputs that reach it exist."""

import numpy as np
import pytest
from tests.targets.test_conv_gemm import make_arrays

from octavo.targets.ops.conv import Conv, accumulate
from octavo.targets.ops.requantize import Requantize, fma_float32
from octavo.targets.ops.result_range import largest_result


def reals(op, arrays):
    """What the epilogue rounds, in the reference's float32."""
    acc = accumulate(op, arrays["x"], arrays["weight"], int(arrays["zero_point"][0]))
    real = (acc + arrays["bias"]).astype(np.float32) * arrays["multiplier"]
    if op.requantize.residual is None:
        return real
    centred = arrays["residual"].astype(np.float32) - np.float32(arrays["params"][3])
    return fma_float32(centred, arrays["residual_multiplier"], real)


@pytest.mark.parametrize("residual", [None, "uint8", "int8"])
@pytest.mark.parametrize("zero_point", [0, 117, 255])
def test_an_extreme_input_reaches_the_bound(zero_point, residual):
    op = Conv(1, 1, 1, 24, 8, requantize=Requantize(residual=residual))
    arrays = make_arrays(op, np.random.default_rng(1), zero_point)
    found = 0.0
    for weight in arrays["weight"].reshape(op.out_c, -1):
        for sign in (1, -1):
            arrays["x"][...] = np.where(sign * weight > 0, 255, 0)
            limits = np.iinfo(arrays["residual"].dtype)
            for fill in (limits.min, limits.max):
                arrays["residual"][...] = fill
                found = max(found, float(np.abs(reals(op, arrays)).max()))
    # The bound has room for two roundings, and takes the signs of both terms for equal.
    other_sign = 255 * float(arrays["residual_multiplier"][0]) if residual else 0.0
    assert found <= largest_result(op, arrays) <= found * (1 + 2.0**-18) + other_sign


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_groups_and_borders_stay_below_the_bound(dtype):
    op = Conv(1, 5, 6, 8, 12, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 2, dtype=dtype)
    rng = np.random.default_rng(2)
    for _ in range(20):
        arrays = make_arrays(op, rng, zero_point=int(rng.integers(0, 128)))
        arrays["x"] = rng.choice([0, 255], arrays["x"].shape).astype(np.uint8).view(dtype)
        assert np.abs(reals(op, arrays)).max() <= largest_result(op, arrays)


@pytest.mark.parametrize("epilogue", [Requantize(mode="dyadic"), Requantize(dtype="float32")])
def test_other_epilogues_have_no_bound(epilogue):
    op = Conv(1, 1, 1, 4, 4, requantize=epilogue)
    assert largest_result(op, make_arrays(op, np.random.default_rng(3))) == np.inf
