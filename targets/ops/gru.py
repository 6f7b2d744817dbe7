"""GRU with 8-bit input and output and a fixed-point state: integers only, in both modes.

Source: ONNX operator GRU-14 with its default activations; the order of gates is z, r, h.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.fixed_point import (
    STATE_BITS,
    TANH_BITS,
    fixed_rows,
    round_shift,
    tanh_fixed,
)
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

GATES = ("update", "reset", "hidden")
SIGMOID_ONE_HALF = 1 << 15
ONE = 1 << STATE_BITS
MAX_STATE = 1 << 29  # an initial state is limited to +-2**13


@dataclass(frozen=True)
class Gru(Recurrent):
    """Static part of a GRU; see ``Recurrent``.

    Attributes:
        linear_before_reset: The reset gate scales the recurrent product of the hidden gate,
            its bias included, rather than the previous output.
    """

    linear_before_reset: bool = False

    @property
    def gates(self) -> int:
        """Three: update, reset, hidden."""
        return len(GATES)


def gru_arrays(
    op: Gru, *,
    scale_x: float, scale_y: float, zero_points: tuple[int, int],
    weight_scale: NDArray[Any], recurrent_scale: NDArray[Any], bias: NDArray[Any] | None,
) -> dict[str, NDArray[Any]]:
    """Compute the constants of a GRU, but for its weights.

    Args:
        op: The layer.
        scale_x: Real value of one step of x.
        scale_y: Real value of one step of y.
        zero_points: Of x and y.
        weight_scale: (directions, 3 * hidden) real value of one step of the input weights.
        recurrent_scale: The same of the recurrent weights.
        bias: (directions, 6 * hidden) real, of both products, or None.
    """
    rows = op.gates * op.hidden
    shape = (op.directions, rows)
    of_input, of_recurrent = bias_parts(op, bias)
    is_sigmoid = np.broadcast_to(np.arange(rows) < 2 * op.hidden, shape)
    stays = ~is_sigmoid & op.linear_before_reset  # the reset gate scales this bias too
    of_input = of_input + np.where(stays, 0, of_recurrent)
    of_recurrent = np.where(stays, of_recurrent, 0)
    scales = [np.asarray(scale, np.float64).reshape(shape)
              for scale in (weight_scale, recurrent_scale)]
    state, state_bias, state_shift = fixed_state(scale_y)
    return {
        **gate_arrays("input", scales[0] * scale_x, of_input, is_sigmoid),
        **gate_arrays("recurrent", scales[1] * scale_y, of_recurrent, is_sigmoid),
        **output_arrays(op, STATE_BITS, scale_y, zero_points),
        "state_significand": state, "state_bias": state_bias, "state_shift": state_shift,
    }


def fixed_state(scale_y: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Fixed-point form of (y - zero_point) * scale_y with ``STATE_BITS``, (1,) each."""
    return fixed_rows(np.array([scale_y * 2.0**STATE_BITS]), np.zeros(1))


def reference(op: Gru, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Run the layer.

    Per step, with 16 bits behind the point of gate inputs, sigmoids and the state, and 15 of
    tanh; x and h stand for the scaled, rounded and limited accumulators of each product:
        z, r = 2**15 + tanh(x + h), of the halved gates
        linear_before_reset: n = tanh(x + ((r * h + 2**15) >> 16))
        otherwise: n = tanh(x + h), h being the product with r * state, quantized as y
        state = ((2**16 - z) * 2 * n + z * state + 2**15) >> 16, int64
        y = clamp(((state * significand + half) >> shift) + zero_point), int64

    Args:
        op: The layer.
        arrays: "x", "weight" (directions, 3 * hidden, inputs) and "recurrent" (directions,
            3 * hidden, hidden) int8, the constants of ``gru_arrays``, and "initial_h" where
            there is one.

    Returns:
        "y" and "y_h".
    """
    x = arrays["x"].reshape(op.steps, op.batch, op.inputs)
    y = np.zeros((op.steps, op.directions, op.batch, op.hidden), op.dtype)
    y_h = np.zeros((op.directions, op.batch, op.hidden), op.dtype)
    zero_x, zero_y = int(arrays["zero_points"][X]), int(arrays["zero_points"][Y])
    rows, sigmoids = slice(None), slice(0, 2 * op.hidden)
    last = slice(2 * op.hidden, None)
    for d in range(op.directions):
        acc = accumulate(arrays["weight"][d], x, zero_x)
        from_input = gate_inputs("input", arrays, d, rows, acc)
        h = initial_output(op, arrays, d)
        state = _initial_state(op, arrays, h)
        weight = arrays["recurrent"][d]
        for t in op.step_order(d):
            acc = accumulate(weight[sigmoids], h, zero_y)
            total = gate_inputs("recurrent", arrays, d, sigmoids, acc)
            total = total + from_input[t][:, sigmoids]
            z, r = np.split(tanh_fixed(total).astype(np.int64) + SIGMOID_ONE_HALF, 2, axis=-1)
            if op.linear_before_reset:
                acc = accumulate(weight[last], h, zero_y)
                part = gate_inputs("recurrent", arrays, d, last, acc)
                part = round_shift(r * part, STATE_BITS).astype(np.int32)
            else:
                reset = quantize_state(round_shift(r * state, STATE_BITS), arrays, op.dtype)
                acc = accumulate(weight[last], reset, zero_y)
                part = gate_inputs("recurrent", arrays, d, last, acc)
            n = tanh_fixed(from_input[t][:, last] + part).astype(np.int64)
            n = n << (STATE_BITS - TANH_BITS)
            state = round_shift((ONE - z) * n + z * state, STATE_BITS)
            h = y[t, d] = quantize_state(state, arrays, op.dtype)
        y_h[d] = h
    return {"y": y, "y_h": y_h}


def _initial_state(op: Gru, arrays: Arrays, h: NDArray[Any]) -> NDArray[np.int64]:
    """The state that the first output stands for."""
    centred = h.astype(np.int64) - int(arrays["zero_points"][Y])
    scaled = centred * arrays["state_significand"] + arrays["state_bias"]
    state: NDArray[np.int64] = np.clip(scaled >> arrays["state_shift"], -MAX_STATE, MAX_STATE)
    return state
