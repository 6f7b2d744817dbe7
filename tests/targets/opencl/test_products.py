"""GPU products of activations, attention and normalizations equal their references."""

import numpy as np
import pytest
from tests.targets import test_attention as attention_cases
from tests.targets import test_layer_norm as layer_norm_cases
from tests.targets import test_matmul as matmul_cases
from tests.targets import test_softmax as softmax_cases
from tests.targets.opencl.conftest import PORTABLE, WIDE

from octavo.targets.opencl.attention import GpuAttention
from octavo.targets.opencl.layer_norm import GpuLayerNorm
from octavo.targets.opencl.matmul import GpuMatMul
from octavo.targets.opencl.softmax import GpuSoftmax
from octavo.targets.ops import attention, layer_norm, matmul, softmax
from octavo.targets.ops.layer_norm import LayerNorm
from octavo.targets.ops.requantize import Requantize
from octavo.targets.ops.softmax import Softmax

MODES = pytest.mark.parametrize("mode", ["float32", "dyadic"])

PRODUCTS = {
    "scores": matmul_cases.scores(2, 7, 12),
    "mixture": matmul_cases.mixture(2, 7, 10),
    "signed": matmul_cases.scores(1, 5, 9, a_dtype="int8", b_dtype="int8"),
    "table": matmul_cases.mixture(1, 6, 8, requantize=Requantize(has_table=True)),
    "residual": matmul_cases.mixture(1, 6, 8, requantize=Requantize(residual="uint8")),
    "dyadic": matmul_cases.mixture(2, 5, 6, requantize=Requantize(mode="dyadic")),
    "real": matmul_cases.mixture(2, 5, 6, requantize=Requantize(dtype="float32")),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(run_gpu, name):
    op = PRODUCTS[name]
    arrays = matmul_cases.random_arrays(op, 3)
    inputs = [arrays[name] for name in ("a", "b", "residual") if name in arrays]
    (y,) = run_gpu(GpuMatMul(), op, inputs, arrays, [np.zeros(op.y_elements, op.out_dtype)])
    np.testing.assert_array_equal(y, matmul.reference(op, arrays))


@MODES
@pytest.mark.parametrize("inner", [1, 3])
def test_softmax(run_gpu, inner, mode):
    op = Softmax(4, 50, inner, dtype="int8", mode=mode)
    arrays = softmax_cases.arrays_of(op, 4)
    (y,) = run_gpu(GpuSoftmax(), op, [arrays["x"]], arrays, [np.zeros(op.elements, np.uint8)])
    expected = softmax.reference(op, arrays)
    np.testing.assert_array_equal(y.reshape(expected.shape), expected)


@pytest.mark.parametrize("extent", [1, 33, 384])
def test_layer_norm(run_gpu, extent):
    case = layer_norm_cases.Case(LayerNorm(5, extent, out_dtype="int8"), 5)
    y = np.zeros(case.op.elements, np.int8)
    (result,) = run_gpu(GpuLayerNorm(), case.op, [case.x], case.arrays, [y])
    expected = layer_norm.reference(case.op, case.arrays)
    np.testing.assert_array_equal(result.reshape(expected.shape), expected)


def test_the_dyadic_layer_norm_is_refused():
    assert "dyadic" in GpuLayerNorm().reject(LayerNorm(2, 8, mode="dyadic"), None)


def check_attention(run_gpu, op, **options):
    arrays = attention_cases.arrays_of(op, 6)
    names = ("q", "k", "mask", "v") if op.mask_strides is not None else ("q", "k", "v")
    y = np.zeros(op.y_elements, op.dtype)
    (result,) = run_gpu(
        GpuAttention(), op, [arrays[n] for n in names], arrays, [y], **options)
    expected = attention.reference(op, arrays)
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(result, expected)


@MODES
@pytest.mark.parametrize("has_mask", [False, True])
def test_attention(run_gpu, has_mask, mode):
    fields = {"mode": mode}
    if has_mask:
        fields |= {"mask_strides": (0, 0, 0, 1), "mask_elements": 11}
    check_attention(run_gpu, attention_cases.fused(3, 6, 11, 8, 12, **fields))


@pytest.mark.parametrize("accelerator", [PORTABLE, WIDE], ids=lambda a: a.name)
@pytest.mark.parametrize(("depth", "width"), [(64, 64), (6, 9), (3, 70)])
def test_attention_of_any_features(run_gpu, depth, width, accelerator):
    op = attention_cases.fused(2, 5, 35, depth, width)
    check_attention(run_gpu, op, accelerator=accelerator)


@pytest.mark.parametrize("dtypes", [("int8", "int8", "int8"), ("uint8", "int8", "uint8")])
def test_attention_of_signed_activations(run_gpu, dtypes):
    q, k, v = dtypes
    op = attention_cases.fused(2, 5, 17, 8, 8, q_dtype=q, k_dtype=k, v_dtype=v, dtype="int8")
    check_attention(run_gpu, op)


def test_scores_that_no_work_group_has_room_for_are_refused():
    op = attention_cases.fused(1, 2, 9000, 8, 8)
    assert "9000 tokens" in GpuAttention().reject(op, PORTABLE)
    assert GpuAttention().reject(attention_cases.fused(1, 2, 8000, 8, 8), PORTABLE) == ""
