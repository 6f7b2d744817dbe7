"""What LSTM and GRU kernels share: the products, the recurrence, fixed-point activations.

Columns are hidden features in vectors of ``lanes``; all gates of a vector are multiplied
together. The products with x of all steps come first, the recurrence follows, one task for
each direction; of a step all products come first, then the gates, then the state.
"""

from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.fixed_lanes import FixedLanes
from octavo.targets.kernels.packed_gates import PackedGates, Parameter
from octavo.targets.kernels.parallel import PARALLEL_MACS
from octavo.targets.kernels.scratch import Scratch
from octavo.targets.ops.fixed_point import NUM_SEGMENTS, TABLE_ROWS, tanh_table
from octavo.targets.ops.recurrent import Arrays, Recurrent
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
)

SLACK_BYTES = 64  # rows are read in whole steps


class RecurrentEmitter:
    """Emits what both kinds of cells have in common.

    Attributes:
        op: The layer.
        isa: Instructions.
        fixed: Fixed-point operations on vectors.
        from_input: All gates, multiplied with x.
        operands: Buffers by name, once the body is being emitted.
    """

    def __init__(
        self, op: Recurrent, isa: Isa, gates: type[PackedGates] = PackedGates
    ) -> None:
        self.op = op
        self.isa = isa
        self.fixed = FixedLanes(isa)
        self.from_input = gates(op, isa, "input", 0, op.gates)
        self.operands: dict[str, Any] = {}

    @property
    def padded_hidden(self) -> int:
        """Hidden features in whole vectors."""
        return self.from_input.blocks * self.isa.lanes

    @property
    def row_elements(self) -> int:
        """Distance of the rows of y that the recurrence reads."""
        return self.padded_hidden + SLACK_BYTES

    def recurrent_gates(self) -> list[PackedGates]:
        """Gates that are multiplied with y, in the groups in which they are."""
        raise NotImplementedError

    def own_parameters(self) -> list[Parameter]:
        """Further constant operands, each passed as it is."""
        return []

    def inputs(self) -> list[Parameter]:
        """Inputs, in order."""
        op = self.op
        parameters = [("x", op.steps * op.batch * op.inputs, op.dtype)]
        if op.has_initial_h:
            parameters.append(("initial_h", op.state_elements, op.dtype))
        return parameters

    def outputs(self) -> list[Parameter]:
        """Outputs, in order."""
        op = self.op
        return [("y", op.steps * op.state_elements, op.dtype),
                ("y_h", op.state_elements, op.dtype)]

    def scratch(self) -> Scratch:
        """The gate inputs of all steps, the state, and two rows of y for each sequence."""
        op = self.op
        sequences = op.directions * op.batch
        return Scratch((
            ("gate_inputs", op.steps * sequences * self.from_input.block_columns
             * self.from_input.blocks, "int32"),
            ("state", sequences * self.padded_hidden, "int32"),
            ("rows", 2 * sequences * self.row_elements, op.dtype),
            ("products", op.directions * self._tile_rows() * self.from_input.columns, "int32"),
        ))

    def build(self) -> Any:
        """Emit the PrimFunc."""
        parameters = self.inputs()
        for gates in (self.from_input, *self.recurrent_gates()):
            parameters += gates.parameters()
        parameters += self.scalars()
        parameters += self.outputs()
        scratch = self.scratch()
        parameters.append(("scratch", scratch.num_bytes, "uint8"))

        def body(*buffers: Any) -> None:
            self.operands = dict(zip([p[0] for p in parameters], buffers, strict=True))
            self.operands |= scratch.views(self.operands["scratch"])
            self._multiply_inputs()
            self._recur()

        return vector.prim_func(parameters, body)

    def scalars(self) -> list[Parameter]:
        """Constant operands behind the weights."""
        return [
            ("output_significand", 1, "int64"), ("output_shift", 1, "int64"),
            ("params", NUM_PARAMS, "int32"), ("tanh", TABLE_ROWS * NUM_SEGMENTS, "int32"),
            *self.own_parameters(),
        ]

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack the constants in the order of the parameters."""
        packed: list[NDArray[Any]] = []
        for gates in (self.from_input, *self.recurrent_gates()):
            packed += gates.constants(arrays)
        given = {**arrays, "tanh": tanh_table().reshape(-1)}
        return packed + [given[name].astype(dtype) for name, _, dtype in self.scalars()]

    def _multiply_inputs(self) -> None:
        """Compute the part of every gate input that comes from x."""
        op, gates, lanes = self.op, self.from_input, self.isa.lanes
        total = op.steps * op.batch
        rows = min(gates.max_rows, total)
        tiles = -(-total // rows)
        macs = total * op.directions * op.gates * op.hidden * op.inputs
        with vector.loop(op.directions * tiles, macs >= PARALLEL_MACS) as task:
            direction, index = task // tiles, task % tiles
            # The last tile moves back over its neighbour, so that all tiles are whole.
            row = vector.bind(T.min(T.int32(0) + index * rows, T.int32(total - rows)))
            with vector.loop(gates.blocks) as block:
                offsets = [(row + r) * op.inputs for r in range(rows)]
                tile = gates.multiply(
                    self.operands, direction, block, self.operands["x"], offsets)
                for r in range(rows):
                    at = self.gate_inputs_at(direction, row + r, block)
                    for gate, acc in enumerate(tile.row(r)):
                        value = gates.gate_input(self.operands, acc, direction, block, gate)
                        vector.store(
                            self.operands["gate_inputs"], at + gate * lanes, value, lanes)

    def gate_inputs_at(self, direction: Expr, row: Expr, block: Expr) -> Expr:
        """First gate input of a row of x (step * batch + sequence) and vector of features."""
        gates = self.from_input
        line = direction * (self.op.steps * self.op.batch) + row
        return (line * gates.blocks + block) * gates.block_columns

    def _recur(self) -> None:
        """Run the recurrence of every direction."""
        op = self.op
        with vector.loop(op.directions, op.macs >= PARALLEL_MACS) as direction:
            for_batch = direction * op.batch
            with vector.loop(op.batch) as sequence:
                self._start_row(for_batch + sequence)
                self.start_state(for_batch + sequence)
            with vector.loop(op.steps) as index:
                step = vector.bind(T.int32(0) + self._step(direction, index))
                parity = vector.bind(T.int32(0) + index % 2)
                self.step(direction, step, parity)
            with vector.loop(op.batch) as sequence:
                line = for_batch + sequence
                vector.copy(
                    self.operands["y_h"], line * op.hidden, self.operands["rows"],
                    self.row_at(line, op.steps % 2), op.hidden)
                self.finish_state(line)

    def _step(self, direction: Expr, index: Expr) -> Expr:
        """The time step that is computed as number ``index``."""
        last = self.op.steps - 1
        if self.op.direction == "forward":
            return index
        if self.op.direction == "reverse":
            return last - index
        return index + direction * (last - 2 * index)

    def row_at(self, line: Expr, parity: Expr) -> Expr:
        """Where the previous y of a sequence lies; the next one lies at the other parity."""
        lines = self.op.directions * self.op.batch
        return (parity * lines + line) * self.row_elements

    def _start_row(self, line: Expr) -> None:
        op, rows = self.op, self.operands["rows"]
        if op.has_initial_h:
            vector.copy(rows, self.row_at(line, 0), self.operands["initial_h"],
                        line * op.hidden, op.hidden)
            return
        zero = vector.cast(vector.load(self.operands["params"], PARAM_ZERO_POINT), op.dtype, 1)
        vector.fill(rows, self.row_at(line, 0), vector.bind(zero), self.padded_hidden)

    def start_state(self, line: Expr) -> None:
        """Set the state of one sequence."""
        raise NotImplementedError

    def finish_state(self, line: Expr) -> None:
        """Write what the cell outputs beside y."""

    def step(self, direction: Expr, step: Expr, parity: Expr) -> None:
        """Emit one time step."""
        raise NotImplementedError

    def multiply_rows(
        self, gates: PackedGates, source: str, direction: Expr, first: Expr, rows: int,
        parity: Expr, source_parity: Expr,
    ) -> None:
        """Store the products of some sequences with all features.

        What follows is one long chain of operations for every vector. Apart from the
        products, chains of neighbouring vectors overlap.

        Args:
            gates: Weights.
            source: Operand that holds the rows that are multiplied.
            direction: Number of the recurrence.
            first: First sequence.
            rows: Number of sequences.
            parity: Of the step. Steps go through the weights from first to last and from
                last to first in turn: what the step before used last is still in the
                first-level cache, even if all of them do not fit.
            source_parity: Which of two rows is read.
        """
        lanes = self.isa.lanes
        line = direction * self.op.batch + first
        offsets = [vector.bind(self.row_at(line + r, source_parity)) for r in range(rows)]
        with vector.loop(gates.blocks) as index:
            turned = index + parity * (gates.blocks - 1 - 2 * index)
            block = vector.bind(T.int32(0) + turned)
            products = gates.multiply(
                self.operands, direction, block, self.operands[source], offsets)
            for row in range(rows):
                at = vector.bind(T.int32(0) + self.product_at(direction, row, block))
                for gate, acc in enumerate(products.row(row)):
                    vector.store(self.operands["products"], at + gate * lanes, acc, lanes)

    def product_at(self, direction: Expr, row: Expr, block: Expr) -> Expr:
        """Where the first gate of a vector of features of a row of the tile lies."""
        columns = self.from_input.block_columns
        line = direction * self._tile_rows() + row
        return (line * self.from_input.blocks + block) * columns

    def gate_inputs(
        self, from_output: PackedGates, place: tuple[Expr, Expr], direction: Expr, block: Expr
    ) -> Iterator[tuple[Expr, Expr]]:
        """What gates of one vector of features get from x, and from the previous output.

        Args:
            from_output: The gates, of which the products are there.
            place: First gate input of the products with x, and of those with the output.
            direction: Whose gates.
            block: Vector of features.
        """
        lanes, operands = self.isa.lanes, self.operands
        of_input, of_output = place
        for gate in range(self.op.gates):
            acc = vector.load(operands["products"], of_output + gate * lanes, lanes)
            recurrent = from_output.gate_input(operands, acc, direction, block, gate)
            given = vector.load(operands["gate_inputs"], of_input + gate * lanes, lanes)
            yield given, recurrent

    def _tile_rows(self) -> int:
        """Most sequences that are multiplied together."""
        return max(min(gates.max_rows, self.op.batch) for gates in self.recurrent_gates())

    def for_tiles(self, gates: PackedGates, emit: Callable[[Expr, int], None]) -> None:
        """Cover the sequences by tiles; none twice, for the state changes in place."""
        rows = min(gates.max_rows, self.op.batch)
        full, rest = divmod(self.op.batch, rows)
        if full:
            with vector.loop(full) as index:
                emit(index * rows, rows)
        if rest:
            emit(full * rows, rest)

    def for_blocks(self, emit: Callable[[Expr, int], None]) -> None:
        """Cover the features by vectors; of the last one only some lanes exist."""
        full, rest = divmod(self.op.hidden, self.isa.lanes)
        if full:
            with vector.loop(full) as block:
                emit(block, self.isa.lanes)
        if rest:
            emit(full, rest)

    def state_at(self, line: Expr, block: Expr) -> Expr:
        """Where the state of a vector of features lies."""
        return line * self.padded_hidden + block * self.isa.lanes

    def tanh(self, value: Expr) -> Expr:
        """``tanh_fixed`` of int32 lanes."""
        return self.fixed.tanh(value, self.operands["tanh"])

    def quantize_state(self, value: Expr) -> Expr:
        """Round int32 lanes to y."""
        lanes, wide = self.isa.lanes, self.fixed.wide

        def scalar(name: str, slot: int = 0) -> Expr:
            return vector.cast(vector.load(self.operands[name], slot), "int64", 1)

        shift = vector.bind(scalar("output_shift"))
        # Below 2**31: as an extended int32 it is an operand of the fast multiplication.
        significand = vector.cast(
            vector.cast(scalar("output_significand"), "int32", 1), "int64", 1)
        half = T.shift_left(T.int64(1), shift - T.int64(1))
        scaled = wide.extend(value) * wide.same(significand) + wide.same(half)
        moved = (scaled >> wide.same(shift)) + wide.same(scalar("params", PARAM_ZERO_POINT))
        low, high = (scalar("params", slot) for slot in (PARAM_QMIN, PARAM_QMAX))
        limited = wide.limit(moved, low, high)
        return vector.bind(self.isa.narrow(limited, self.op.dtype, lanes))

    def store_output(
        self, value: Expr, direction: Expr, step: Expr, parity: Expr, sequence: Expr,
        block: Expr, valid: int,
    ) -> None:
        """Store one vector of y, and the copy that the next step reads."""
        op, lanes = self.op, self.isa.lanes
        line = direction * op.batch + sequence
        row = self.row_at(line, 1 - parity) + block * lanes
        vector.store(self.operands["rows"], row, value, lanes)
        at = (step * (op.directions * op.batch) + line) * op.hidden + block * lanes
        vector.store(self.operands["y"], at, vector.take_first(value, valid), valid)
