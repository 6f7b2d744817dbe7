"""What LSTM and GRU share: sizes, directions, and the fixed-point form of their weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.ops.fixed_point import STATE_BITS, Int32Array, apply_rows, fixed_rows
from octavo.targets.ops.requantize import PARAM_QMAX, PARAM_QMIN, PARAM_ZERO_POINT, dyadic

Arrays = Mapping[str, NDArray[Any]]

X, Y = range(2)  # slots of "zero_points"


@dataclass(frozen=True)
class Recurrent:
    """Static part of a recurrent layer, in ONNX's layout 0.

    x is (steps, batch, inputs), y (steps, directions, batch, hidden), y_h (directions, batch,
    hidden); x, y and y_h are 8-bit. y is what the recurrence multiplies: it is fed back as it
    is stored.

    Attributes:
        steps: Time steps.
        batch: Sequences.
        inputs: Features of x.
        hidden: Features of y.
        direction: "forward", "reverse" or "bidirectional".
        dtype: Type of x and y, "uint8" or "int8".
        has_initial_h: y before the first step is an input (directions, batch, hidden),
            quantized as y; otherwise it is 0.
    """

    steps: int
    batch: int
    inputs: int
    hidden: int
    direction: str = "forward"
    dtype: str = "uint8"
    has_initial_h: bool = False

    def __post_init__(self) -> None:
        if self.direction not in ("forward", "reverse", "bidirectional"):
            raise ValueError(
                f"direction {self.direction!r}; allowed: forward, reverse, bidirectional")

    @property
    def directions(self) -> int:
        """Number of independent recurrences."""
        return 2 if self.direction == "bidirectional" else 1

    @property
    def gates(self) -> int:
        """Rows of weights for each hidden feature."""
        raise NotImplementedError

    @property
    def state_elements(self) -> int:
        """Elements of y_h."""
        return self.directions * self.batch * self.hidden

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.steps * self.state_elements * self.gates * (self.inputs + self.hidden)

    def is_reversed(self, direction: int) -> bool:
        """Whether a recurrence runs from the last step to the first."""
        return self.direction == "reverse" or direction == 1

    def step_order(self, direction: int) -> list[int]:
        """Steps in the order of a recurrence."""
        order = list(range(self.steps))
        return order[::-1] if self.is_reversed(direction) else order


def bias_parts(op: Recurrent, bias: NDArray[Any] | None) -> list[NDArray[np.float64]]:
    """Split ONNX's bias into that of the input and that of the recurrence.

    Args:
        op: The layer.
        bias: (directions, 2 * gates * hidden), or None for no bias.

    Returns:
        Two arrays (directions, gates * hidden).
    """
    rows = op.gates * op.hidden
    if bias is None:
        return [np.zeros((op.directions, rows)) for _ in range(2)]
    both = np.asarray(bias, np.float64).reshape(op.directions, 2, rows)
    return [both[:, 0], both[:, 1]]


def gate_arrays(
    part: str, real_scale: NDArray[np.float64], bias: NDArray[np.float64],
    is_sigmoid: NDArray[np.bool_],
) -> dict[str, NDArray[Any]]:
    """Fixed-point rows of one product of a layer.

    Args:
        part: "input" or "recurrent".
        real_scale: (directions, gates * hidden) real value of one accumulator step.
        bias: Same shape, real.
        is_sigmoid: Same shape: gates whose tanh takes half of the sum.

    Returns:
        "<part>_significand", "<part>_bias" and "<part>_shift", int64, that shape.
    """
    unit = np.where(is_sigmoid, 0.5, 1.0) * 2.0**STATE_BITS
    significand, fixed_bias, shift = fixed_rows(real_scale * unit, bias * unit)
    return {f"{part}_significand": significand, f"{part}_bias": fixed_bias,
            f"{part}_shift": shift}


def output_arrays(
    op: Recurrent, state_bits: int, scale_y: float, zero_points: tuple[int, int]
) -> dict[str, NDArray[Any]]:
    """Constants between the state and y.

    Args:
        op: The layer.
        state_bits: Bits behind the point of what is rounded to y.
        scale_y: Real value of one step of y.
        zero_points: Of x and y.
    """
    significand, shift = dyadic(np.array([2.0**-state_bits / scale_y]))
    limits = np.iinfo(op.dtype)
    return {
        "zero_points": np.array(zero_points, np.int32),
        "output_significand": significand,
        "output_shift": shift,
        "params": np.array([zero_points[Y], limits.min, limits.max, 0], np.int32),
    }


def gate_inputs(
    part: str, arrays: Arrays, direction: int, rows: slice, acc: NDArray[Any]
) -> Int32Array:
    """Turn accumulators (..., rows) into gate inputs with ``STATE_BITS`` behind the point."""
    significand, bias, shift = (
        arrays[f"{part}_{name}"][direction, rows] for name in ("significand", "bias", "shift"))
    return apply_rows(acc, significand, bias, shift)


def accumulate(weight: NDArray[Any], x: NDArray[Any], zero_point: int) -> Int32Array:
    """Exact products of centred activations (..., K) and weights (rows, K)."""
    centred = x.astype(np.float64) - zero_point
    acc: Int32Array = (centred @ weight.astype(np.float64).T).astype(np.int32)
    return acc


def quantize_state(value: NDArray[np.int64], arrays: Arrays, dtype: str) -> NDArray[Any]:
    """Round the state to y."""
    zero_point, low, high = (
        int(arrays["params"][slot]) for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
    shift = int(arrays["output_shift"][0])
    scaled = value * int(arrays["output_significand"][0]) + (1 << (shift - 1))
    y: NDArray[Any] = np.clip((scaled >> shift) + zero_point, low, high).astype(dtype)
    return y


def initial_output(op: Recurrent, arrays: Arrays, direction: int) -> NDArray[Any]:
    """Y before the first step, (batch, hidden)."""
    shape = (op.directions, op.batch, op.hidden)
    if op.has_initial_h:
        first: NDArray[Any] = arrays["initial_h"].reshape(shape)[direction]
        return first
    return np.full(shape[1:], int(arrays["zero_points"][Y]), op.dtype)
