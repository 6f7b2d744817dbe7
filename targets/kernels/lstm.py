"""LSTM: all gates of a vector of features in registers, a cell in fixed point."""

from typing import Any

from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa, clamp
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

    def variant(self, op: Lstm, isa: Isa) -> str:
        """Name the instructions."""
        return f"{self.name}.{isa.name}"

    def build(self, op: Lstm, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa).build()

    def constants(self, op: Lstm, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights and fixed-point rows by vectors of features."""
        return _Emitter(op, isa).constants(arrays)

    def scratch_bytes(self, op: Lstm, isa: Isa) -> int:
        """Memory of the gate inputs of all steps, the cell and two rows of y."""
        return _Emitter(op, isa).scratch().num_bytes


class _Emitter(RecurrentEmitter):
    """Emits one LSTM."""

    op: Lstm

    def __init__(self, op: Lstm, isa: Isa) -> None:
        super().__init__(op, isa)
        self.from_output = PackedGates(op, isa, "recurrent", 0, op.gates)

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
        batch = self.op.batch

        def tile(first: Expr, rows: int) -> None:
            def block(index: Expr, valid: int) -> None:
                offsets = [
                    vector.bind(self.row_at(direction * batch + first + r, parity))
                    for r in range(rows)
                ]
                products = self.from_output.multiply(
                    self.operands, direction, index, self.operands["rows"], offsets)
                for r in range(rows):
                    y = self._cell(products.row(r), direction, step, first + r, index)
                    self.store_output(y, direction, step, parity, first + r, index, valid)

            self.for_blocks(block)

        self.for_tiles(self.from_output, tile)

    def _cell(
        self, accs: list[Expr], direction: Expr, step: Expr, sequence: Expr, block: Expr
    ) -> Expr:
        """Update the cell of one vector of features; return y."""
        lanes, batch, operands = self.isa.lanes, self.op.batch, self.operands
        at = vector.bind(self.gate_inputs_at(direction, step * batch + sequence, block))
        values = []
        for gate, acc in enumerate(accs):
            from_output = self.from_output.gate_input(operands, acc, direction, block, gate)
            from_input = vector.load(operands["gate_inputs"], at + gate * lanes, lanes)
            values.append(self.tanh(vector.bind(from_input + from_output)))
        half = vector.splat(T.int32(SIGMOID_ONE_HALF), lanes)
        i, o, f = (vector.bind(value + half) for value in values[:3])
        state_at = vector.bind(self.state_at(direction * batch + sequence, block))
        cell = vector.load(operands["state"], state_at, lanes)
        added = self.wide(i * values[3]) * vector.splat(T.int64(2), lanes)
        total = self.round_shift(self.wide(f) * self.wide(cell) + added, STATE_BITS)
        limit = vector.splat(T.int64(MAX_CELL), lanes)
        low = vector.splat(T.int64(-MAX_CELL), lanes)
        cell = vector.bind(vector.cast(clamp(total, low, limit), "int32", lanes))
        vector.store(operands["state"], state_at, cell, lanes)
        return self.quantize_state(self.wide(o * self.tanh(cell)))
