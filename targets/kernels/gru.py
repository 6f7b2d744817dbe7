"""GRU: gates of a vector of features in registers, a state in fixed point."""

from typing import Any

from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.nibble_gates import (
    NibbleGates,
    reject_nibbles,
    reject_recurrent_weights,
)
from octavo.targets.kernels.packed_gates import PackedGates, Parameter, reject_recurrent
from octavo.targets.kernels.recurrent import RecurrentEmitter
from octavo.targets.kernels.scratch import Scratch
from octavo.targets.ops.fixed_point import STATE_BITS, TANH_BITS
from octavo.targets.ops.gru import MAX_STATE, ONE, SIGMOID_ONE_HALF, Gru
from octavo.targets.ops.recurrent import Arrays
from octavo.targets.ops.requantize import PARAM_ZERO_POINT

NUM_SIGMOIDS = 2
HIDDEN = 2  # the gate behind them


class GruGemm:
    """Serves every GRU. Outputs: y and y_h."""

    name = "gru_gemm"

    def reject(self, op: Gru, isa: Isa) -> str:
        """Accept layers of the activation type of the instructions."""
        return reject_recurrent(op, isa)

    def _emitter(self, op: Gru, isa: Isa) -> "_Emitter":
        return _Emitter(op, isa, PackedGates)

    def variant(self, op: Gru, isa: Isa) -> str:
        """Name the instructions."""
        return f"{self.name}.{isa.name}"

    def build(self, op: Gru, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return self._emitter(op, isa).build()

    def constants(self, op: Gru, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights and fixed-point rows by vectors of features."""
        return self._emitter(op, isa).constants(arrays)

    def scratch_bytes(self, op: Gru, isa: Isa) -> int:
        """Memory of the gate inputs of all steps, the state and rows of y."""
        return self._emitter(op, isa).scratch().num_bytes


class GruNibbles(GruGemm):
    """Serves GRUs whose recurrent weights fit 4 bits."""

    name = "gru_nibbles"

    def reject(self, op: Gru, isa: Isa) -> str:
        """Accept layers of few sequences."""
        return super().reject(op, isa) or reject_nibbles(op, isa)

    def reject_constants(self, op: Gru, isa: Isa, arrays: Arrays) -> str:
        """Refuse recurrent weights of more bits."""
        del op
        return reject_recurrent_weights(isa, arrays)

    def _emitter(self, op: Gru, isa: Isa) -> "_Emitter":
        return _Emitter(op, isa, NibbleGates)


class _Emitter(RecurrentEmitter):
    """Emits one GRU."""

    op: Gru

    def __init__(self, op: Gru, isa: Isa, gates: type[PackedGates]) -> None:
        super().__init__(op, isa)
        if op.linear_before_reset:
            self.groups = [gates(op, isa, "recurrent", 0, op.gates)]
        else:
            self.groups = [gates(op, isa, "recurrent", 0, NUM_SIGMOIDS),
                           gates(op, isa, "recurrent", HIDDEN, 1)]

    def recurrent_gates(self) -> list[PackedGates]:
        return self.groups

    def own_parameters(self) -> list[Parameter]:
        return [(f"state_{what}", 1, "int64") for what in ("significand", "bias", "shift")]

    def scratch(self) -> Scratch:
        shared = super().scratch()
        if self.op.linear_before_reset:
            return shared
        lines = self.op.directions * self.op.batch
        return Scratch((
            *shared.parts,
            ("update", lines * self.padded_hidden, "int32"),
            ("reset_rows", lines * self.row_elements, self.op.dtype),
        ))

    def start_state(self, line: Expr) -> None:
        lanes, operands, fixed = self.isa.lanes, self.operands, self.fixed
        wide = fixed.wide
        significand, bias, shift = (
            wide.same(vector.load(operands[f"state_{what}"], 0))
            for what in ("significand", "bias", "shift"))
        zero = vector.splat(vector.load(operands["params"], PARAM_ZERO_POINT), lanes)
        with vector.loop(self.from_input.blocks) as block:
            h = vector.load(operands["rows"], self.row_at(line, 0) + block * lanes, lanes)
            centred = vector.bind(vector.cast(h, "int32", lanes) - zero)
            scaled = (wide.extend(centred) * significand + bias) >> shift
            state = fixed.limit(scaled, MAX_STATE)
            vector.store(operands["state"], self.state_at(line, block), state, lanes)

    def step(self, direction: Expr, step: Expr, parity: Expr) -> None:
        if self.op.linear_before_reset:
            self._step_together(direction, step, parity)
        else:
            self._step_sigmoids(direction, step, parity)
            self._step_hidden(direction, step, parity)

    def _step_together(self, direction: Expr, step: Expr, parity: Expr) -> None:
        """All gates at once: the reset gate scales a product."""
        gates, operands = self.groups[0], self.operands
        lanes, fixed = self.isa.lanes, self.fixed

        def tile(first: Expr, rows: int) -> None:
            self.multiply_rows(gates, "rows", direction, first, rows, parity, parity)
            with vector.loop(rows) as row, vector.loop(gates.blocks) as block:
                at = self._product_at(direction, row, block)
                input_at = self._gate_inputs(direction, step, first + row, block)
                z, reset = (
                    self._sigmoid(gates, at, input_at, direction, block, gate)
                    for gate in range(NUM_SIGMOIDS))
                acc = vector.load(operands["products"], at + HIDDEN * lanes, lanes)
                part = gates.gate_input(operands, acc, direction, block, HIDDEN)
                product = fixed.wide.extend(reset) * fixed.wide.extend(part)
                scaled = fixed.wide.narrow(fixed.round_shift(product, STATE_BITS))
                vector.store(operands["products"], at, z, lanes)
                vector.store(operands["products"], at + HIDDEN * lanes, scaled, lanes)
            with vector.loop(rows) as row:
                def update(block: Expr, valid: int) -> None:
                    at = self._product_at(direction, row, block)
                    z = vector.bind(vector.load(operands["products"], at, lanes))
                    part = vector.load(operands["products"], at + HIDDEN * lanes, lanes)
                    y = self._update(z, part, direction, step, first + row, block)
                    self.store_output(y, direction, step, parity, first + row, block, valid)

                self.for_blocks(update)

        self.for_tiles(gates, tile)

    def _step_sigmoids(self, direction: Expr, step: Expr, parity: Expr) -> None:
        """Update and reset gates of all features, and the reset state as y is quantized."""
        gates, operands = self.groups[0], self.operands
        lanes, fixed = self.isa.lanes, self.fixed

        def tile(first: Expr, rows: int) -> None:
            self.multiply_rows(gates, "rows", direction, first, rows, parity, parity)
            with vector.loop(rows) as row, vector.loop(gates.blocks) as block:
                at = self._product_at(direction, row, block)
                input_at = self._gate_inputs(direction, step, first + row, block)
                z, reset = (
                    self._sigmoid(gates, at, input_at, direction, block, gate)
                    for gate in range(NUM_SIGMOIDS))
                line = direction * self.op.batch + first + row
                state_at = vector.bind(T.int32(0) + self.state_at(line, block))
                vector.store(operands["update"], state_at, z, lanes)
                state = vector.bind(vector.load(operands["state"], state_at, lanes))
                product = fixed.wide.extend(reset) * fixed.wide.extend(state)
                scaled = fixed.wide.narrow(fixed.round_shift(product, STATE_BITS))
                reset_at = self.row_at(line, 0) + block * lanes
                vector.store(
                    operands["reset_rows"], reset_at, self.quantize_state(scaled), lanes)

        self.for_tiles(gates, tile)

    def _step_hidden(self, direction: Expr, step: Expr, parity: Expr) -> None:
        """The hidden gate, which multiplies the reset state of all features."""
        gates, operands, lanes = self.groups[1], self.operands, self.isa.lanes

        def tile(first: Expr, rows: int) -> None:
            self.multiply_rows(
                gates, "reset_rows", direction, first, rows, parity, T.int32(0))
            with vector.loop(rows) as row:
                def update(block: Expr, valid: int) -> None:
                    at = self._product_at(direction, row, block)
                    acc = vector.load(operands["products"], at, lanes)
                    part = gates.gate_input(operands, acc, direction, block, 0)
                    line = direction * self.op.batch + first + row
                    z = vector.load(operands["update"], self.state_at(line, block), lanes)
                    y = self._update(vector.bind(z), part, direction, step, first + row, block)
                    self.store_output(y, direction, step, parity, first + row, block, valid)

                self.for_blocks(update)

        self.for_tiles(gates, tile)

    def _product_at(self, direction: Expr, row: Expr, block: Expr) -> Expr:
        return vector.bind(T.int32(0) + self.product_at(direction, row, block))

    def _gate_inputs(self, direction: Expr, step: Expr, sequence: Expr, block: Expr) -> Expr:
        row = step * self.op.batch + sequence
        return vector.bind(T.int32(0) + self.gate_inputs_at(direction, row, block))

    def _sigmoid(
        self, gates: PackedGates, at: Expr, input_at: Expr, direction: Expr, block: Expr,
        gate: int,
    ) -> Expr:
        """A sigmoid gate, 16 bits behind the point."""
        lanes, operands = self.isa.lanes, self.operands
        acc = vector.load(operands["products"], at + gate * lanes, lanes)
        from_output = gates.gate_input(operands, acc, direction, block, gate)
        from_input = vector.load(operands["gate_inputs"], input_at + gate * lanes, lanes)
        value = self.tanh(vector.bind(from_input + from_output))
        return vector.bind(value + vector.splat(T.int32(SIGMOID_ONE_HALF), lanes))

    def _update(
        self, z: Expr, part: Expr, direction: Expr, step: Expr, sequence: Expr, block: Expr
    ) -> Expr:
        """Mix the hidden gate and the state; return y."""
        lanes, operands, fixed = self.isa.lanes, self.operands, self.fixed
        at = self._gate_inputs(direction, step, sequence, block)
        from_input = vector.load(operands["gate_inputs"], at + HIDDEN * lanes, lanes)
        n = self.tanh(vector.bind(from_input + part))
        n = vector.bind(n * vector.splat(T.int32(1 << (STATE_BITS - TANH_BITS)), lanes))
        line = direction * self.op.batch + sequence
        state_at = vector.bind(T.int32(0) + self.state_at(line, block))
        state = vector.bind(vector.load(operands["state"], state_at, lanes))
        rest = vector.bind(vector.splat(T.int32(ONE), lanes) - z)
        extend = fixed.wide.extend
        mixed = extend(rest) * extend(n) + extend(z) * extend(state)
        state = fixed.wide.narrow(fixed.round_shift(mixed, STATE_BITS))
        vector.store(operands["state"], state_at, state, lanes)
        return self.quantize_state(state)
