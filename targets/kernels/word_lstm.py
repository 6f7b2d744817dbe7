"""LSTM with gates and a cell of 16 bits; products and recurrence are as of the wider one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa, clamp
from octavo.targets.kernels.packed_gates import PackedGates, Parameter, reject_recurrent
from octavo.targets.kernels.recurrent import RecurrentEmitter
from octavo.targets.kernels.rounded_gates import RoundedGates
from octavo.targets.kernels.twice_rounded import divide_rounding
from octavo.targets.kernels.word_functions import WordFunctions
from octavo.targets.ops.recurrent import Arrays
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
    SIGNIFICAND_BITS,
)
from octavo.targets.ops.word_functions import GATE_INTEGER_BITS, WORD_FRACTION_BITS
from octavo.targets.ops.word_lstm import MAX_ONCE, PRODUCT_BITS, WordLstm


class WordLstmGemm:
    """Serves every such LSTM; outputs: y and y_h."""

    name = "word_lstm_gemm"

    def reject(self, op: WordLstm, isa: Isa) -> str:
        """Accept layers of the activation type of the instructions."""
        return reject_recurrent(op, isa)

    def variant(self, op: WordLstm, isa: Isa) -> str:
        """Name the instructions."""
        return f"{self.name}.{isa.name}"

    def build(self, op: WordLstm, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa).build()

    def constants(self, op: WordLstm, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights and fixed-point rows by vectors of features."""
        return _Emitter(op, isa).constants(arrays)

    def scratch_bytes(self, op: WordLstm, isa: Isa) -> int:
        """Memory of the gate inputs of all steps, the cell and two rows of y."""
        return _Emitter(op, isa).scratch().num_bytes


class _Emitter(RecurrentEmitter):
    """Emits one layer."""

    op: WordLstm

    def __init__(self, op: WordLstm, isa: Isa) -> None:
        super().__init__(op, isa, RoundedGates)
        self.from_output = RoundedGates(op, isa, "recurrent", 0, op.gates)
        self.words = WordFunctions(isa.lanes)

    def recurrent_gates(self) -> list[PackedGates]:
        return [self.from_output]

    def scalars(self) -> list[Parameter]:
        return [
            ("output_significand", 1, "int64"), ("output_shift", 1, "int64"),
            ("output_places", 1, "int32"), ("output_half", 1, "int32"),
            ("params", NUM_PARAMS, "int32"),
        ]

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack the constants; the rounding of the output is taken apart."""
        first = np.minimum(arrays["output_shift"], SIGNIFICAND_BITS)
        places = arrays["output_shift"] - first
        return super().constants({
            **arrays, "output_shift": first, "output_places": places,
            "output_half": (1 << places) >> 1})

    def start_state(self, line: Expr) -> None:
        at = self.state_at(line, 0)
        vector.fill(self.operands["state"], at, T.int32(0), self.padded_hidden)

    def step(self, direction: Expr, step: Expr, parity: Expr) -> None:
        def tile(first: Expr, rows: int) -> None:
            self.multiply_rows(
                self.from_output, "rows", direction, first, rows, parity, parity)
            with vector.loop(rows) as row:
                def update(block: Expr, valid: int) -> None:
                    gates = self._gates(direction, step, first + row, row, block)
                    y = self._cell(direction * self.op.batch + first + row, block, gates)
                    self.store_output(y, direction, step, parity, first + row, block, valid)

                self.for_blocks(update)

        self.for_tiles(self.from_output, tile)

    def _gates(
        self, direction: Expr, step: Expr, sequence: Expr, row: Expr, block: Expr
    ) -> list[Expr]:
        """Sigmoids of the input, output and forget gates, tanh of the cell's."""
        words = self.words
        line = step * self.op.batch + sequence
        input_at = vector.bind(T.int32(0) + self.gate_inputs_at(direction, line, block))
        at = vector.bind(T.int32(0) + self.product_at(direction, row, block))
        parts = self.gate_inputs(self.from_output, (input_at, at), direction, block)
        totals = [
            words.saturate(from_input + from_output) for from_input, from_output in parts]
        return [*(words.sigmoid(total) for total in totals[:3]),
                words.tanh(totals[3], GATE_INTEGER_BITS)]

    def _cell(self, line: Expr, block: Expr, gates: list[Expr]) -> Expr:
        """Update the cell of one vector of features; return y."""
        op, words, lanes = self.op, self.words, self.isa.lanes
        i, o, f, g = gates
        at = vector.bind(T.int32(0) + self.state_at(line, block))
        cell = vector.bind(vector.load(self.operands["state"], at, lanes))
        kept = words.divide(f * cell, WORD_FRACTION_BITS)
        cell = words.saturate(kept + words.divide(i * g, PRODUCT_BITS - op.cell_bits))
        if op.cell_limit:
            limit = words.same(op.cell_limit)
            cell = vector.bind(clamp(cell, words.same(0) - limit, limit))
        vector.store(self.operands["state"], at, cell, lanes)
        return self._stored(vector.bind(o * words.tanh(cell, op.cell_integer_bits)))

    def _stored(self, value: Expr) -> Expr:
        """Round int32 lanes to y."""
        lanes, wide = self.isa.lanes, self.fixed.wide

        def scalar(name: str, slot: int = 0) -> Expr:
            return vector.bind(vector.load(self.operands[name], slot))

        shift = scalar("output_shift")
        # Below 2**31: as an extended int32 it is an operand of the fast multiplication.
        significand = vector.cast(
            vector.cast(scalar("output_significand"), "int32", 1), "int64", 1)
        half = T.shift_left(T.int64(1), shift - T.int64(1))
        scaled = wide.extend(value) * wide.same(significand) + wide.same(half)
        once = self.fixed.limit(scaled >> wide.same(shift), MAX_ONCE)
        places, halves = (
            vector.splat(scalar(name), lanes) for name in ("output_places", "output_half"))
        zero_point, low, high = (
            vector.splat(scalar("params", slot), lanes)
            for slot in (PARAM_ZERO_POINT, PARAM_QMIN, PARAM_QMAX))
        moved = divide_rounding(once, places, halves, lanes) + zero_point
        return vector.bind(self.isa.narrow(clamp(moved, low, high), self.op.dtype, lanes))
