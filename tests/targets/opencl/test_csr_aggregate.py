"""Message passing on a GPU has the bits of the CPU's reference."""

from dataclasses import replace

import numpy as np
import pytest
from tests.targets import test_csr_aggregate, test_given_aggregate
from tests.targets.graphs import EPILOGUES, output
from tests.targets.opencl.conftest import PORTABLE

from octavo.targets.opencl.csr_aggregate import GpuCsrAggregate
from octavo.targets.opencl.library import select_gpu
from octavo.targets.ops import csr_aggregate

KERNEL = GpuCsrAggregate()
CASES = test_given_aggregate.CASES
CONSTANT = test_csr_aggregate.CsrAggregate(
    kind="mean", channels=38, weight_dtype="int8", has_rows=True, per_node=True,
    requantize=EPILOGUES["dyadic"], **test_csr_aggregate.GRAPH)


def check(run_gpu, op, inputs, arrays):
    assert select_gpu(op, PORTABLE, arrays).name == KERNEL.name
    y = run_gpu(KERNEL, op, inputs, arrays, [output(op)])[0].reshape(op.nodes, op.channels)
    np.testing.assert_array_equal(y, csr_aggregate.reference(op, arrays))
    assert len(np.unique(y)) > 2


@pytest.mark.parametrize("index", range(len(CASES)))
def test_given_edges(run_gpu, index):
    epilogue = ("dyadic", "float32", "real", "table")[index % 4]
    op = test_given_aggregate.make(
        CASES[index], epilogue, has_bias=CASES[index][0] == "sum", from_zero=index % 2 == 0,
        channels=48 if "heads" in CASES[index][3] else 37 + index)
    arrays = test_given_aggregate.arrays_of(op)
    check(run_gpu, op, test_given_aggregate.inputs(op, arrays), arrays)


@pytest.mark.parametrize("channels", [3, 38])
def test_every_node_may_have_a_bias_of_its_own(run_gpu, channels):
    op = replace(CONSTANT, kind="sum", channels=channels, has_bias=True, bias_by_node=True)
    arrays = test_csr_aggregate.arrays_of(op)
    arrays["rows"] = np.random.default_rng(1).permutation(op.nodes)
    check(run_gpu, op, [arrays["x"]], arrays)


@pytest.mark.parametrize("channels", [3, 38])
def test_a_constant_graph_whose_nodes_have_an_order(run_gpu, channels):
    op = replace(CONSTANT, channels=channels)
    arrays = test_csr_aggregate.arrays_of(op)
    arrays["rows"] = np.random.default_rng(1).permutation(op.nodes)
    check(run_gpu, op, [arrays["x"]], arrays)


def test_what_the_cpu_computes():
    op = test_given_aggregate.make(CASES[4], channels=12)
    arrays = test_given_aggregate.arrays_of(op)
    assert select_gpu(replace(op, heads=3), PORTABLE, arrays) is not None
    assert "12 channels of 4 heads" not in KERNEL.reject(replace(op, heads=3), PORTABLE)
    assert "12 channels of 6 heads" in KERNEL.reject(replace(op, heads=6), PORTABLE)
    tflite = replace(op, heads=3, requantize=EPILOGUES["tflite"])
    assert "TensorFlow" in KERNEL.reject(tflite, PORTABLE)
    constant = replace(CONSTANT, has_rows=False)
    arrays = test_csr_aggregate.arrays_of(constant)
    assert select_gpu(constant, PORTABLE, arrays) is not None
    arrays["places"][0] = constant.sources
    assert select_gpu(constant, PORTABLE, arrays) is None, "no place outside is believed"
