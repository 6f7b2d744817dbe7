"""GPU normalization of float rows: bits of the reference, around the number of lanes."""

import numpy as np
import pytest
from tests.targets import test_float_layer_norm as cases
from tests.targets.opencl.conftest import PORTABLE, WIDE

from octavo.targets.opencl.float_layer_norm import GpuFloatLayerNorm
from octavo.targets.ops.float_layer_norm import FloatLayerNorm, reference

KERNEL = GpuFloatLayerNorm()


@pytest.mark.parametrize("accelerator", [PORTABLE, WIDE], ids=lambda a: a.name)
@pytest.mark.parametrize("extent", [1, 15, 16, 17, 77, 384])
def test_rows(run_gpu, extent, accelerator):
    op = FloatLayerNorm(5, extent)
    arrays = cases.arrays(op)
    (y,) = run_gpu(KERNEL, op, [arrays["x"]], arrays, [np.zeros(op.elements, np.float32)],
                   accelerator=accelerator)
    cases.assert_same_bits(y.reshape(op.rows, extent), reference(op, arrays))
