"""Every schedule of the tile kernels gives the bits of the reference, and covers all rows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.targets.amx.test_tile_conv import AnySize as AnyConv
from tests.targets.amx.test_tile_matmul import AnySize as AnyMatMul
from tests.targets.test_attention import fused
from tests.targets.test_conv_gemm import make_arrays
from tests.targets.test_matmul import mixture, random_arrays, scores
from tests.targets.test_schedules import SAMPLED, pick

from octavo.targets.kernels.tile_attention import TileAttention
from octavo.targets.kernels.tile_conv import TileConv
from octavo.targets.kernels.tile_matmul import TileMatMul
from octavo.targets.ops import conv, matmul
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.requantize import Requantize
from octavo.targets.x86.amx import AmxInt8

ISA = AmxInt8()
SLACK_BYTES = 64  # of arena and weights, see octavo_runtime.h
SIZES = st.integers(1, 40)


@st.composite
def convolutions(draw, largest=14, channels=150):
    kernel = draw(st.sampled_from([1, 1, 3, 5]))
    pad = draw(st.integers(0, kernel // 2))
    return Conv(
        batch=draw(st.sampled_from([1, 1, 2])),
        in_h=draw(st.integers(kernel, largest)),
        in_w=draw(st.integers(kernel, 2 * largest)),
        in_c=draw(st.integers(1, channels)),
        out_c=draw(st.integers(1, channels)),
        kernel_h=kernel,
        kernel_w=kernel,
        stride_h=draw(st.integers(1, 2)),
        stride_w=draw(st.integers(1, 2)),
        pad_top=pad,
        pad_right=pad,
        requantize=Requantize(residual=draw(st.sampled_from(["", "uint8"]))),
    )


@SAMPLED
@given(data=st.data())
def test_convolutions(run_tiles, data):
    op = data.draw(convolutions())
    arrays = make_arrays(op, np.random.default_rng(op.in_c))
    inputs = [arrays["x"]] + ([arrays["residual"]] if op.requantize.residual else [])
    y = np.zeros((op.batch, op.full_h, op.full_w, op.out_c), op.requantize.dtype)
    result = run_tiles(pick(data, AnyConv(), op, ISA), op, inputs, arrays, y)
    np.testing.assert_array_equal(result, conv.reference(op, arrays))


@SAMPLED
@given(data=st.data())
def test_products_of_activations(run_tiles, data):
    sizes = [data.draw(st.integers(1, most)) for most in (3, 70, 90)]
    op = data.draw(st.sampled_from([scores, mixture]))(*sizes)
    arrays = random_arrays(op, seed=sizes[2])
    y = np.zeros(op.y_elements, op.out_dtype)
    kernel = pick(data, AnyMatMul(), op, ISA)
    result = run_tiles(kernel, op, [arrays["a"], arrays["b"]], arrays, y)
    np.testing.assert_array_equal(result, matmul.reference(op, arrays))


@settings(max_examples=300, derandomize=True)
@given(op=convolutions(largest=230, channels=2100))
def test_tasks_cover_all_blocks_and_panels_of_convolutions(op):
    for schedule in TileConv().schedules(op, ISA):
        assert_covered(schedule, TileConv(schedule).layouts(op, ISA)[0][0])


@settings(max_examples=100, derandomize=True)
@given(make=st.sampled_from([scores, mixture]), heads=SIZES, length=st.integers(1, 600),
       depth=st.integers(1, 300))
def test_tasks_cover_all_blocks_and_panels_of_products(make, heads, length, depth):
    op = make(heads, length, depth)
    for schedule in TileMatMul().schedules(op, ISA):
        assert_covered(schedule, TileMatMul(schedule).layouts(op, ISA)[0][0])


@settings(max_examples=300, derandomize=True)
@given(op=convolutions(largest=230, channels=5000))
def test_rows_are_read_within_the_slack_of_buffers(op):
    """Loads may read up to 64 bytes behind a buffer; the last row of a tile ends it."""
    for gathers in (False, True):
        schedules = TileConv().schedules(op, ISA)
        kernel = TileConv(next(s for s in schedules if s.gathers == gathers))
        (layout, _), = kernel.layouts(op, ISA)
        assert 0 <= layout.tap_bytes - layout.run < SLACK_BYTES
        assert layout.steps <= ISA.tiles.max_steps
        assert 1 <= layout.tile_rows <= ISA.tiles.max_rows


@given(depth=st.integers(1, 5000), columns=st.integers(1, 5000))
def test_queries_are_read_within_the_slack_of_buffers(depth, columns):
    op = fused(1, 40, columns, depth, 64)
    for layout, _ in TileAttention().layouts(op, ISA):
        assert 0 <= layout.tap_bytes - layout.run < SLACK_BYTES


def assert_covered(schedule, layout):
    for size, owners, total in (
        (schedule.blocks, schedule.parts, layout.blocks),
        (schedule.panels, schedule.groups, layout.panels),
    ):
        assert size * (owners - 1) < total <= size * owners
