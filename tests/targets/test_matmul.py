"""Products of two activations: the reference against plain loops, the kernel against it."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from octavo.targets.isa import Isa
from octavo.targets.kernels.matmul import MAX_DEPTH, MatMulGemm
from octavo.targets.ops.matmul import MatMul, reference
from octavo.targets.ops.requantize import Requantize, dyadic

KERNEL = MatMulGemm()


def scores(heads: int, length: int, depth: int, **fields: Any) -> MatMul:
    """Queries times keys, both (length, heads * depth)."""
    width, size = heads * depth, length * heads * depth
    return MatMul(
        (heads,), length, length, depth, (depth, width), (depth, 1, width),
        (length * length, length), size, size, heads * length * length, **fields)


def mixture(heads: int, length: int, depth: int, **fields: Any) -> MatMul:
    """Attention (heads, length, length) times values (length, heads * depth)."""
    width, size = heads * depth, length * heads * depth
    return MatMul(
        (heads,), length, depth, length, (length * length, length), (depth, width, 1),
        (depth, width), heads * length * length, size, size, **fields)


def random_arrays(op: MatMul, seed: int, multiplier: float | None = None) -> dict[str, Any]:
    rng = np.random.default_rng(seed)

    def tensor(size: int, dtype: str) -> Any:
        if dtype == "float32":
            return rng.normal(size=size).astype(np.float32)
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max + 1, size).astype(dtype)

    def zero_point(dtype: str) -> int:
        return 0 if dtype == "float32" else int(tensor(1, dtype)[0])

    real = multiplier or 40 / (70 * 75 * op.depth**0.5)
    significand, shift = dyadic(np.array([real]))
    out = np.iinfo(op.requantize.dtype if op.requantize.dtype != "float32" else "int8")
    arrays = {
        "a": tensor(op.a_elements, op.a_dtype),
        "b": tensor(op.b_elements, op.b_dtype),
        "zero_points": np.array([zero_point(op.a_dtype), zero_point(op.b_dtype)], np.int32),
        "multiplier": np.array([real], np.float32),
        "significand": significand, "shift": shift,
        "params": np.array([out.min + 100, out.min + 2, out.max - 1, 7], np.int32),
        "residual_multiplier": np.array([0.37], np.float32),
        "residual_significand": np.rint(0.37 * 2.0**shift).astype(np.int64),
        "table": rng.permutation(256).astype(np.uint8).view(op.requantize.dtype)
        if op.requantize.has_table else None,
        "limits": np.array([-1.5, np.inf], np.float32),
    }
    if op.requantize.residual:
        arrays["residual"] = tensor(op.y_elements, op.requantize.residual)
    return arrays


def check(run: Any, op: MatMul, isa: Isa, seed: int, **fields: Any) -> None:
    arrays = random_arrays(op, seed, **fields)
    inputs = [arrays[name] for name in ("a", "b", "residual") if name in arrays]
    got = run(KERNEL, op, isa, inputs, arrays, np.zeros(op.y_elements, op.out_dtype))
    expected = reference(op, arrays)
    if op.is_float:  # sums of depth products in another order, each rounded to 2**-24
        bound = op.depth * 2.0**-22 * np.abs(arrays["a"]).max() * np.abs(arrays["b"]).max()
        np.testing.assert_allclose(got, expected, rtol=0, atol=bound)
    else:
        np.testing.assert_array_equal(got, expected)


def test_reference_is_the_product_of_centred_operands() -> None:
    op = mixture(2, 5, 3, requantize=Requantize(dtype="float32"))
    arrays = random_arrays(op, 0, multiplier=1.0)
    za, zb = (int(z) for z in arrays["zero_points"])
    a = arrays["a"].reshape(2, 5, 5).astype(int) - za
    b = arrays["b"].reshape(5, 2, 3).astype(int) - zb
    expected = np.einsum("hrd,dhc->rhc", a, b)
    np.testing.assert_array_equal(reference(op, arrays).reshape(5, 2, 3), expected)


@pytest.mark.parametrize(
    ("a_dtype", "b_dtype"), list(itertools.product(("uint8", "int8"), repeat=2)))
def test_every_pair_of_types(run_kernel: Any, isa: Isa, a_dtype: str, b_dtype: str) -> None:
    for seed, make in enumerate((scores, mixture)):
        check(run_kernel, make(2, 19, 10, a_dtype=a_dtype, b_dtype=b_dtype), isa, seed)


def test_instructions_with_signed_activations(run_kernel: Any) -> None:
    signed = Isa(name="signed", activation_dtype="int8")
    for seed, (a, b) in enumerate(itertools.product(("uint8", "int8"), repeat=2)):
        check(run_kernel, scores(2, 19, 10, a_dtype=a, b_dtype=b), signed, seed)


@pytest.mark.parametrize("length", [1, 3, 15, 16, 17, 33, 49, 66])
def test_sizes_around_the_vector_width(run_kernel: Any, isa: Isa, length: int) -> None:
    check(run_kernel, scores(1, length, 16), isa, length)
    check(run_kernel, mixture(2, length, length + 1), isa, length)


@pytest.mark.parametrize("requantize", [
    Requantize(mode="dyadic"),
    Requantize(mode="dyadic", residual="uint8"),
    Requantize(residual="int8", dtype="int8"),
    Requantize(has_table=True),
    Requantize(dtype="float32"),
], ids=str)
def test_every_epilogue(run_kernel: Any, isa: Isa, requantize: Requantize) -> None:
    check(run_kernel, scores(2, 21, 12, requantize=requantize), isa, 1)


@pytest.mark.parametrize("mode", ["float32", "dyadic"])
@pytest.mark.parametrize("multiplier", [2.0**-40, 3.7])
def test_extreme_multipliers(
    run_kernel: Any, isa: Isa, mode: str, multiplier: float
) -> None:
    op = mixture(1, 18, 20, requantize=Requantize(mode=mode))
    check(run_kernel, op, isa, 2, multiplier=multiplier)


def test_operands_may_be_repeated_along_the_batch(run_kernel: Any, isa: Isa) -> None:
    op = MatMul((2, 3), 7, 9, 6, (42, 0, 6), (0, 54, 9, 1), (189, 63, 9), 84, 162, 378)
    check(run_kernel, op, isa, 3)
    # A repeated matrix is packed once.
    own = replace(op, b_strides=(162, 54, 9, 1), b_elements=324)
    assert KERNEL.scratch_bytes(op, isa) < KERNEL.scratch_bytes(own, isa)


def test_operands_may_start_inside_their_tensors(run_kernel: Any, isa: Isa) -> None:
    # Queries, keys and values side by side, as one projection writes them: (17, 3, 2, 8).
    fused = 17 * 3 * 16
    op = MatMul((2,), 17, 17, 8, (8, 48), (8, 1, 48), (289, 17), fused, fused, 600,
                a_offset=0, b_offset=16, y_offset=5)
    check(run_kernel, op, isa, 6)
    op = MatMul((2,), 17, 8, 17, (289, 17), (8, 48, 1), (8, 16), 580, fused, 17 * 16,
                a_offset=2, b_offset=32, a_dtype="int8")
    check(run_kernel, op, isa, 7)


def test_float_products(run_kernel: Any, isa: Isa) -> None:
    for make in (scores, mixture):
        check(run_kernel, make(2, 35, 7, a_dtype="float32", b_dtype="float32"), isa, 4)


@pytest.mark.parametrize(("a_dtype", "b_dtype"), [("uint8", "uint8"), ("int8", "int8")])
def test_the_deepest_product_does_not_overflow(
    run_kernel: Any, isa: Isa, a_dtype: str, b_dtype: str
) -> None:
    op = MatMul((), 2, 3, MAX_DEPTH, (MAX_DEPTH,), (1, MAX_DEPTH), (3,),
                2 * MAX_DEPTH, 3 * MAX_DEPTH, 6, a_dtype, b_dtype)
    arrays = random_arrays(op, 5, multiplier=2.0**-24)
    low, high = np.iinfo(a_dtype).min, np.iinfo(a_dtype).max
    arrays["a"][:] = high
    arrays["b"][:] = high
    for zero_points in ((low, low), (low, high), (high, low)):
        arrays["zero_points"] = np.array(zero_points, np.int32)
        got = run_kernel(
            KERNEL, op, isa, [arrays["a"], arrays["b"]], arrays, np.zeros(6, op.out_dtype))
        np.testing.assert_array_equal(got, reference(op, arrays))
    deeper = MatMul((), 2, 3, MAX_DEPTH + 1, (MAX_DEPTH + 1,), (1, MAX_DEPTH + 1), (3,),
                    2 * MAX_DEPTH + 2, 3 * MAX_DEPTH + 3, 6)
    assert "16385" in KERNEL.reject(deeper, isa)


def test_strides_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(ValueError, match="must be 1"):
        MatMul((), 2, 3, 4, (4,), (6, 2), (3,), 8, 24, 6)
    with pytest.raises(ValueError, match="batch strides"):
        MatMul((2,), 2, 3, 4, (4,), (3, 1), (3,), 8, 12, 6)
