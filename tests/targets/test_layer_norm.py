"""Layer normalization: the reference against float and ONNX Runtime, the kernel against it."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from octavo.targets.isa import Isa
from octavo.targets.kernels.layer_norm import LayerNormRows
from octavo.targets.ops.layer_norm import (
    MAX_EXTENT,
    LayerNorm,
    integer_root,
    layer_norm_arrays,
    reference,
)

KERNEL = LayerNormRows()
MODES = ("float32", "dyadic")


class Case:
    """An operation with its real parameters and an input."""

    def __init__(
        self, op: LayerNorm, seed: int, *, scale_x: float = 0.04, scale_y: float = 0.03,
        epsilon: float = 1e-5, has_beta: bool = True, zero_point: int = 117,
    ) -> None:
        rng = np.random.default_rng(seed)
        low, high = np.iinfo(op.dtype).min, np.iinfo(op.dtype).max
        out = np.iinfo(op.out_dtype)
        self.op, self.scale_x, self.scale_y, self.epsilon = op, scale_x, scale_y, epsilon
        self.gamma = rng.normal(1, 0.3, op.extent).astype(np.float32)
        self.beta = rng.normal(0, 0.3, op.extent).astype(np.float32) * has_beta
        self.zero_x, self.zero_y = low + zero_point, out.min + 130
        self.x = rng.normal(self.zero_x, 25, (op.rows, op.extent))
        self.x = np.clip(np.rint(self.x), low, high).astype(op.dtype)
        self.constants = layer_norm_arrays(
            op, scale_x=scale_x, zero_point_x=self.zero_x, gamma=self.gamma,
            beta=self.beta if has_beta else None, epsilon=epsilon, scale_y=scale_y,
            params=np.array([self.zero_y, out.min, out.max, 0], np.int32))

    @property
    def arrays(self) -> dict[str, Any]:
        return {"x": self.x, **self.constants}

    def exact_steps(self) -> Any:
        """The real result in output steps, limited, the zero point included."""
        real = (self.x.astype(np.float64) - self.zero_x) * self.scale_x
        normal = (real - real.mean(1, keepdims=True)) / np.sqrt(
            real.var(1, keepdims=True) + self.epsilon)
        out = np.iinfo(self.op.out_dtype)
        steps = (normal * self.gamma + self.beta) / self.scale_y + self.zero_y
        return np.clip(steps, out.min, out.max)

    def onnx_runtime(self) -> Any:
        """What ONNX Runtime makes of the dequantized input, quantized."""
        def scalar(name: str, value: Any, dtype: str) -> Any:
            return numpy_helper.from_array(np.array(value, dtype), name)

        op = self.op
        graph = helper.make_graph(
            [helper.make_node("DequantizeLinear", ["x", "sx", "zx"], ["real"]),
             helper.make_node("LayerNormalization", ["real", "gamma", "beta"], ["normal"],
                              axis=-1, epsilon=self.epsilon),
             helper.make_node("QuantizeLinear", ["normal", "sy", "zy"], ["y"])],
            "layer_norm",
            [helper.make_tensor_value_info(
                "x", helper.np_dtype_to_tensor_dtype(np.dtype(op.dtype)), self.x.shape)],
            [helper.make_tensor_value_info(
                "y", helper.np_dtype_to_tensor_dtype(np.dtype(op.out_dtype)), self.x.shape)],
            [scalar("sx", self.scale_x, "float32"), scalar("zx", self.zero_x, op.dtype),
             scalar("sy", self.scale_y, "float32"), scalar("zy", self.zero_y, op.out_dtype),
             numpy_helper.from_array(self.gamma, "gamma"),
             numpy_helper.from_array(self.beta, "beta")])
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, {"x": self.x})[0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("extent", [2, 5, 192, 1000])
@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 0.3])
def test_reference_rounds_the_real_result(mode: str, extent: int, epsilon: float) -> None:
    case = Case(LayerNorm(20, extent, mode=mode), extent, epsilon=epsilon)
    error = np.abs(reference(case.op, case.arrays) - case.exact_steps())
    assert error.max() < 0.51


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_reference_agrees_with_onnx_runtime(mode: str, dtype: str) -> None:
    case = Case(LayerNorm(64, 384, dtype, dtype, mode), 7)
    difference = np.abs(
        reference(case.op, case.arrays).astype(int) - case.onnx_runtime().astype(int))
    assert difference.max() <= 1
    assert (difference == 0).mean() >= 0.99


def test_integer_root_is_exact() -> None:
    rng = np.random.default_rng(0)
    roots = rng.integers(1 << 30, 1 << 31, 1000)
    squares = roots * roots
    np.testing.assert_array_equal(integer_root(squares), roots)
    np.testing.assert_array_equal(integer_root(squares - 1)[roots > 1 << 30],
                                  roots[roots > 1 << 30] - 1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("dtype", "out_dtype"), [("uint8", "uint8"), ("int8", "int8")])
@pytest.mark.parametrize("extent", [1, 3, 15, 16, 17, 64, 77, 192])
def test_rows(
    run_kernel: Any, isa: Isa, mode: str, dtype: str, out_dtype: str, extent: int
) -> None:
    check(run_kernel, isa, Case(LayerNorm(3, extent, dtype, out_dtype, mode), extent))


@pytest.mark.parametrize("mode", MODES)
def test_extremes(run_kernel: Any, isa: Isa, mode: str) -> None:
    for fields in (
        {"epsilon": 0.0}, {"scale_y": 1e-6}, {"scale_y": 50.0}, {"scale_x": 1e-8},
        {"scale_x": 1e4, "zero_point": 0}, {"has_beta": False, "zero_point": 255},
    ):
        case = Case(LayerNorm(6, 40, mode=mode), 3, **fields)
        case.x[0], case.x[1], case.x[2] = 0, 255, 117  # constant rows
        case.x[3], case.x[3, 39] = 0, 255
        case.x[4, ::2], case.x[4, 1::2] = 0, 255
        check(run_kernel, isa, case)


@pytest.mark.parametrize("mode", MODES)
def test_the_longest_row_does_not_overflow(run_kernel: Any, isa: Isa, mode: str) -> None:
    case = Case(LayerNorm(2, MAX_EXTENT, mode=mode), 4, zero_point=0)
    case.x[0] = 255
    case.x[0, 0] = 0
    case.x[1, ::2], case.x[1, 1::2] = 0, 255
    check(run_kernel, isa, case)
    assert np.abs(reference(case.op, case.arrays) - case.exact_steps()).max() < 0.51
    assert str(MAX_EXTENT) in KERNEL.reject(LayerNorm(1, MAX_EXTENT + 1), isa)


def check(run_kernel: Any, isa: Isa, case: Case) -> None:
    y = np.zeros((case.op.rows, case.op.extent), case.op.out_dtype)
    got = run_kernel(KERNEL, case.op, isa, [case.x], case.arrays, y)
    np.testing.assert_array_equal(got, reference(case.op, case.arrays))
