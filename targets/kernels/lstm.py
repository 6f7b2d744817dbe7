"""LSTM: all gates of a vector of features in registers, a cell in fixed point."""

from typing import Any

from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa, clamp
from octavo.targets.kernels.nibble_gates import (
    NibbleGates,
    reject_nibbles,
    reject_recurrent_weights,
)
from octavo.targets.kernels.packed_gates import PackedGates, Parameter, reject_recurrent
from octavo.targets.kernels.recurrent import RecurrentEmitter
from octavo.targets.ops.fixed_point import STATE_BITS
from octavo.targets.ops.lstm import MAX_CELL, MAX_INITIAL_CELL, SIGMOID_ONE_HALF, Lstm
from octavo.targets.ops.recurrent import Arrays


class LstmGemm:
    """Serves every LSTM.

    Outputs: y, y_h and, if the operation has it, the last cell.
    """

    name = "lstm_gemm"

    def reject(self, op: Lstm, isa: Isa) -> str:
        """Accept layers of the activation type of the instructions."""
        return reject_recurrent(op, isa)

    def _emitter(self, op: Lstm, isa: Isa) -> "_Emitter":
        return _Emitter(op, isa, PackedGates)

    def variant(self, op: Lstm, isa: Isa) -> str:
        """Name the instructions."""
        return f"{self.name}.{isa.name}"

    def build(self, op: Lstm, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return self._emitter(op, isa).build()

    def constants(self, op: Lstm, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights and fixed-point rows by vectors of features."""
        return self._emitter(op, isa).constants(arrays)

    def scratch_bytes(self, op: Lstm, isa: Isa) -> int:
        """Memory of the gate inputs of all steps, the cell and two rows of y."""
        return self._emitter(op, isa).scratch().num_bytes


class LstmNibbles(LstmGemm):
    """Serves LSTMs whose recurrent weights fit 4 bits."""

    name = "lstm_nibbles"

    def reject(self, op: Lstm, isa: Isa) -> str:
        """Accept layers of few sequences."""
        return super().reject(op, isa) or reject_nibbles(op, isa)

    def reject_constants(self, op: Lstm, isa: Isa, arrays: Arrays) -> str:
        """Refuse recurrent weights of more bits."""
        del op
        return reject_recurrent_weights(isa, arrays)

    def _emitter(self, op: Lstm, isa: Isa) -> "_Emitter":
        return _Emitter(op, isa, NibbleGates)


class _Emitter(RecurrentEmitter):
    """Emits one LSTM."""

    op: Lstm

    def __init__(self, op: Lstm, isa: Isa, gates: type[PackedGates]) -> None:
        super().__init__(op, isa)
        self.from_output = gates(op, isa, "recurrent", 0, op.gates)

    def recurrent_gates(self) -> list[PackedGates]:
        return [self.from_output]

    def inputs(self) -> list[Parameter]:
        initial = [("initial_c", self.op.state_elements, "float32")]
        return super().inputs() + (initial if self.op.has_initial_c else [])

    def outputs(self) -> list[Parameter]:
        cell = [("y_c", self.op.state_elements, "float32")]
        return super().outputs() + (cell if self.op.has_cell_output else [])

    def start_state(self, line: Expr) -> None:
        lanes, state = self.isa.lanes, self.operands["state"]
        if not self.op.has_initial_c:
            vector.fill(state, self.state_at(line, 0), T.int32(0), self.padded_hidden)
            return

        def block(index: Expr, valid: int) -> None:
            real = vector.load(
                self.operands["initial_c"], line * self.op.hidden + index * lanes, valid)
            scaled = real * vector.splat(T.float32(2.0**STATE_BITS), valid)
            low, high = (vector.splat(T.float32(sign * MAX_INITIAL_CELL), valid)
                         for sign in (-1, 1))
            cell = self.isa.round_to_int32(clamp(scaled, low, high), valid)
            vector.store(state, self.state_at(line, index), cell, valid)

        self.for_blocks(block)

    def finish_state(self, line: Expr) -> None:
        if not self.op.has_cell_output:
            return
        lanes = self.isa.lanes

        def block(index: Expr, valid: int) -> None:
            cell = vector.load(self.operands["state"], self.state_at(line, index), valid)
            real = vector.cast(cell, "float32", valid) * vector.splat(
                T.float32(2.0**-STATE_BITS), valid)
            at = line * self.op.hidden + index * lanes
            vector.store(self.operands["y_c"], at, real, valid)

        self.for_blocks(block)

    def step(self, direction: Expr, step: Expr, parity: Expr) -> None:
        def tile(first: Expr, rows: int) -> None:
            self.multiply_rows(
                self.from_output, "rows", direction, first, rows, parity, parity)
            with vector.loop(rows) as row, vector.loop(self.from_output.blocks) as block:
                self._open_gates(direction, step, first + row, row, block)
            with vector.loop(rows) as row:
                def update(block: Expr, valid: int) -> None:
                    y = self._cell(direction, first + row, row, block)
                    self.store_output(y, direction, step, parity, first + row, block, valid)

                self.for_blocks(update)

        self.for_tiles(self.from_output, tile)

    def _open_gates(
        self, direction: Expr, step: Expr, sequence: Expr, row: Expr, block: Expr
    ) -> None:
        """Replace the products by what the cell needs: input * cell gate, output, forget."""
        lanes, operands = self.isa.lanes, self.operands
        line = step * self.op.batch + sequence
        input_at = vector.bind(T.int32(0) + self.gate_inputs_at(direction, line, block))
        at = vector.bind(T.int32(0) + self.product_at(direction, row, block))
        parts = self.gate_inputs(self.from_output, (input_at, at), direction, block)
        values = [
            self.tanh(vector.bind(from_input + from_output))
            for from_input, from_output in parts]
        half = vector.splat(T.int32(SIGMOID_ONE_HALF), lanes)
        i, o, f = (value + half for value in values[:3])
        for slot, value in enumerate((i * values[3], o, f)):
            vector.store(operands["products"], at + slot * lanes, value, lanes)

    def _cell(self, direction: Expr, sequence: Expr, row: Expr, block: Expr) -> Expr:
        """Update the cell of one vector of features; return y."""
        lanes, operands, fixed = self.isa.lanes, self.operands, self.fixed
        at = vector.bind(T.int32(0) + self.product_at(direction, row, block))
        added, o, f = (
            vector.bind(vector.load(operands["products"], at + slot * lanes, lanes))
            for slot in range(3))
        state_at = vector.bind(
            T.int32(0) + self.state_at(direction * self.op.batch + sequence, block))
        cell = vector.bind(vector.load(operands["state"], state_at, lanes))
        wide = fixed.wide
        twice = wide.extend(added) * wide.same(T.int64(2))
        total = fixed.round_shift(wide.extend(f) * wide.extend(cell) + twice, STATE_BITS)
        cell = fixed.limit(total, MAX_CELL)
        vector.store(operands["state"], state_at, cell, lanes)
        return self.quantize_state(vector.bind(o * self.tanh(cell)))
