"""LSTM and GRU: the references against ONNX Runtime, the kernels against the references."""

import dataclasses
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from octavo.targets.isa import Isa
from octavo.targets.kernels.gru import GruGemm
from octavo.targets.kernels.lstm import LstmGemm
from octavo.targets.ops import gru, lstm
from octavo.targets.ops.gru import Gru, gru_arrays
from octavo.targets.ops.lstm import Lstm, lstm_arrays
from octavo.targets.ops.recurrent import Recurrent

DIRECTIONS = ("forward", "reverse", "bidirectional")
MIN_SQNR_DB = 30


class Case:
    """A layer with weights as training leaves them, quantized."""

    def __init__(self, op: Recurrent, seed: int, gain: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        self.op = op
        rows = op.gates * op.hidden
        bound = gain / op.hidden**0.5
        self.low = np.iinfo(op.dtype).min
        self.scale_x, self.zero_x = 8 / 255, self.low + 128
        x = rng.normal(size=(op.steps, op.batch, op.inputs)) / self.scale_x + self.zero_x
        self.x = np.clip(np.rint(x), self.low, self.low + 255).astype(op.dtype)
        self.weight, self.weight_scale = self._quantized(
            rng.uniform(-bound, bound, (op.directions, rows, op.inputs)))
        self.recurrent, self.recurrent_scale = self._quantized(
            rng.uniform(-bound, bound, (op.directions, rows, op.hidden)))
        self.bias = rng.uniform(-bound, bound, (op.directions, 2 * rows))
        state = (op.directions, op.batch, op.hidden)
        self.initial_h = rng.integers(self.low + 60, self.low + 190, state).astype(op.dtype)
        self.initial_c = rng.normal(size=state).astype(np.float32)
        self.scale_y, self.zero_y = 2 / 255, self.low + 120

    @staticmethod
    def _quantized(real: Any) -> tuple[Any, Any]:
        scale = np.abs(real).max(axis=2) / 127
        return np.rint(real / scale[..., None]).astype(np.int8), scale

    @property
    def arrays(self) -> dict[str, Any]:
        constants = lstm_arrays if isinstance(self.op, Lstm) else gru_arrays
        return {
            "x": self.x, "weight": self.weight, "recurrent": self.recurrent,
            "initial_h": self.initial_h, "initial_c": self.initial_c,
            **constants(
                self.op, scale_x=self.scale_x, scale_y=self.scale_y,
                zero_points=(self.zero_x, self.zero_y), weight_scale=self.weight_scale,
                recurrent_scale=self.recurrent_scale, bias=self.bias),
        }

    def real(self, name: str) -> Any:
        """A dequantized tensor, float32."""
        values = {
            "x": (self.x.astype(float) - self.zero_x) * self.scale_x,
            "w": self.weight * self.weight_scale[..., None],
            "r": self.recurrent * self.recurrent_scale[..., None],
            "b": self.bias,
            "h": (self.initial_h.astype(float) - self.zero_y) * self.scale_y,
            "c": self.initial_c,
        }
        return values[name].astype(np.float32)

    def onnx_runtime(self) -> dict[str, Any]:
        """The outputs of ONNX Runtime's float layer on the dequantized operands."""
        op = self.op
        is_lstm = isinstance(op, Lstm)
        names = ["w", "r", "b"]
        inputs = ["x", *names, "", "h" if op.has_initial_h else ""]
        if op.has_initial_h:
            names.append("h")
        if is_lstm and op.has_initial_c:
            names.append("c")
            inputs.append("c")
        outputs = ["y", "y_h", "y_c"] if is_lstm else ["y", "y_h"]
        attributes: dict[str, Any] = {"hidden_size": op.hidden, "direction": op.direction}
        if isinstance(op, Gru):
            attributes["linear_before_reset"] = int(op.linear_before_reset)
        graph = helper.make_graph(
            [helper.make_node("LSTM" if is_lstm else "GRU", inputs, outputs, **attributes)],
            "layer",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.x.shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            [numpy_helper.from_array(self.real(name), name) for name in names])
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return dict(zip(outputs, session.run(None, {"x": self.real("x")}), strict=True))


def layers(**fields: Any) -> list[Recurrent]:
    """One layer of each kind."""
    return [Lstm(**fields), Gru(**fields), Gru(**fields, linear_before_reset=True)]


def reference(op: Recurrent, arrays: dict[str, Any]) -> dict[str, Any]:
    return lstm.reference(op, arrays) if isinstance(op, Lstm) else gru.reference(op, arrays)


def decibels(signal: Any, noise: Any) -> float:
    return float(10 * np.log10((signal**2).sum() / (noise**2).sum()))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("gain", [1.0, 2.5])
@pytest.mark.parametrize("has_initial", [False, True])
def test_references_follow_float_layers(
    direction: str, gain: float, has_initial: bool
) -> None:
    for layer in layers(steps=120, batch=2, inputs=20, hidden=48, direction=direction,
                        has_initial_h=has_initial):
        op = layer
        if isinstance(layer, Lstm):
            op = dataclasses.replace(layer, has_initial_c=has_initial)
        case = Case(op, 1, gain)
        expected = case.onnx_runtime()
        # The scale of y as calibration would choose it.
        case.scale_y = float(np.ptp(expected["y"])) / 255
        case.zero_y = case.low + round(-float(expected["y"].min()) / case.scale_y)
        if has_initial:  # it is quantized as y is
            expected = case.onnx_runtime()
        got = reference(op, case.arrays)
        for name in ("y", "y_h"):
            real = (got[name].astype(float) - case.zero_y) * case.scale_y
            assert decibels(expected[name], expected[name] - real) >= MIN_SQNR_DB
        if isinstance(op, Lstm):
            noise = expected["y_c"] - got["y_c"]
            assert decibels(expected["y_c"], noise) >= MIN_SQNR_DB


def test_the_cell_counts_far_beyond_the_range_of_y() -> None:
    """All gates open: the cell grows by one each step, and stays exact."""
    op = Lstm(300, 1, 1, 1, has_cell_output=True)
    case = Case(op, 0)
    case.weight[:] = 0
    case.recurrent[:] = 0
    case.bias[:] = 0
    case.bias[0, :4] = 30.0
    got = reference(op, case.arrays)["y_c"].item()
    # Input and cell gates miss 1 by 2**-16 and 2**-15; the forget gate by 2**-16 of the cell.
    assert abs(got - 300) < 300 * 2.0**-14 + 300 * 150 * 2.0**-15


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", range(3))
def test_directions_and_initial_states(
    run_kernel: Any, isa: Isa, direction: str, kind: int
) -> None:
    op = layers(steps=4, batch=3, inputs=9, hidden=21, direction=direction,
                has_initial_h=True)[kind]
    if isinstance(op, Lstm):
        op = dataclasses.replace(op, has_initial_c=True, has_cell_output=True)
    check(run_kernel, Case(op, kind), isa)


@pytest.mark.parametrize("hidden", [1, 15, 16, 33])
@pytest.mark.parametrize("kind", range(3))
def test_sizes_around_the_vector_width(
    run_kernel: Any, isa: Isa, hidden: int, kind: int
) -> None:
    op = layers(steps=3, batch=1 + hidden % 3, inputs=hidden + 1, hidden=hidden,
                dtype=isa.activation_dtype)[kind]
    check(run_kernel, Case(op, hidden), isa)


@pytest.mark.parametrize("kind", range(3))
def test_batches_larger_than_a_tile(run_kernel: Any, isa: Isa, kind: int) -> None:
    op = layers(steps=5, batch=13, inputs=8, hidden=16)[kind]
    check(run_kernel, Case(op, kind), isa)


@pytest.mark.parametrize("kind", range(3))
def test_saturated_gates_and_extreme_scales(run_kernel: Any, isa: Isa, kind: int) -> None:
    op = layers(steps=3, batch=2, inputs=12, hidden=20, has_initial_h=True,
                dtype=isa.activation_dtype)[kind]
    case = Case(op, kind)
    case.weight_scale[:, ::3] = 1e4
    case.weight_scale[:, 1::3] = 1e-12
    case.recurrent_scale[:, ::2] = 300.0
    case.bias[:, ::5] = 1e6
    case.bias[:, 1::7] = -1e6
    case.zero_x, case.zero_y = case.low + 255, case.low
    for case.scale_y in (1e-5, 1 / 255, 40.0):
        check(run_kernel, case, isa)


def test_other_types_are_refused(isa: Isa) -> None:
    other = "int8" if isa.activation_dtype == "uint8" else "uint8"
    assert other in LstmGemm().reject(Lstm(2, 1, 3, 4, dtype=other), isa)
    assert "16384" in GruGemm().reject(Gru(1, 1, 20000, 4, dtype=isa.activation_dtype), isa)
    with pytest.raises(ValueError, match="bidirectional"):
        Gru(2, 1, 3, 4, direction="backward")


def check(run_kernel: Any, case: Case, isa: Isa) -> None:
    """Compare every output of the kernel with the reference."""
    op, arrays = case.op, case.arrays
    kernel = LstmGemm() if isinstance(op, Lstm) else GruGemm()
    inputs = [case.x]
    if op.has_initial_h:
        inputs.append(case.initial_h)
    if isinstance(op, Lstm) and op.has_initial_c:
        inputs.append(case.initial_c)
    expected = reference(op, arrays)
    if not (isinstance(op, Lstm) and op.has_cell_output):
        expected.pop("y_c", None)
    outputs = [np.full_like(value, 77) for value in expected.values()]
    got = run_kernel.outputs(kernel, op, isa, inputs, arrays, outputs)
    for name, value in zip(expected, got, strict=True):
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
