"""GRU: gates of a vector of features in registers, a state in fixed point."""

from typing import Any

from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa, clamp
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

    def variant(self, op: Gru, isa: Isa) -> str:
        """Name the instructions."""
        return f"{self.name}.{isa.name}"

    def build(self, op: Gru, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa).build()

    def constants(self, op: Gru, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights and fixed-point rows by vectors of features."""
        return _Emitter(op, isa).constants(arrays)

    def scratch_bytes(self, op: Gru, isa: Isa) -> int:
        """Memory of the gate inputs of all steps, the state and rows of y."""
        return _Emitter(op, isa).scratch().num_bytes


class _Emitter(RecurrentEmitter):
    """Emits one GRU."""

    op: Gru

    def __init__(self, op: Gru, isa: Isa) -> None:
        super().__init__(op, isa)
        if op.linear_before_reset:
            self.groups = [PackedGates(op, isa, "recurrent", 0, op.gates)]
        else:
            self.groups = [PackedGates(op, isa, "recurrent", 0, NUM_SIGMOIDS),
                           PackedGates(op, isa, "recurrent", HIDDEN, 1)]

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
        lanes, operands = self.isa.lanes, self.operands
        significand, bias, shift = (
            vector.splat(vector.load(operands[f"state_{what}"], 0), lanes)
            for what in ("significand", "bias", "shift"))
        zero = vector.splat(vector.load(operands["params"], PARAM_ZERO_POINT), lanes)
        limit, low = (vector.splat(T.int64(v), lanes) for v in (MAX_STATE, -MAX_STATE))
        with vector.loop(self.from_input.blocks) as block:
            h = vector.load(operands["rows"], self.row_at(line, 0) + block * lanes, lanes)
            centred = vector.cast(h, "int32", lanes) - zero
            scaled = T.shift_right(self.wide(centred) * significand + bias, shift)
            state = vector.cast(clamp(scaled, low, limit), "int32", lanes)
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

        def tile(first: Expr, rows: int) -> None:
            def block(index: Expr, valid: int) -> None:
                products = self._multiply(gates, "rows", direction, first, rows, index, parity)
                for r in range(rows):
                    at = self._gate_inputs(direction, step, first + r, index)
                    line = direction * self.op.batch + first + r
                    accs = products.row(r)
                    z, reset = (
                        self._sigmoid(gates, acc, at, direction, index, gate)
                        for gate, acc in enumerate(accs[:NUM_SIGMOIDS]))
                    part = gates.gate_input(operands, accs[HIDDEN], direction, index, HIDDEN)
                    scaled = self.round_shift(self.wide(reset) * self.wide(part), STATE_BITS)
                    part = vector.cast(scaled, "int32", self.isa.lanes)
                    y = self._update(z, part, at, line, index)
                    self.store_output(y, direction, step, parity, first + r, index, valid)

            self.for_blocks(block)

        self.for_tiles(gates, tile)

    def _step_sigmoids(self, direction: Expr, step: Expr, parity: Expr) -> None:
        """Update and reset gates of all features, and the reset state as y is quantized."""
        gates, operands, lanes = self.groups[0], self.operands, self.isa.lanes

        def tile(first: Expr, rows: int) -> None:
            def block(index: Expr, valid: int) -> None:
                products = self._multiply(gates, "rows", direction, first, rows, index, parity)
                for r in range(rows):
                    at = self._gate_inputs(direction, step, first + r, index)
                    line = direction * self.op.batch + first + r
                    z, reset = (
                        self._sigmoid(gates, acc, at, direction, index, gate)
                        for gate, acc in enumerate(products.row(r)))
                    state_at = vector.bind(self.state_at(line, index))
                    vector.store(operands["update"], state_at, z, lanes)
                    state = vector.load(operands["state"], state_at, lanes)
                    scaled = self.round_shift(self.wide(reset) * self.wide(state), STATE_BITS)
                    row = self.row_at(line, 0) + index * lanes
                    vector.store(
                        operands["reset_rows"], row, self.quantize_state(scaled), lanes)

            self.for_blocks(block)

        self.for_tiles(gates, tile)

    def _step_hidden(self, direction: Expr, step: Expr, parity: Expr) -> None:
        """The hidden gate, which multiplies the reset state of all features."""
        gates, operands, lanes = self.groups[1], self.operands, self.isa.lanes

        def tile(first: Expr, rows: int) -> None:
            def block(index: Expr, valid: int) -> None:
                products = self._multiply(
                    gates, "reset_rows", direction, first, rows, index, T.int32(0))
                for r in range(rows):
                    at = self._gate_inputs(direction, step, first + r, index)
                    line = direction * self.op.batch + first + r
                    part = gates.gate_input(operands, products.row(r)[0], direction, index, 0)
                    z = vector.load(operands["update"], self.state_at(line, index), lanes)
                    y = self._update(z, part, at, line, index)
                    self.store_output(y, direction, step, parity, first + r, index, valid)

            self.for_blocks(block)

        self.for_tiles(gates, tile)

    def _multiply(
        self, gates: PackedGates, source: str, direction: Expr, first: Expr, rows: int,
        block: Expr, parity: Expr,
    ) -> Any:
        offsets = [
            vector.bind(self.row_at(direction * self.op.batch + first + r, parity))
            for r in range(rows)
        ]
        return gates.multiply(self.operands, direction, block, self.operands[source], offsets)

    def _gate_inputs(self, direction: Expr, step: Expr, sequence: Expr, block: Expr) -> Expr:
        row = step * self.op.batch + sequence
        return vector.bind(self.gate_inputs_at(direction, row, block))

    def _sigmoid(
        self, gates: PackedGates, acc: Expr, at: Expr, direction: Expr, block: Expr, gate: int
    ) -> Expr:
        """A sigmoid gate, 16 bits behind the point."""
        lanes = self.isa.lanes
        from_output = gates.gate_input(self.operands, acc, direction, block, gate)
        from_input = vector.load(self.operands["gate_inputs"], at + gate * lanes, lanes)
        value = self.tanh(vector.bind(from_input + from_output))
        return vector.bind(value + vector.splat(T.int32(SIGMOID_ONE_HALF), lanes))

    def _update(self, z: Expr, part: Expr, at: Expr, line: Expr, block: Expr) -> Expr:
        """Mix the hidden gate and the state; return y."""
        lanes, operands = self.isa.lanes, self.operands
        from_input = vector.load(operands["gate_inputs"], at + HIDDEN * lanes, lanes)
        n = self.wide(self.tanh(vector.bind(from_input + part)))
        n = n * vector.splat(T.int64(1 << (STATE_BITS - TANH_BITS)), lanes)
        state_at = vector.bind(self.state_at(line, block))
        state = self.wide(vector.load(operands["state"], state_at, lanes))
        z = vector.bind(self.wide(z))
        rest = vector.splat(T.int64(ONE), lanes) - z
        mixed = vector.bind(self.round_shift(rest * n + z * state, STATE_BITS))
        vector.store(operands["state"], state_at, vector.cast(mixed, "int32", lanes), lanes)
        return self.quantize_state(mixed)
