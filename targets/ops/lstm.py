"""LSTM with 8-bit input and output and a fixed-point cell: integers only, in both modes.

Source: ONNX operator LSTM-14 with its default activations; the order of gates is i, o, f, c.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.fixed_point import STATE_BITS, round_shift, tanh_fixed
from octavo.targets.ops.recurrent import (
    Arrays,
    Recurrent,
    X,
    Y,
    accumulate,
    bias_parts,
    gate_arrays,
    gate_inputs,
    initial_output,
    output_arrays,
    quantize_state,
)

GATES = ("input", "output", "forget", "cell")
PRODUCT_BITS = 31  # of sigmoid * tanh
SIGMOID_ONE_HALF = 1 << 15
MAX_INITIAL_CELL = 2.0**30
MAX_CELL = (1 << 31) - 1  # +-2**15 real; a step adds less than 1 to the magnitude


@dataclass(frozen=True)
class Lstm(Recurrent):
    """Static part of an LSTM; see ``Recurrent``.

    Attributes:
        has_initial_c: The cell before the first step is an input (directions, batch, hidden)
            float32; otherwise it is 0.
        has_cell_output: The last cell is an output of that shape, float32.
    """

    has_initial_c: bool = False
    has_cell_output: bool = False

    @property
    def gates(self) -> int:
        """Four: input, output, forget, cell."""
        return len(GATES)


def lstm_arrays(
    op: Lstm, *,
    scale_x: float, scale_y: float, zero_points: tuple[int, int],
    weight_scale: NDArray[Any], recurrent_scale: NDArray[Any], bias: NDArray[Any] | None,
) -> dict[str, NDArray[Any]]:
    """Compute the constants of an LSTM, but for its weights.

    Args:
        op: The layer.
        scale_x: Real value of one step of x.
        scale_y: Real value of one step of y.
        zero_points: Of x and y.
        weight_scale: (directions, 4 * hidden) real value of one step of the input weights.
        recurrent_scale: The same of the recurrent weights.
        bias: (directions, 8 * hidden) real, of both products, or None.
    """
    rows = op.gates * op.hidden
    shape = (op.directions, rows)
    of_input, of_recurrent = bias_parts(op, bias)
    is_sigmoid = np.broadcast_to(np.arange(rows) < 3 * op.hidden, shape)
    scales = [np.asarray(scale, np.float64).reshape(shape)
              for scale in (weight_scale, recurrent_scale)]
    return {
        **gate_arrays("input", scales[0] * scale_x, of_input + of_recurrent, is_sigmoid),
        **gate_arrays("recurrent", scales[1] * scale_y, np.zeros(shape), is_sigmoid),
        **output_arrays(op, PRODUCT_BITS, scale_y, zero_points),
    }


def reference(op: Lstm, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Run the layer.

    Per step, with 16 bits behind the point of gate inputs, sigmoids and the cell, and 15 of
    tanh:
        gate = limit(acc_x) + limit(acc_h), each scaled and rounded on its own
        i, o, f = 2**15 + tanh(gate), of the halved gates; g = tanh(gate)
        cell = clamp((f * cell + 2 * i * g + 2**15) >> 16), int64
        y = clamp(((o * tanh(cell) * significand + half) >> shift) + zero_point), int64

    Args:
        op: The layer.
        arrays: "x", "weight" (directions, 4 * hidden, inputs) and "recurrent" (directions,
            4 * hidden, hidden) int8, the constants of ``lstm_arrays``, and "initial_h" and
            "initial_c" where there are any.

    Returns:
        "y", "y_h" and, always, "y_c" float32.
    """
    x = arrays["x"].reshape(op.steps, op.batch, op.inputs)
    y = np.zeros((op.steps, op.directions, op.batch, op.hidden), op.dtype)
    y_h = np.zeros((op.directions, op.batch, op.hidden), op.dtype)
    y_c = np.zeros(y_h.shape, np.float32)
    zero_points, rows = arrays["zero_points"], slice(None)
    for d in range(op.directions):
        acc = accumulate(arrays["weight"][d], x, int(zero_points[X]))
        from_input = gate_inputs("input", arrays, d, rows, acc)
        h, cell = initial_output(op, arrays, d), _initial_cell(op, arrays, d)
        for t in op.step_order(d):
            acc = accumulate(arrays["recurrent"][d], h, int(zero_points[Y]))
            total = from_input[t] + gate_inputs("recurrent", arrays, d, rows, acc)
            values = tanh_fixed(total).astype(np.int64)
            i, o, f, g = np.split(values, op.gates, axis=-1)
            i, o, f = (gate + SIGMOID_ONE_HALF for gate in (i, o, f))
            cell = np.clip(round_shift(f * cell + 2 * i * g, STATE_BITS), -MAX_CELL, MAX_CELL)
            product = o * tanh_fixed(cell.astype(np.int32))
            h = y[t, d] = quantize_state(product, arrays, op.dtype)
        y_h[d] = h
        y_c[d] = cell.astype(np.int32).astype(np.float32) * np.float32(2.0**-STATE_BITS)
    return {"y": y, "y_h": y_h, "y_c": y_c}


def _initial_cell(op: Lstm, arrays: Arrays, direction: int) -> NDArray[np.int64]:
    """The cell before the first step: rint(clamp(c * 2**16, +-2**30)), half to even."""
    shape = (op.directions, op.batch, op.hidden)
    if not op.has_initial_c:
        return np.zeros(shape[1:], np.int64)
    real = arrays["initial_c"].reshape(shape)[direction] * np.float32(2.0**STATE_BITS)
    limited = np.clip(real, np.float32(-MAX_INITIAL_CELL), np.float32(MAX_INITIAL_CELL))
    cell: NDArray[np.int64] = np.rint(limited).astype(np.int64)
    return cell
