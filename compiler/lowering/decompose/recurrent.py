"""LSTM, GRU and RNN unrolled over time: every step runs the same few functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from octavo.compiler.lowering.decompose.fragment import (
    Fragment,
    attributes_of,
    operand,
    result_name,
)
from octavo.errors import LoweringError

MAX_STEPS = 128  # longer sequences would be longer programs than anyone wants
DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STATES = {"LSTM": 2, "GRU": 1, "RNN": 1}
PLAIN_ACTIVATIONS = frozenset({"Relu", "Tanh", "Sigmoid", "Softsign", "Softplus"})


@dataclass
class _Layer:
    """One direction of a recurrent layer."""

    f: Fragment
    kind: str
    attributes: dict[str, Any]
    hidden: int
    activations: list[str]
    recurrent: str  # (H, gates * H)
    recurrent_bias: str  # (gates * H,), only for GRU with linear_before_reset
    peepholes: list[str]  # of i, o, f

    def act(self, index: int, value: str) -> str:
        limit = self.attributes.get("clip")
        if limit:
            bounds = [self.f.constant(s * limit, TensorProto.FLOAT) for s in (-1, 1)]
            value = self.f.op("Clip", value, *bounds)
        return str(self.f.op(self.activations[index], value))

    def step(self, x: str, states: list[str]) -> list[str]:
        """New states from the projected input (B, gates * H) and the old states (B, H)."""
        return {"LSTM": self._lstm, "GRU": self._gru, "RNN": self._rnn}[self.kind](x, states)

    def _split(self, value: str, parts: int) -> list[str]:
        sizes = self.f.constant([self.hidden] * parts, TensorProto.INT64)
        return list(self.f.op("Split", value, sizes, num_outputs=parts, axis=1))

    def _rnn(self, x: str, states: list[str]) -> list[str]:
        moved = self.f.op("MatMul", states[0], self.recurrent)
        return [self.act(0, self.f.op("Add", x, moved))]

    def _lstm(self, x: str, states: list[str]) -> list[str]:
        f, (h, c) = self.f, states
        i, o, forget, cell = self._split(f.op("Add", x, f.op("MatMul", h, self.recurrent)), 4)
        if self.peepholes:
            i = f.op("Add", i, f.op("Mul", self.peepholes[0], c))
            forget = f.op("Add", forget, f.op("Mul", self.peepholes[2], c))
        i = self.act(0, i)
        if self.attributes.get("input_forget", 0):
            forget = f.op("Sub", f.constant([1.0], TensorProto.FLOAT), i)
        else:
            forget = self.act(0, forget)
        new_c = f.op("Add", f.op("Mul", forget, c), f.op("Mul", i, self.act(1, cell)))
        if self.peepholes:
            o = f.op("Add", o, f.op("Mul", self.peepholes[1], new_c))
        return [f.op("Mul", self.act(0, o), self.act(2, new_c)), new_c]

    def _gru(self, x: str, states: list[str]) -> list[str]:
        f, h = self.f, states[0]
        xz, xr, xh = self._split(x, 3)
        if self.recurrent_bias:
            rz, rr, rh = self._split(
                f.op("Add", f.op("MatMul", h, self.recurrent), self.recurrent_bias), 3
            )
            z, r = self.act(0, f.op("Add", xz, rz)), self.act(0, f.op("Add", xr, rr))
            new = self.act(1, f.op("Add", xh, f.op("Mul", r, rh)))
        else:
            wz, wr, wh = self._split(self.recurrent, 3)
            z = self.act(0, f.op("Add", xz, f.op("MatMul", h, wz)))
            r = self.act(0, f.op("Add", xr, f.op("MatMul", h, wr)))
            new = self.act(1, f.op("Add", xh, f.op("MatMul", f.op("Mul", r, h), wh)))
        keep = f.op("Sub", f.constant([1.0], TensorProto.FLOAT), z)
        return [f.op("Add", f.op("Mul", keep, new), f.op("Mul", z, h))]


def recurrent(node: onnx.NodeProto, f: Fragment) -> bool:
    """LSTM, GRU or RNN -> one MatMul for all inputs, then one group of nodes for each step."""
    attributes = attributes_of(node)
    batch_first = bool(attributes.get("layout", 0))
    x, w = operand(node, 0), operand(node, 1)
    if batch_first:
        x_shape = f.shape(x)
        steps, batch = x_shape[1], x_shape[0]
        x = f.op("Transpose", x, perm=[1, 0, 2])
    else:
        steps, batch = f.shape(x)[:2]
    if steps > MAX_STEPS:
        raise LoweringError(
            f"{node.op_type} {node.name!r}: {steps} steps; at most {MAX_STEPS} in float"
        )
    directions, rows, _ = f.shape(w)
    hidden = rows // GATES[node.op_type]
    kind = str(attributes.get("direction", "forward"))
    names = list(attributes.get("activations", DEFAULTS[node.op_type] * directions))
    if not set(names) <= PLAIN_ACTIVATIONS:
        raise LoweringError(f"{node.op_type} {node.name!r}: activations {', '.join(names)}")
    per_direction = len(names) // directions
    masks = _masks(f, operand(node, 4), steps, batch)
    ys, finals = [], []
    for d in range(directions):
        is_reverse = kind == "reverse" or d == 1
        layer, projected = _direction(
            node,
            f,
            attributes,
            d,
            hidden,
            names[d * per_direction : (d + 1) * per_direction],
            x,
        )
        states = _initial_states(node, f, d, batch, hidden, batch_first)
        parts = (
            f.op(
                "Split",
                projected,
                f.constant([1] * steps, TensorProto.INT64),
                num_outputs=max(steps, 2),
                axis=0,
            )
            if steps > 1
            else [projected]
        )
        outputs = [""] * steps
        for t in reversed(range(steps)) if is_reverse else range(steps):
            now = f.op("Squeeze", parts[t], f.constant([0], TensorProto.INT64))
            new = layer.step(now, states)
            y = new[0]
            if masks:
                y = f.op("Where", masks[t], y, f.constant([0.0], TensorProto.FLOAT))
                pairs = zip(new, states, strict=True)
                new = [f.op("Where", masks[t], a, b) for a, b in pairs]
            outputs[t], states = y, new
        axes = f.constant([0, 1], TensorProto.INT64)
        tall = [f.op("Unsqueeze", y, axes) for y in outputs]  # (1, 1, B, H)
        ys.append(f.op("Concat", *tall, axis=0))
        finals.append(states)
    y = f.op("Concat", *ys, axis=1) if directions > 1 else ys[0]  # (T, D, B, H)
    f.result(
        f.op("Transpose", y, perm=[2, 0, 1, 3]) if batch_first else y, result_name(node, 0)
    )
    for index in range(STATES[node.op_type]):
        axis = f.constant([0], TensorProto.INT64)
        last = [f.op("Unsqueeze", states[index], axis) for states in finals]
        joined = f.op("Concat", *last, axis=0)  # (D, B, H)
        if batch_first:
            joined = f.op("Transpose", joined, perm=[1, 0, 2])
        f.result(joined, result_name(node, 1 + index))
    return True


def _direction(
    node: onnx.NodeProto,
    f: Fragment,
    attributes: dict[str, Any],
    d: int,
    hidden: int,
    activations: list[str],
    x: str,
) -> tuple[_Layer, str]:
    """The layer of one direction, and the inputs of all steps times its input weights."""
    take = _taker(f, d)
    w, r = (f.op("Transpose", take(operand(node, i)), perm=[1, 0]) for i in (1, 2))
    projected = f.op("MatMul", x, w)
    recurrent_bias = ""
    if bias := operand(node, 3):
        size = GATES[node.op_type] * hidden
        sizes = f.constant([size, size], TensorProto.INT64)
        input_bias, state_bias = f.op("Split", take(bias), sizes, num_outputs=2, axis=0)
        projected = f.op("Add", projected, input_bias)
        if node.op_type == "GRU" and attributes.get("linear_before_reset", 0):
            recurrent_bias = state_bias
        else:
            projected = f.op("Add", projected, state_bias)
    elif node.op_type == "GRU" and attributes.get("linear_before_reset", 0):
        recurrent_bias = f.constant(np.zeros(3 * hidden), TensorProto.FLOAT)
    peepholes: list[str] = []
    if node.op_type == "LSTM" and (p := operand(node, 7)):
        sizes = f.constant([hidden] * 3, TensorProto.INT64)
        peepholes = list(f.op("Split", take(p), sizes, num_outputs=3, axis=0))
    layer = _Layer(
        f, node.op_type, attributes, hidden, activations, r, recurrent_bias, peepholes
    )
    return layer, projected


def _taker(f: Fragment, d: int) -> Callable[[str], str]:
    def take(value: str) -> str:
        return str(f.op("Gather", value, f.constant(np.array(d), TensorProto.INT64), axis=0))

    return take


def _initial_states(
    node: onnx.NodeProto, f: Fragment, d: int, batch: int, hidden: int, batch_first: bool
) -> list[str]:
    states = []
    for position in (5, 6)[: STATES[node.op_type]]:
        if value := operand(node, position):
            if batch_first:
                value = f.op("Transpose", value, perm=[1, 0, 2])
            states.append(_taker(f, d)(value))
        else:
            states.append(f.constant(np.zeros((batch, hidden)), TensorProto.FLOAT))
    return states


def _masks(f: Fragment, lengths: str, steps: int, batch: int) -> list[str]:
    """For each step (B, 1): whether it is inside the sequence; empty when all are."""
    if not lengths:
        return []
    column = f.op("Reshape", lengths, f.constant([batch, 1], TensorProto.INT64))
    return [f.op("Less", f.constant([[t]], TensorProto.INT32), column) for t in range(steps)]
