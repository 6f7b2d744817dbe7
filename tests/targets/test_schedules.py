"""Every schedule that a kernel offers is legal: the same bits as the reference."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.targets import test_attention, test_conv_gemm, test_depthwise, test_matmul

from octavo.targets.instructions import ISAS
from octavo.targets.isa import Isa
from octavo.targets.kernels.attention import AttentionRows
from octavo.targets.kernels.bfloat16_gemm import Bfloat16Gemm
from octavo.targets.kernels.conv_gemm import ConvGemm
from octavo.targets.kernels.depthwise import Depthwise
from octavo.targets.kernels.depthwise_layout import MAX_DOTS, DepthwiseLayout
from octavo.targets.kernels.matmul import MatMulGemm
from octavo.targets.kernels.nibble_gemm import NibbleGemm
from octavo.targets.kernels.tile_conv import TileConv
from octavo.targets.kernels.tile_matmul import TileMatMul
from octavo.targets.kernels.tiling import MIN_TASKS, tilings
from octavo.targets.kernels.winograd import Winograd
from octavo.targets.kernels.word_depthwise import WordDepthwise
from octavo.targets.kernels.word_gemm import WordGemm
from octavo.targets.kernels.word_gemm_parts import WordGemmParts
from octavo.targets.library import kernel_table
from octavo.targets.ops import attention, conv, matmul
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.requantize import Requantize
from octavo.targets.schedule import schedules_of

SAMPLED = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TESTED = (AttentionRows, ConvGemm, Depthwise, MatMulGemm)
# In test_bfloat16_gemm.py, test_winograd.py, test_nibble_gemm.py and test_word_gemm.py.
TESTED_ELSEWHERE = (
    Bfloat16Gemm, Winograd, NibbleGemm, WordDepthwise, WordGemm, WordGemmParts)
TESTED_ON_TILES = (TileConv, TileMatMul)  # in amx/test_tile_schedules.py


def pick(data, kernel, op, isa):
    """One schedule, any of them."""
    schedules = schedules_of(kernel, op, isa)
    assert len(set(schedules)) == len(schedules)
    schedule = data.draw(st.sampled_from(schedules))
    tuned = kernel.with_schedule(schedule)
    assert tuned.schedules(op, isa)[0] == schedules[0], "the model's choice stays the first"
    return tuned


def test_every_tunable_kernel_is_tested_here():
    kernels = [kernel for _, served in kernel_table() for kernel in served]
    assert {type(k) for k in kernels if hasattr(k, "schedules")} == {
        *TESTED, *TESTED_ELSEWHERE, *TESTED_ON_TILES}


def test_a_kernel_without_schedules_offers_none():
    kernels = [kernel for _, served in kernel_table() for kernel in served]
    without = [kernel for kernel in kernels if not hasattr(kernel, "schedules")]
    assert all(schedules_of(kernel, None, Isa()) == () for kernel in without)


@SAMPLED
@given(data=st.data())
def test_convolutions(run_kernel, isa, data):
    groups = data.draw(st.sampled_from([1, 1, 1, 2]))
    kernel = data.draw(st.sampled_from([1, 1, 3]))
    pad = kernel // 2
    op = Conv(
        batch=1,
        in_h=data.draw(st.integers(kernel, 9)),
        in_w=data.draw(st.integers(kernel, 14)),
        in_c=groups * data.draw(st.integers(1, 40)),
        out_c=groups * data.draw(st.integers(1, 100)),
        kernel_h=kernel,
        kernel_w=kernel,
        stride_h=data.draw(st.integers(1, 2)),
        pad_top=pad,
        pad_left=pad,
        pad_right=pad,
        groups=groups,
        requantize=Requantize(residual=data.draw(st.sampled_from(["", "uint8"]))),
    )
    arrays = test_conv_gemm.make_arrays(op, np.random.default_rng(op.in_c))
    inputs = [arrays["x"]] + ([arrays["residual"]] if op.requantize.residual else [])
    y = np.zeros((op.batch, op.full_h, op.full_w, op.out_c), op.requantize.dtype)
    result = run_kernel(pick(data, ConvGemm(), op, isa), op, isa, inputs, arrays, y)
    np.testing.assert_array_equal(result, conv.reference(op, arrays))


@SAMPLED
@given(data=st.data())
def test_depthwise_convolutions(run_kernel, isa, data):
    size = st.integers(1, 20)
    op = test_depthwise.depthwise(
        data.draw(st.integers(1, 7)),
        data.draw(size),
        data.draw(st.integers(1, 150)),
        data.draw(st.sampled_from([(3, 3), (5, 5), (1, 3)])),
        stride=data.draw(st.sampled_from([(1, 1), (2, 2)])),
    )
    arrays = test_depthwise.make_arrays(op, seed=op.in_c)
    y = np.zeros((op.batch, op.full_h, op.full_w, op.out_c), op.requantize.dtype)
    kernel = pick(data, Depthwise(), op, isa)
    assert DepthwiseLayout(op, isa, kernel.schedule).num_dots <= MAX_DOTS
    result = run_kernel(kernel, op, isa, [arrays["x"]], arrays, y)
    np.testing.assert_array_equal(result, conv.reference(op, arrays))


@SAMPLED
@given(data=st.data())
def test_products_of_activations(run_kernel, isa, data):
    sizes = [data.draw(st.integers(1, most)) for most in (3, 20, 90)]
    product = data.draw(st.sampled_from([test_matmul.scores, test_matmul.mixture]))
    op = product(*sizes)
    arrays = test_matmul.random_arrays(op, seed=sizes[2])
    inputs = [arrays[name] for name in ("a", "b")]
    y = np.zeros(op.y_elements, op.out_dtype)
    kernel = pick(data, MatMulGemm(), op, isa)
    result = run_kernel(kernel, op, isa, inputs, arrays, y)
    np.testing.assert_array_equal(result, matmul.reference(op, arrays))


@settings(max_examples=300, derandomize=True)
@given(
    isa=st.sampled_from(list(ISAS.values())),
    rows=st.integers(1, 20_000),
    vectors=st.integers(1, 200),
    steps=st.integers(1, 2000),
    row_bytes=st.integers(1, 10_000),
    groups=st.sampled_from([1, 1, 4, 64]),
)
def test_tilings_cover_all_rows_and_leave_work_for_cores(
    isa, rows, vectors, steps, row_bytes, groups
):
    found = tilings(isa=isa, rows=rows, vectors=vectors, steps=steps, row_bytes=row_bytes,
                    groups=groups)
    for tiling in found:
        tiles = tiling.blocks * tiling.block_tiles
        assert 1 <= tiling.rows <= rows <= tiles * tiling.rows
        assert (tiles - tiling.block_tiles) * tiling.rows < rows, "a block has nothing to do"
        tasks = tiling.blocks * -(-vectors // tiling.panel) * groups
        all_tasks = -(-rows // tiling.rows) * -(-vectors // tiling.panel) * groups
        # Blocks are made even, so there may be fewer than wanted, but never half of them.
        assert tasks >= min(MIN_TASKS, all_tasks) / 2


@SAMPLED
@given(data=st.data())
def test_attention_rows(run_kernel, isa, data):
    sizes = [data.draw(st.integers(1, most)) for most in (3, 40, 70, 40, 40)]
    op = test_attention.fused(*sizes)
    arrays = test_attention.arrays_of(op, sum(sizes))
    inputs = [arrays[name] for name in "qkv"]
    y = np.zeros(op.y_elements, op.dtype)
    result = run_kernel(pick(data, AttentionRows(), op, isa), op, isa, inputs, arrays, y)
    np.testing.assert_array_equal(result, attention.reference(op, arrays))
