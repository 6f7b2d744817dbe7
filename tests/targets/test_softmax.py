"""Softmax: the reference against float arithmetic, the kernel against the reference."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from octavo.targets.isa import Isa
from octavo.targets.kernels.softmax import SoftmaxTable
from octavo.targets.ops.softmax import MAX_EXTENT, Softmax, reference, softmax_arrays
from octavo.targets.x86.avx512_vnni import Avx512Vbmi, Avx512Vnni

KERNEL = SoftmaxTable()


@pytest.fixture(params=[Isa(), Avx512Vnni(), Avx512Vbmi()], ids=lambda isa: isa.name)
def isa(request: pytest.FixtureRequest) -> Isa:
    """Instructions with and without vector tables."""
    flags = Path("/proc/cpuinfo").read_text().split()
    names = {"avx512vnni": "avx512_vnni"}  # LLVM names and those of the kernel
    if not {names.get(f, f) for f in request.param.features} <= set(flags):
        pytest.skip(f"this CPU has not all of {request.param.features}")
    return request.param

SCALE_Y = 1 / 256


def arrays_of(
    op: Softmax, seed: int, scale_x: float = 0.05, scale_y: float = SCALE_Y
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    info, out = np.iinfo(op.dtype), np.iinfo(op.out_dtype)
    params = np.array([out.min, out.min, out.max, 0], np.int32)
    x = rng.integers(info.min, info.max + 1, op.elements).astype(op.dtype)
    return {"x": x, **softmax_arrays(op, scale_x, scale_y, params)}


def exact_steps(op: Softmax, x: Any, scale_x: float) -> Any:
    """The real softmax of the dequantized input, in output steps above the zero point."""
    real = x.reshape(op.rows, op.extent, op.inner).astype(np.float64) * scale_x
    exponential = np.exp(real - real.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True) / SCALE_Y


@pytest.mark.parametrize("mode", ["float32", "dyadic"])
@pytest.mark.parametrize("extent", [1, 2, 197, 1000, 5000])
@pytest.mark.parametrize("scale_x", [0.001, 0.05, 1.0])
def test_reference_rounds_the_real_softmax(mode: str, extent: int, scale_x: float) -> None:
    op = Softmax(5, extent, mode=mode)
    arrays = arrays_of(op, extent, scale_x)
    steps = reference(op, arrays).astype(np.float64)
    real = np.minimum(exact_steps(op, arrays["x"], scale_x), 255)
    # Half a step of rounding, and the table's error: half a unit of 2**-k for every term and
    # the total, k being at least 18 for 5,000 terms.
    term_bits = int(arrays["table"][0]).bit_length() - 1
    error = 0.5 + 2 * extent * 2.0**-term_bits / 2 + 1e-3
    assert np.abs(steps - real).max() <= error


def test_modes_differ_only_in_ties() -> None:
    rounded = [reference(op, arrays_of(op, 0)).astype(int)
               for op in (Softmax(50, 64, mode=mode) for mode in ("float32", "dyadic"))]
    difference = np.abs(rounded[0] - rounded[1])
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.999


@pytest.mark.parametrize("mode", ["float32", "dyadic"])
@pytest.mark.parametrize(("dtype", "out_dtype"), [("uint8", "uint8"), ("int8", "int8")])
@pytest.mark.parametrize("extent", [1, 15, 16, 63, 64, 65, 197])
def test_rows(
    run_kernel: Any, isa: Isa, mode: str, dtype: str, out_dtype: str, extent: int
) -> None:
    op = Softmax(3, extent, dtype=dtype, out_dtype=out_dtype, mode=mode)
    check(run_kernel, op, isa, arrays_of(op, extent))


@pytest.mark.parametrize("mode", ["float32", "dyadic"])
@pytest.mark.parametrize("inner", [3, 16, 37])
def test_columns(run_kernel: Any, isa: Isa, mode: str, inner: int) -> None:
    op = Softmax(2, 10, inner, dtype="int8", mode=mode)
    check(run_kernel, op, isa, arrays_of(op, inner))


@pytest.mark.parametrize("mode", ["float32", "dyadic"])
def test_extremes(run_kernel: Any, isa: Isa, mode: str) -> None:
    op = Softmax(4, 70, mode=mode)
    for scale_x, scale_y in ((1e-6, 2.0**-16), (100.0, SCALE_Y), (0.1, 2.0)):
        arrays = arrays_of(op, 1, scale_x, scale_y)
        x = arrays["x"].reshape(4, 70)
        x[0], x[1] = 0, 255
        x[2, :] = 0
        x[2, 69] = 255  # the largest is the last
        arrays["params"] = np.array([128, 130, 250, 0], np.int32)  # limits inside the range
        check(run_kernel, op, isa, arrays)


def test_extents_and_scales_without_room_are_refused() -> None:
    op = Softmax(1, MAX_EXTENT + 1)
    assert str(MAX_EXTENT) in KERNEL.reject(op, Isa())
    with pytest.raises(ValueError, match="at most 4194304"):
        softmax_arrays(op, 0.1, SCALE_Y, np.zeros(4, np.int32))
    with pytest.raises(ValueError, match="at most 2"):
        softmax_arrays(Softmax(1, 4), 0.1, 4.5, np.zeros(4, np.int32))


def check(run_kernel: Any, op: Softmax, isa: Isa, arrays: dict[str, Any]) -> None:
    y = np.zeros((op.rows, op.extent, op.inner), op.out_dtype)
    got = run_kernel(KERNEL, op, isa, [arrays["x"]], arrays, y)
    np.testing.assert_array_equal(got, reference(op, arrays))
