"""Indices in use are checked, those behind the count become 0, on every level of this CPU."""

import numpy as np
import pytest

from octavo.errors import LoweringError
from octavo.targets.kernels.index_check import IndexRows
from octavo.targets.library import select
from octavo.targets.ops import index_check
from octavo.targets.ops.index_check import IndexCheck

KERNEL = IndexRows()
CASES = [
    IndexCheck(outer=2, rows=131, inner=1, limit=40),
    IndexCheck(outer=1, rows=67, inner=3, index_dtype="int32", limit=9),
    IndexCheck(outer=1, rows=50, inner=1, index_dtype="int32"),
    IndexCheck(outer=2, rows=19, inner=1, limit=7, clears=False),
    IndexCheck(outer=1, rows=33, inner=1, limit=12, has_count=False),
]


def arrays_of(op, count, limit):
    rng = np.random.default_rng(count)
    shape = (op.outer, op.rows, op.inner)
    index = rng.integers(0, limit, shape).astype(op.index_dtype)
    index[:, count:] = np.iinfo(op.index_dtype).min  # nobody's
    given = {"index": (index, True), "count": (np.array([count]), op.has_count),
             "limit": (np.array([limit]), op.limit > 0)}
    return {name: array for name, (array, is_given) in given.items() if is_given}


@pytest.mark.parametrize("index", range(len(CASES)))
def test_kernel_equals_the_reference(run_kernel, isa, index):
    op = CASES[index]
    function = run_kernel.build(KERNEL, op, isa)
    for count in (0, 1, op.rows // 2, op.rows) if op.has_count else (op.rows,):
        arrays = arrays_of(op, count, op.limit or 5)
        outputs = [np.full(op.elements, 77, op.index_dtype)] if op.clears else []
        status, results = run_kernel.call_many(
            function, KERNEL, op, isa, list(arrays.values()), {}, outputs)
        assert status == 0
        expected = index_check.reference(op, arrays)
        if op.clears:
            np.testing.assert_array_equal(results[0].reshape(expected.shape), expected)
            assert (expected[:, count:] == 0).all()


@pytest.mark.parametrize("index", range(len(CASES)))
def test_wrong_numbers_are_a_status(run_kernel, isa, index):
    op = CASES[index]
    function = run_kernel.build(KERNEL, op, isa)
    count = op.rows - 1 if op.has_count else op.rows
    arrays = arrays_of(op, count, max(1, op.limit - 1))
    wrong = []
    if op.has_count:
        wrong += [{"count": np.array([n])} for n in (-1, op.rows + 1, 2**40, -(2**63))]
    if op.limit:
        wrong += [{"limit": np.array([n])} for n in (-1, 0, op.limit + 1, 2**33)]
        for number in (-1, op.limit - 1, np.iinfo(op.index_dtype).max):
            changed = arrays["index"].copy()
            changed[-1, count - 1] = number
            wrong.append({"index": changed})
    for change in wrong:
        given = {**arrays, **change}
        outputs = [np.zeros(op.elements, op.index_dtype)] if op.clears else []
        status, _ = run_kernel.call_many(
            function, KERNEL, op, isa, list(given.values()), {}, outputs)
        assert status != 0
        with pytest.raises(IndexError):
            index_check.reference(op, given)


def test_what_the_kernel_does_not_do(isas):
    assert select(CASES[0], isas[0]).name == "index_rows"
    odd = IndexCheck(outer=1, rows=4, inner=1, index_dtype="uint8")
    with pytest.raises(LoweringError, match="uint8 indices"):
        select(odd, isas[0])
    assert "nothing" in KERNEL.reject(
        IndexCheck(outer=1, rows=4, inner=1, clears=False), isas[0])
