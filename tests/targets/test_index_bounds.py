"""Indices outside of the axes that they pick from are a status, on every level of this CPU."""

import numpy as np
import pytest

from octavo.errors import LoweringError
from octavo.targets.kernels.index_bounds import IndexBoundsRows
from octavo.targets.library import select
from octavo.targets.ops import index_bounds
from octavo.targets.ops.index_bounds import IndexBounds

KERNEL = IndexBoundsRows()
CASES = [
    IndexBounds(count=1, limits=(1,)),
    IndexBounds(count=67, limits=(9,), index_dtype="int32"),
    IndexBounds(count=33, limits=(5, 300, 2)),
]


def run(run_kernel, op, isa, index):
    function = run_kernel.build(KERNEL, op, isa)
    status, _ = run_kernel.call_many(function, KERNEL, op, isa, [index], {}, [])
    return status


@pytest.mark.parametrize("case", range(len(CASES)))
def test_all_that_picks_an_element_is_right(run_kernel, isa, case):
    op, rng = CASES[case], np.random.default_rng(case)
    limits = np.array(op.limits)
    index = rng.integers(-limits, limits, (op.count, len(limits))).astype(op.index_dtype)
    index[0], index[-1] = -limits, limits - 1
    index_bounds.reference(op, {"index": index})
    assert run(run_kernel, op, isa, index) == 0


@pytest.mark.parametrize("case", range(len(CASES)))
def test_one_that_picks_none_is_a_status(run_kernel, isa, case):
    op = CASES[case]
    info = np.iinfo(op.index_dtype)
    for place, limit in enumerate(op.limits):
        for wrong in (limit, -limit - 1, info.max, info.min):
            index = np.zeros((op.count, len(op.limits)), op.index_dtype)
            index[op.count // 2, place] = wrong
            assert run(run_kernel, op, isa, index) != 0
            with pytest.raises(IndexError, match=f"index {wrong} of an axis of {limit}"):
                index_bounds.reference(op, {"index": index})


def test_what_the_kernel_does_not_do(isas):
    assert select(CASES[0], isas[0]).name == "index_bounds"
    with pytest.raises(LoweringError, match="uint8 indices"):
        select(IndexBounds(count=1, limits=(2,), index_dtype="uint8"), isas[0])
    assert "axes of (0,)" in KERNEL.reject(IndexBounds(count=1, limits=(0,)), isas[0])
