"""One operation of each family with the instructions of a CPU that has tiles."""

import numpy as np
import pytest
from tests.targets.conftest import random_array
from tests.targets.test_every_level import CASES, make_arrays

from octavo.targets.library import select
from octavo.targets.x86.amx import AmxInt8

ISA = AmxInt8()


@pytest.mark.parametrize("name", CASES)
def test_every_family_equals_its_reference(run_tiles, name):
    op, reference, operands, out_shape = CASES[name]
    arrays = make_arrays(random_array, op, out_shape)
    expected = reference(op, arrays)
    y = run_tiles(select(op, ISA), op, [arrays[n] for n in operands], arrays,
                  np.zeros(out_shape, expected.dtype))
    np.testing.assert_array_equal(y.reshape(-1), expected.reshape(-1))
