"""Attention: the reference against float arithmetic, the kernel against the reference."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from octavo.targets.host import CPUINFO, LEVELS, cpu_flags
from octavo.targets.instructions import isa_of
from octavo.targets.isa import Isa
from octavo.targets.kernels.attention import AttentionRows
from octavo.targets.kernels.attention_tiles import even_panels
from octavo.targets.ops.attention import (
    MAX_COLUMNS,
    MAX_DEPTH,
    Attention,
    attention_arrays,
    reference,
    weights,
)

KERNEL = AttentionRows()
MODES = pytest.mark.parametrize("mode", ["float32", "dyadic"])


PORTABLE = (Isa(name="generic"), Isa(name="generic_int8", activation_dtype="int8"))


def level_name(level: Any) -> str:
    return level.name if isinstance(level, Isa) else str(level[0].name)


@pytest.fixture(params=[*PORTABLE, *LEVELS], ids=level_name)
def isa(request: pytest.FixtureRequest) -> Isa:
    """Portable instructions, and each x86-64 level that this machine runs."""
    if isinstance(request.param, Isa):
        return request.param
    target, needed = request.param
    missing = needed - cpu_flags(CPUINFO)
    if missing:
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}")
    found: Isa = isa_of(target)
    return found


def fused(
    heads: int, rows: int, columns: int, depth: int, width: int, **fields: Any
) -> Attention:
    """Heads side by side, as projections leave them: (tokens, heads * features)."""
    row_q, row_v = heads * depth, heads * width
    return Attention(
        batch=(1, heads), rows=rows, columns=columns, depth=depth, width=width,
        q_strides=(rows * row_q, depth, row_q),
        k_strides=(columns * row_q, depth, 1, row_q),
        v_strides=(columns * row_v, width, row_v, 1),
        y_strides=(rows * row_v, width, row_v),
        q_elements=rows * row_q, k_elements=columns * row_q, v_elements=columns * row_v,
        y_elements=rows * row_v, **fields,
    )  # fmt: skip


def arrays_of(
    op: Attention, seed: int, *, score_scale: float = 3e-4, value_ratio: float = 2.0
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)

    def tensor(dtype: str, n: int) -> Any:
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max + 1, n).astype(dtype)

    out = np.iinfo(op.dtype)
    signed = {name: -128 if dtype == "int8" else 0 for name, dtype in (
        ("k", op.k_dtype), ("v", op.v_dtype), ("mask", op.mask_dtype))}
    found = {
        "q": tensor(op.q_dtype, op.q_elements),
        "k": tensor(op.k_dtype, op.k_elements),
        "v": tensor(op.v_dtype, op.v_elements),
    }
    masked: dict[str, Any] = {}
    if op.mask_strides is not None:
        found["mask"] = tensor(op.mask_dtype, op.mask_elements)
        masked = {"mask_scale": 1000 * score_scale, "zero_point_mask": 70 + signed["mask"]}
    return found | attention_arrays(
        op, zero_points=(117, 131 + signed["k"], 140 + signed["v"]), score_scale=score_scale,
        value_ratio=value_ratio,
        params=np.array([(out.min + out.max) // 2, out.min, out.max, 0], np.int32), **masked)


def taken_as(
    op: Attention, isa: Isa, arrays: dict[str, Any]
) -> tuple[Attention, dict[str, Any]]:
    """The same attention of queries of the type that the instructions take."""
    if op.q_dtype == isa.activation_dtype:
        return op, arrays
    signed = (arrays["q"] ^ np.uint8(128)).view(np.int8)
    zero_points = arrays["zero_points"] - np.array([128, 0, 0, 0], np.int32)
    return replace(op, q_dtype="int8"), arrays | {"q": signed, "zero_points": zero_points}


def check(
    run_kernel: Any, op: Attention, isa: Isa, arrays: dict[str, Any], *, varied: bool = True
) -> None:
    op, arrays = taken_as(op, isa, arrays)
    names = ("q", "k", "v") if op.mask_strides is None else ("q", "k", "mask", "v")
    y = np.zeros(op.y_elements, op.dtype)
    expected = reference(op, arrays)
    got = run_kernel(KERNEL, op, isa, [arrays[n] for n in names], arrays, y)
    np.testing.assert_array_equal(got, expected)
    assert not varied or len(np.unique(expected)) > 1, "a constant output would hide errors"


@MODES
@pytest.mark.parametrize("columns", [1, 7, 50, 197])
@pytest.mark.parametrize("score_scale", [3e-6, 3e-4, 3e-3])
def test_reference_rounds_the_real_attention(
    mode: str, columns: int, score_scale: float
) -> None:
    op = fused(2, 9, columns, 32, 16, mode=mode)
    arrays = arrays_of(op, columns, score_scale=score_scale)
    zero_q, zero_k, zero_v, _ = (int(z) for z in arrays["zero_points"])
    q, k, v = (
        (arrays[name].reshape(n, 2, -1).astype(np.float64) - zero).transpose(1, 0, 2)
        for name, n, zero in (
            ("q", 9, zero_q), ("k", columns, zero_k), ("v", columns, zero_v)))
    scores = q @ k.transpose(0, 2, 1) * score_scale
    weight = np.exp(scores - scores.max(-1, keepdims=True))
    total = weight.sum(-1, keepdims=True)
    real = 2.0 * (weight @ v / total).transpose(1, 0, 2).reshape(-1) + 127
    # Every weight is off by up to half of 1/255, and 3e-4 of itself for the polynomial; both
    # times the spread of the values, over the sum of the weights, which has the same error.
    error = 2.0 * (columns * 0.5 / 255 + 3e-4 * total) / total * np.abs(v).max() * 2
    error = np.broadcast_to(error, (2, 9, 16)).transpose(1, 0, 2).reshape(-1) + 0.51
    limited = np.clip(real, 0, 255)
    assert (np.abs(reference(op, arrays).astype(np.float64) - limited) <= error).all()


def test_weights_follow_the_exponential() -> None:
    for score_scale in (1e-6, 1e-4, 1e-2, 0.5, 3.0):
        step = arrays_of(fused(1, 1, 4, 64, 4), 0, score_scale=score_scale)["step"]
        distance = np.unique(np.geomspace(1, 8e6, 5000).astype(np.int64))
        exact = 255 * np.exp(-distance * score_scale)
        # Half a step, the polynomial, 1/4096 of an octave, and a significand that was rounded.
        rounding = distance * score_scale * 0.5 / step[1]
        bound = 0.5 + exact * (1.2e-4 + 2.5e-4 + rounding) + 0.01
        assert (np.abs(weights(distance, step) - exact) <= bound).all(), score_scale
    assert weights(np.zeros(1, np.int64), step)[0] == 255


def test_modes_differ_only_in_ties() -> None:
    ops = [fused(2, 30, 60, 32, 32, mode=mode) for mode in ("float32", "dyadic")]
    rounded = [reference(op, arrays_of(op, 0)).astype(int) for op in ops]
    difference = np.abs(rounded[0] - rounded[1])
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.99


@MODES
@pytest.mark.parametrize("columns", [1, 4, 15, 17, 63, 65, 197])
def test_columns_around_the_vector_width(
    run_kernel: Any, isa: Isa, mode: str, columns: int
) -> None:
    op = fused(1, 5, columns, 12, 8, mode=mode)
    check(run_kernel, op, isa, arrays_of(op, columns))


@pytest.mark.parametrize("width", [1, 15, 17, 80])
@pytest.mark.parametrize("depth", [1, 5, 33])
def test_features_around_the_vector_width(
    run_kernel: Any, isa: Isa, depth: int, width: int
) -> None:
    op = fused(2, 3, 20, depth, width)
    check(run_kernel, op, isa, arrays_of(op, width))


@pytest.mark.parametrize("rows", [1, 9, 23])
def test_rows_around_the_tile(run_kernel: Any, isa: Isa, rows: int) -> None:
    op = fused(3, rows, 40, 64, 64)
    check(run_kernel, op, isa, arrays_of(op, rows))


@MODES
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_signed_operands(run_kernel: Any, isa: Isa, mode: str, dtype: str) -> None:
    op = fused(2, 11, 37, 16, 16, mode=mode, k_dtype=dtype, v_dtype="int8", dtype=dtype)
    check(run_kernel, op, isa, arrays_of(op, 3))


@pytest.mark.parametrize("columns", [5, 16, 70])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_masks_for_every_row_and_for_each(
    run_kernel: Any, isa: Isa, columns: int, dtype: str
) -> None:
    shared = fused(2, 10, columns, 16, 16, mask_strides=(columns, 0, 0, 1),
                   mask_elements=columns, mask_dtype=dtype)
    check(run_kernel, shared, isa, arrays_of(shared, 1))
    each = replace(shared, mask_strides=(0, 10 * columns, columns, 1),
                   mask_elements=20 * columns)
    check(run_kernel, each, isa, arrays_of(each, 2))


def test_keys_and_values_shared_by_heads(run_kernel: Any, isa: Isa) -> None:
    op = fused(4, 6, 21, 16, 16)
    shared = replace(
        op, batch=(2, 4), q_strides=(0, 16, 64), y_strides=(6 * 64, 16, 64),
        y_elements=2 * 6 * 64, k_strides=(21 * 16, 0, 1, 16), k_elements=2 * 21 * 16,
        v_strides=(0, 0, 16, 1), v_elements=21 * 16)
    check(run_kernel, shared, isa, arrays_of(shared, 5))


def test_operands_that_lie_the_other_way_round(run_kernel: Any, isa: Isa) -> None:
    op = fused(1, 7, 33, 20, 18)
    turned = replace(op, k_strides=(0, 0, 33, 1), v_strides=(0, 0, 1, 33))
    check(run_kernel, turned, isa, arrays_of(turned, 6))


def test_parts_of_one_projection(run_kernel: Any, isa: Isa) -> None:
    heads, tokens, depth = 3, 20, 16
    row = 3 * heads * depth
    strides = (tokens * row, depth, row)
    op = replace(
        fused(heads, tokens, tokens, depth, depth), q_strides=strides,
        k_strides=(tokens * row, depth, 1, row), v_strides=(tokens * row, depth, row, 1),
        q_elements=tokens * row, k_elements=tokens * row, v_elements=tokens * row,
        k_offset=heads * depth, v_offset=2 * heads * depth)
    check(run_kernel, op, isa, arrays_of(op, 7))


@MODES
@pytest.mark.parametrize("score_scale", [1e-7, 1e-3, 0.1, 30.0])
def test_flat_and_steep_scores(
    run_kernel: Any, isa: Isa, mode: str, score_scale: float
) -> None:
    op = fused(1, 6, 45, 24, 8, mode=mode)
    arrays = arrays_of(op, 8, score_scale=score_scale, value_ratio=0.7)
    q = arrays["q"].reshape(6, 24)
    q[0], q[1], q[2] = 0, 255, 117  # the last: all scores are the same
    arrays["params"] = np.array([128, 100, 150, 0], np.int32)  # limits inside the range
    check(run_kernel, op, isa, arrays)


@MODES
def test_sums_of_the_largest_numbers_are_exact(
    run_kernel: Any, isa: Isa, mode: str
) -> None:
    """Products of the lowest signed bytes are those that two of do not fit 16 bits."""
    op = fused(1, 6, 40, 48, 33, k_dtype="int8", v_dtype="int8", mode=mode)
    arrays = arrays_of(op, 10, score_scale=1e-7, value_ratio=0.4)
    arrays["q"][: 3 * 48] = 0
    arrays["k"][: 20 * 48] = -128
    arrays["v"][: 36 * 33] = -128
    arrays["zero_points"][:] = [255, -128, 127, 0]
    check(run_kernel, op, isa, arrays)
    check(run_kernel, op, isa, arrays | {
        "zero_points": np.array([0, 127, -128, 0], np.int32)})


def test_many_columns_on_every_level(run_kernel: Any, isa: Isa) -> None:
    op = fused(1, 2, 2500, 4, 4)  # more groups than words can sum on 128 bits
    check(run_kernel, op, isa, arrays_of(op, 9, score_scale=1e-5))


def test_sums_without_proof_are_refused() -> None:
    assert str(MAX_DEPTH) in KERNEL.reject(fused(1, 1, 4, MAX_DEPTH + 1, 4), Isa())
    assert str(MAX_COLUMNS) in KERNEL.reject(fused(1, 1, MAX_COLUMNS + 1, 4, 4), Isa())
    for dtype, other in (("uint8", "int8"), ("int8", "uint8")):
        op = fused(1, 1, 4, 4, 4, q_dtype=other)
        assert f"{other} queries" in KERNEL.reject(op, Isa(activation_dtype=dtype))


def test_masks_too_fine_or_too_coarse_are_refused() -> None:
    op = fused(1, 1, 4, 4, 4, mask_strides=(0, 0, 0, 1), mask_elements=4)
    for mask_scale in (1e-4, 1e6):
        with pytest.raises(ValueError, match="mask"):
            attention_arrays(
                op, zero_points=(0, 0, 0), score_scale=1e-3, value_ratio=1.0,
                params=np.zeros(4, np.int32), mask_scale=mask_scale)


@pytest.mark.parametrize("vectors", range(1, 30))
@pytest.mark.parametrize("most", [1, 2, 3, 6])
def test_panels_cover_all_vectors(vectors: int, most: int) -> None:
    panels = even_panels(vectors, most)
    covered = [first + i * width + v for first, count, width in panels.groups
               for i in range(count) for v in range(width)]
    assert covered == list(range(vectors))
    assert panels.width <= most
