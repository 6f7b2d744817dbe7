"""Float layer normalization: the reference against real numbers, the kernel bit for bit."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from octavo.targets.base import Target
from octavo.targets.host import LEVELS, missing_flags
from octavo.targets.instructions import isa_of
from octavo.targets.isa import Isa
from octavo.targets.kernels.float_layer_norm import FloatLayerNormRows
from octavo.targets.ops.float_layer_norm import (
    FloatLayerNorm,
    quantized_reference,
    reference,
)

KERNEL = FloatLayerNormRows()
ROUNDING = 2.0**-24  # of one float32 operation, relative


def arrays(op: FloatLayerNorm, *, mean: float = 0.0, epsilon: float = 1e-5) -> dict[str, Any]:
    rng = np.random.default_rng(op.extent)
    return {
        "x": rng.normal(mean, 2.0, (op.rows, op.extent)).astype(np.float32),
        "gain": rng.normal(1.0, 0.3, op.extent).astype(np.float32),
        "offset": rng.normal(0.0, 0.3, op.extent).astype(np.float32),
        "epsilon": np.array([epsilon], np.float32),
    }


def real_numbers(op: FloatLayerNorm, given: dict[str, Any]) -> Any:
    """The normalization in float64, without gain and offset."""
    x = given["x"].astype(np.float64)
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt(x.var(axis=1, keepdims=True) + float(given["epsilon"][0]))


def scaled(op: FloatLayerNorm, given: dict[str, Any], prefix: str = "") -> Any:
    return real_numbers(op, given) * given[f"{prefix}gain"] + given[f"{prefix}offset"]


def tolerance(op: FloatLayerNorm, given: dict[str, Any]) -> Any:
    """Largest error of each value, when n numbers are added in any order, twice.

    The mean is off by n roundings of the largest value, which moves every value of the row
    alike; the variance by as many of itself, of which the root takes half.
    """
    x = given["x"].astype(np.float64)
    spread = np.sqrt(x.var(axis=1, keepdims=True) + given["epsilon"][0])
    moved = op.extent * np.abs(x).max(axis=1, keepdims=True) / spread
    exact = scaled(op, given)
    normal = np.abs(exact - given["offset"])
    few = 4.0  # the difference from the mean, two products, the last sum
    return ROUNDING * (
        moved * np.abs(given["gain"]) + (op.extent / 2 + few) * normal + few * np.abs(exact))


def onnx_runtime(given: dict[str, Any]) -> Any:
    graph = helper.make_graph(
        [helper.make_node("LayerNormalization", ["x", "gain", "offset"], ["y"], axis=-1,
                          epsilon=float(given["epsilon"][0]))],
        "layer_norm",
        [helper.make_tensor_value_info("x", 1, given["x"].shape)],
        [helper.make_tensor_value_info("y", 1, given["x"].shape)],
        [numpy_helper.from_array(given[name], name) for name in ("gain", "offset")])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": given["x"]})[0]


def test_the_reference_agrees_with_onnx_runtime() -> None:
    op = FloatLayerNorm(50, 384)
    given = arrays(op)
    assert (np.abs(reference(op, given) - onnx_runtime(given)) <= tolerance(op, given)).all()


@pytest.mark.parametrize("mean", [0.0, 1000.0])
@pytest.mark.parametrize("extent", [1, 7, 16, 23, 192, 1000])
def test_the_reference_is_close_to_real_numbers(extent: int, mean: float) -> None:
    op = FloatLayerNorm(6, extent)
    given = arrays(op, mean=mean)
    error = np.abs(reference(op, given) - scaled(op, given))
    assert (error <= tolerance(op, given)).all()


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("extent", [1, 3, 15, 16, 17, 31, 77, 384])
def test_rows(run_kernel: Any, isa: Isa, rows: int, extent: int) -> None:
    check(run_kernel, isa, FloatLayerNorm(rows, extent))


def test_a_mean_that_is_large_beside_the_spread(run_kernel: Any, isa: Isa) -> None:
    op = FloatLayerNorm(4, 100)
    # E x^2 - (E x)^2 in float32 would leave 5 bits of the variance.
    assert tolerance(op, arrays(op, mean=1000.0)).max() < 0.01
    check(run_kernel, isa, op, mean=1000.0)


def test_outliers_and_constant_rows(run_kernel: Any, isa: Isa) -> None:
    op = FloatLayerNorm(3, 48)
    given = arrays(op)
    given["x"][0, 7] = 300.0
    given["x"][1] = 0.25
    y = run_kernel(KERNEL, op, isa, [given["x"]], given, np.zeros((3, 48), np.float32))
    assert_same_bits(y, reference(op, given))
    # A sum of 48 quarters is exact, so the row has no spread and becomes the offset.
    np.testing.assert_array_equal(y[1], given["offset"])


def test_rows_that_more_than_one_thread_computes(run_kernel: Any, isa: Isa) -> None:
    check(run_kernel, isa, FloatLayerNorm(200, 192))


@pytest.mark.parametrize("target", [level for level, _ in LEVELS], ids=lambda t: t.name)
@pytest.mark.parametrize("extent", [5, 100, 384])
def test_every_level_gives_the_same_bits(
    run_kernel: Any, target: Target, extent: int
) -> None:
    if missing := missing_flags(target):
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}")
    check(run_kernel, isa_of(target), FloatLayerNorm(10, extent))


@pytest.mark.parametrize("has_float", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("extent", [1, 15, 16, 17, 63, 64, 65, 192])
def test_rounded_rows(
    run_kernel: Any, isa: Isa, extent: int, dtype: str, has_float: bool
) -> None:
    op = FloatLayerNorm(9, extent, has_float=has_float, quantized=dtype)
    given = arrays(op)
    rng, info = np.random.default_rng(extent), np.iinfo(dtype)
    factor = rng.uniform(20, 60, extent)
    given |= {
        "step_gain": (given["gain"] * factor).astype(np.float32),
        "step_offset": (given["offset"] * factor).astype(np.float32),
        "params": np.array([info.min + 120, info.min + 3, info.max - 2, 0], np.int32),
    }
    outputs = [np.full((9, extent), np.nan, np.float32)] if has_float else []
    results = run_kernel.outputs(
        KERNEL, op, isa, [given["x"]], given, [*outputs, np.zeros((9, extent), dtype)])
    if has_float:
        assert_same_bits(results[0], reference(op, given))
    expected = quantized_reference(op, given)
    assert_same_bits(results[-1], expected)
    exact = np.clip(scaled(op, given, "step_") + info.min + 120, info.min + 3, info.max - 2)
    # The error of the float result in steps; rounding adds half of one.
    error = tolerance(op, given) * factor + np.abs(exact) * ROUNDING * 4
    assert (np.abs(expected.astype(np.float64) - exact) <= 0.5 + error).all()
    assert extent < 15 or len(np.unique(results[-1])) > 10


def test_no_output_is_no_normalization() -> None:
    with pytest.raises(ValueError, match="without an output"):
        FloatLayerNorm(1, 4, has_float=False)


def check(run_kernel: Any, isa: Isa, op: FloatLayerNorm, **options: float) -> None:
    given = arrays(op, **options)
    y = np.full((op.rows, op.extent), np.nan, np.float32)
    got = run_kernel(KERNEL, op, isa, [given["x"]], given, y)
    assert_same_bits(got, reference(op, given))


def assert_same_bits(actual: Any, expected: Any) -> None:
    bits = f"u{expected.itemsize}"
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(
        np.ascontiguousarray(actual).view(bits), np.ascontiguousarray(expected).view(bits))
