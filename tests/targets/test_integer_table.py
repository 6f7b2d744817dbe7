"""Integers of every width are looked up, and what is beyond the ends is an end."""

import numpy as np
import pytest

from octavo.errors import LoweringError
from octavo.targets.kernels.integer_table import IntegerTableElements
from octavo.targets.library import select
from octavo.targets.ops import integer_table
from octavo.targets.ops.integer_table import IntegerTable

KERNEL = IntegerTableElements()
CASES = [
    IntegerTable(elements=33, low=0, high=1, dtype="bool", out_dtype="uint8"),
    IntegerTable(elements=1, low=-128, high=127, dtype="int64", out_dtype="int8"),
    IntegerTable(elements=131, low=-128, high=127, dtype="int64", out_dtype="uint8"),
    IntegerTable(elements=17, low=-3, high=5, dtype="int32", out_dtype="int8"),
    IntegerTable(elements=16, low=7, high=7, dtype="int16", out_dtype="uint8"),
    IntegerTable(elements=15, low=0, high=255, dtype="uint8", out_dtype="uint8"),
    IntegerTable(elements=9, low=-128, high=127, dtype="int8", out_dtype="uint8"),
]


def numbers(op):
    limits = np.iinfo("uint8" if op.dtype == "bool" else op.dtype)
    ends = [limits.min, limits.max, op.low, op.high, op.low - 1, op.high + 1]
    known = [end for end in ends if limits.min <= end <= limits.max]
    rng = np.random.default_rng(op.elements)
    near = rng.integers(op.low, op.high + 1, op.elements)
    near[: len(known)] = known[: op.elements]
    return near.astype(limits.dtype)


@pytest.mark.parametrize("index", range(len(CASES)))
def test_kernel_equals_the_reference(run_kernel, isa, index):
    op = CASES[index]
    function = run_kernel.build(KERNEL, op, isa)
    rng = np.random.default_rng(index)
    table = rng.integers(0, 256, op.high - op.low + 1).astype(np.uint8).view(op.out_dtype)
    x = numbers(op)
    status, (y,) = run_kernel.call_many(
        function, KERNEL, op, isa, [x], {"table": table}, [np.zeros(op.elements, op.out_dtype)]
    )
    assert status == 0
    expected = integer_table.reference(op, {"x": x, "table": table})
    assert len(np.unique(expected)) > 1 or op.high == op.low or op.elements == 1
    np.testing.assert_array_equal(y, expected)


def test_what_the_kernel_does_not_do(isas):
    assert select(CASES[0], isas[0]).name == "integer_table"
    for wrong in (
        IntegerTable(elements=4, low=0, high=256, dtype="int64", out_dtype="uint8"),
        IntegerTable(elements=4, low=-1, high=2, dtype="uint8", out_dtype="uint8"),
        IntegerTable(elements=4, low=0, high=2, dtype="float32", out_dtype="uint8"),
        IntegerTable(elements=0, low=0, high=2, dtype="int64", out_dtype="uint8"),
    ):
        with pytest.raises(LoweringError):
            select(wrong, isas[0])
