"""Gather copies what the indices say, or refuses without having read anything."""

import numpy as np
import pytest

from octavo.targets.kernels.gather import GatherSlices
from octavo.targets.ops import gather
from octavo.targets.ops.gather import Gather

KERNEL = GatherSlices()
CASES = [
    (1, 300, 384, 40, "float32", "int64"), (3, 10, 1, 7, "int64", "int32"),
    (2, 5, 19, 4, "uint8", "int64"), (2, 5, 64, 1, "int8", "int64"),
    (1, 7, 65, 9, "uint8", "int32"), (4, 1, 3, 5, "bool", "int64"),
    (1, 50, 130, 900, "uint8", "int64"), (2, 6, 17, 3, "float32", "int32"),
]


@pytest.mark.parametrize("index", range(len(CASES)))
def test_gather_equals_the_reference_and_checks_indices(run_kernel, random_array, isa, index):
    outer, extent, inner, count, dtype, index_dtype = CASES[index]
    op = Gather(outer=outer, extent=extent, inner=inner, count=count, dtype=dtype,
                index_dtype=index_dtype)
    rng = np.random.default_rng(index)
    x = random_array(rng, dtype, outer * extent * inner).reshape(outer, extent, inner)
    at = rng.integers(-extent, extent, count).astype(index_dtype)
    at[0], at[-1] = -extent, extent - 1
    function = run_kernel.build(KERNEL, op, isa)
    untouched = random_array(rng, dtype, outer * count * inner).reshape(outer, count, inner)
    status, y = run_kernel.call(function, KERNEL, op, isa, [x, at], {}, untouched)
    assert status == 0
    np.testing.assert_array_equal(y, gather.reference(op, {"x": x, "index": at}))
    limits = np.iinfo(index_dtype)
    for wrong in (extent, -extent - 1, limits.max, limits.min):
        broken = at.copy()
        broken[count // 2] = wrong
        status, y = run_kernel.call(function, KERNEL, op, isa, [x, broken], {}, untouched)
        assert status != 0
        np.testing.assert_array_equal(y, untouched)
        with pytest.raises(IndexError):
            gather.reference(op, {"x": x, "index": broken})


def test_what_int32_offsets_cannot_reach_is_refused(isas):
    huge = Gather(outer=2, extent=2**20, inner=2**11, count=1, dtype="uint8")
    assert "elements" in KERNEL.reject(huge, isas[0])
    odd = Gather(outer=1, extent=2, inner=1, count=1, dtype="uint8", index_dtype="uint8")
    assert "indices" in KERNEL.reject(odd, isas[0])
