"""LSTM with gates and a cell of 16 bits, bit for bit that of TensorFlow Lite.

The order of gates is ONNX's: i, o, f, c. There is one direction, and the state starts with 0.

Source: tensorflow/lite/kernels/lstm_eval.cc (EvalInteger8x8_16),
    unidirectional_sequence_lstm.cc (PopulateQuantizedLstmParams8x8_16),
    internal/reference/portable_tensor_utils.cc.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.lstm import GATES
from octavo.targets.ops.recurrent import Arrays, Recurrent, X, Y, accumulate
from octavo.targets.ops.requantize import (
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
    dyadic,
    round_twice,
)
from octavo.targets.ops.word_functions import (
    GATE_INTEGER_BITS,
    MAX_INTEGER_BITS,
    WORD_FRACTION_BITS,
    WORD_MAX,
    divide_rounding,
    saturate_word,
    word_sigmoid,
    word_tanh,
)

GATE_BITS = WORD_FRACTION_BITS - GATE_INTEGER_BITS  # behind the point of a gate's input
PRODUCT_BITS = 2 * WORD_FRACTION_BITS  # of sigmoid * tanh
MAX_OFFSET = 1 << 29  # products alone are smaller too
# Of a number between its two roundings: half of the second one's step fits beside it. What is
# divided a second time is below it anyway; what is not is saturated afterwards.
MAX_ONCE = (1 << 30) - 1


@dataclass(frozen=True)
class WordLstm(Recurrent):
    """Static part; see ``Recurrent``.

    Attributes:
        cell_integer_bits: Before the point of the cell, 0 to ``MAX_INTEGER_BITS``.
        cell_limit: Largest magnitude of the cell as it is stored, 0 for its type's.
    """

    cell_integer_bits: int = 4
    cell_limit: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direction != "forward" or self.has_initial_h:
            raise ValueError("a WordLstm has one direction and starts with 0")
        if not 0 <= self.cell_integer_bits <= MAX_INTEGER_BITS:
            raise ValueError(
                f"cell_integer_bits {self.cell_integer_bits}; "
                f"allowed: 0 to {MAX_INTEGER_BITS}")
        if not 0 <= self.cell_limit <= WORD_MAX:
            raise ValueError(f"cell_limit {self.cell_limit}; allowed: 0 to {WORD_MAX}")

    @property
    def gates(self) -> int:
        """Four: input, output, forget, cell."""
        return len(GATES)

    @property
    def cell_bits(self) -> int:
        """Bits behind the point of the cell."""
        return WORD_FRACTION_BITS - self.cell_integer_bits


def word_lstm_arrays(
    op: WordLstm, *,
    scale_x: float, scale_y: float, zero_points: tuple[int, int],
    weight_scale: NDArray[Any], recurrent_scale: NDArray[Any], bias: NDArray[Any] | None,
) -> dict[str, NDArray[Any]]:
    """Compute the constants of an LSTM, but for its weights.

    Args:
        op: The layer.
        scale_x: Real value of one step of x.
        scale_y: Real value of one step of y.
        zero_points: Of x and y.
        weight_scale: (1, 4 * hidden) real value of one step of the input weights.
        recurrent_scale: The same of the recurrent weights.
        bias: (1, 8 * hidden) real, of both products, or None. It is rounded to steps of the
            product with x.
    """
    rows = (1, op.gates * op.hidden)
    limits = np.iinfo(op.dtype)
    # real numbers are multiplied in float32 before they become integers
    steps = [
        (scale.astype(np.float32).reshape(rows) * np.float32(unit)).astype(np.float64)
        for scale, unit in ((weight_scale, scale_x), (recurrent_scale, scale_y))]
    real_bias = np.zeros(rows) if bias is None else bias.astype(np.float64).reshape(
        2, *rows).sum(axis=0)
    to_output = np.float32(2.0**-PRODUCT_BITS / scale_y)
    significand, shift = dyadic(np.array([to_output], np.float64))
    return {
        **_gate_arrays("input", steps[0]),
        **_gate_arrays("recurrent", steps[1]),
        "offset": np.clip(np.rint(real_bias / steps[0]), -MAX_OFFSET, MAX_OFFSET).astype(
            np.int32),
        "zero_points": np.array(zero_points, np.int32),
        "output_significand": significand,
        "output_shift": shift,
        "params": np.array([zero_points[Y], limits.min, limits.max, 0], np.int32),
    }


def _gate_arrays(part: str, step: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """What scales one product of a layer to gate inputs: rounded twice, as by ``round_twice``.

    Args:
        part: "input" or "recurrent".
        step: (1, 4 * hidden) real value of one accumulator step.

    Returns:
        "<part>_significand" and "<part>_shift", int64, that shape.
    """
    significand, shift = dyadic(step * 2.0**GATE_BITS)
    return {f"{part}_significand": significand, f"{part}_shift": shift}


def reference(op: WordLstm, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Run the layer.

    Per step, all numbers saturated to 16 bits, with ``GATE_BITS`` behind the point of gate
    inputs, ``cell_bits`` of the cell and 15 of what lies in [-1, 1]:
        gate = round_twice(acc_x + offset), then round_twice(acc_h) + gate
        i, o, f = sigmoid(gate), g = tanh(gate)
        cell = clamp((f * cell) / 2**15 + (i * g) / 2**(30 - cell_bits)), each rounded half
        away from zero
        y = clamp(round_twice(o * tanh(cell)) + zero_point)

    Args:
        op: The layer.
        arrays: "x", "weight" (1, 4 * hidden, inputs) and "recurrent" (1, 4 * hidden, hidden)
            int8, and the constants of ``word_lstm_arrays``.

    Returns:
        "y" and "y_h".
    """
    x = arrays["x"].reshape(op.steps, op.batch, op.inputs)
    y = np.zeros((op.steps, 1, op.batch, op.hidden), op.dtype)
    zero_points = arrays["zero_points"]
    acc = accumulate(arrays["weight"][0], x, int(zero_points[X])) + arrays["offset"][0]
    from_input = saturate_word(_gate_inputs("input", arrays, acc))
    h = np.full((op.batch, op.hidden), int(zero_points[Y]), op.dtype)
    cell = np.zeros((op.batch, op.hidden), np.int32)
    limit = op.cell_limit or WORD_MAX + 1
    for t in range(op.steps):
        acc = accumulate(arrays["recurrent"][0], h, int(zero_points[Y]))
        total = saturate_word(from_input[t] + _gate_inputs("recurrent", arrays, acc))
        gates = np.split(total, op.gates, axis=-1)
        i, o, f = (word_sigmoid(gate) for gate in gates[:3])
        g = word_tanh(gates[3], GATE_INTEGER_BITS)
        kept = divide_rounding(f * cell, WORD_FRACTION_BITS)
        added = divide_rounding(i * g, PRODUCT_BITS - op.cell_bits)
        cell = np.clip(saturate_word(kept + added), -limit, limit)
        product = o * word_tanh(cell, op.cell_integer_bits)
        h = y[t, 0] = _stored(product, arrays, op.dtype)
    return {"y": y, "y_h": h[None]}


def _gate_inputs(part: str, arrays: Arrays, acc: NDArray[np.int32]) -> NDArray[np.int32]:
    """Scale accumulators (..., 4 * hidden) to gate inputs."""
    scaled = acc.astype(np.int64) * arrays[f"{part}_significand"][0]
    rounded = round_twice(scaled, arrays[f"{part}_shift"][0])
    return np.clip(rounded, -MAX_ONCE, MAX_ONCE).astype(np.int32)


def _stored(value: NDArray[np.int32], arrays: Arrays, dtype: str) -> NDArray[Any]:
    """Round the product of gate and cell to y."""
    zero_point, low, high = (
        int(arrays["params"][slot]) for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
    scaled = value.astype(np.int64) * int(arrays["output_significand"][0])
    rounded = round_twice(scaled, arrays["output_shift"])
    y: NDArray[Any] = np.clip(rounded + zero_point, low, high).astype(dtype)
    return y
