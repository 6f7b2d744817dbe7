"""GPU gather copies what the indices say, and tells of those that are out of range."""

import numpy as np
import pytest
from tests.targets.test_gather import CASES

from octavo.targets.opencl.gather import GpuGather
from octavo.targets.ops.gather import Gather, reference

KERNEL = GpuGather()


def run(run_gpu, op, x, at, y, failures):
    bits = {8: np.int64, 4: np.int32, 1: np.uint8}[x.itemsize]
    outputs = [y.view(bits)] + ([failures] if KERNEL.can_fail(op) else [])
    return run_gpu(KERNEL, op, [x.view(bits), at], {}, outputs)


@pytest.mark.parametrize("index", range(len(CASES)))
def test_gather(run_gpu, index):
    outer, extent, inner, count, dtype, index_dtype = CASES[index]
    op = Gather(outer=outer, extent=extent, inner=inner, count=count, dtype=dtype,
                index_dtype=index_dtype, index_is_constant=index % 2 == 1)  # fmt: skip
    rng = np.random.default_rng(index)
    x = rng.integers(0, 2 if dtype == "bool" else 100, outer * extent * inner).astype(dtype)
    at = rng.integers(-extent, extent, count).astype(index_dtype)
    at[0], at[-1] = -extent, extent - 1
    y = np.zeros(outer * count * inner, dtype)
    found, *failures = run(run_gpu, op, x, at, y, np.zeros(1, np.int32))
    np.testing.assert_array_equal(
        found.view(dtype), reference(op, {"x": x, "index": at}).reshape(-1))
    assert all(word[0] == 0 for word in failures)


@pytest.mark.parametrize("index_dtype", ["int64", "int32"])
@pytest.mark.parametrize("wrong", ["extent", "below", "largest", "smallest"])
def test_wrong_indices_are_reported_and_read_nothing(run_gpu, wrong, index_dtype):
    op = Gather(outer=2, extent=5, inner=3, count=4, dtype="float32", index_dtype=index_dtype)
    limits = np.iinfo(index_dtype)
    value = {"extent": 5, "below": -6, "largest": limits.max, "smallest": limits.min}[wrong]
    at = np.array([0, value, -5, 4], index_dtype)
    x = np.arange(30, dtype=np.float32)
    y = np.full(24, -1, np.float32)
    found, failures = run(run_gpu, op, x, at, y, np.zeros(1, np.int32))
    assert failures[0] == 1
    np.testing.assert_array_equal(found.view(np.float32).reshape(2, 4, 3)[:, 1], -1)
