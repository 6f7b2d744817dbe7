"""What LSTM and GRU kernels share: the products, the recurrence, fixed-point activations.

Columns are hidden features in vectors of ``lanes``; all gates of a vector are multiplied
together, so that the activations find them in registers. The products with x of all steps come
first, the recurrence follows, one task for each direction.
"""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa, clamp
from octavo.targets.kernels.packed_gates import PackedGates, Parameter
from octavo.targets.kernels.parallel import PARALLEL_MACS
from octavo.targets.kernels.scratch import Scratch
from octavo.targets.ops.fixed_point import (
    COEFFICIENT_BITS,
    EXPONENT_BITS,
    NODE_BITS,
    NUM_SEGMENTS,
    SEGMENT_BITS,
    STATE_BITS,
    TABLE_ROWS,
    TANH_BITS,
    TANH_RANGE,
    tanh_table,
)
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
        from_input: All gates, multiplied with x.
        operands: Buffers by name, once the body is being emitted.
    """

    def __init__(self, op: Recurrent, isa: Isa) -> None:
        self.op = op
        self.isa = isa
        self.from_input = PackedGates(op, isa, "input", 0, op.gates)
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
        ))

    def build(self) -> Any:
        """Emit the PrimFunc."""
        parameters = self.inputs()
        for gates in (self.from_input, *self.recurrent_gates()):
            parameters += gates.parameters()
        parameters += self._scalars()
        parameters += self.outputs()
        scratch = self.scratch()
        parameters.append(("scratch", scratch.num_bytes, "uint8"))

        def body(*buffers: Any) -> None:
            self.operands = dict(zip([p[0] for p in parameters], buffers, strict=True))
            self.operands |= scratch.views(self.operands["scratch"])
            self._multiply_inputs()
            self._recur()

        return vector.prim_func(parameters, body)

    def _scalars(self) -> list[Parameter]:
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
        return packed + [given[name].astype(dtype) for name, _, dtype in self._scalars()]

    def _multiply_inputs(self) -> None:
        """Compute the part of every gate input that comes from x."""
        op, gates, lanes = self.op, self.from_input, self.isa.lanes
        total = op.steps * op.batch
        rows = min(gates.max_rows, total)
        tiles = -(-total // rows)
        with vector.loop(op.directions * tiles, op.macs >= PARALLEL_MACS) as task:
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
        lanes, table = self.isa.lanes, self.operands["tanh"]

        def same(number: int) -> Expr:
            return vector.splat(T.int32(number), lanes)

        limit = (TANH_RANGE << STATE_BITS) - 1
        limited = vector.bind(clamp(value, same(-limit), same(limit)))
        position = vector.bind(T.max(limited, same(0) - limited))
        index = vector.bind(T.shift_right(position, same(SEGMENT_BITS)))
        first, second, c3 = (
            vector.bind(self.isa.lookup_words(table, row * NUM_SEGMENTS, index))
            for row in range(TABLE_ROWS))
        fraction = vector.bind(T.bitwise_and(position, same((1 << SEGMENT_BITS) - 1)))
        bend = T.shift_right(second, same(COEFFICIENT_BITS)) + T.shift_right(
            c3 * fraction, same(SEGMENT_BITS))
        slope = T.bitwise_and(second, same((1 << COEFFICIENT_BITS) - 1)) + T.shift_right(
            bend * fraction, same(SEGMENT_BITS))
        shift = T.bitwise_and(first, same((1 << EXPONENT_BITS) - 1))
        rise = T.shift_right(slope * fraction, shift)
        total = T.shift_right(first, same(EXPONENT_BITS)) + rise
        magnitude = vector.bind(T.min(
            T.shift_right(total, same(NODE_BITS - TANH_BITS)), same((1 << TANH_BITS) - 1)))
        return vector.bind(tirx.Select(limited < same(0), same(0) - magnitude, magnitude))

    def round_shift(self, value: Expr, shift: int) -> Expr:
        """Divide int64 lanes by 2**shift, rounding half up."""
        lanes = self.isa.lanes
        half = vector.splat(T.int64(1 << (shift - 1)), lanes)
        return T.shift_right(value + half, vector.splat(T.int64(shift), lanes))

    def wide(self, value: Expr) -> Expr:
        """Convert int32 lanes to int64."""
        return vector.cast(value, "int64", self.isa.lanes)

    def quantize_state(self, value: Expr) -> Expr:
        """Round int64 lanes to y."""
        lanes = self.isa.lanes

        def scalar(name: str, slot: int = 0) -> Expr:
            loaded = vector.load(self.operands[name], slot)
            return vector.splat(vector.cast(loaded, "int64", 1), lanes)

        shift, one = scalar("output_shift"), vector.splat(T.int64(1), lanes)
        scaled = value * scalar("output_significand") + T.shift_left(one, shift - one)
        moved = T.shift_right(scaled, shift) + scalar("params", PARAM_ZERO_POINT)
        limited = clamp(moved, scalar("params", PARAM_QMIN), scalar("params", PARAM_QMAX))
        narrow = self.isa.narrow(
            vector.cast(limited, "int32", lanes), self.op.dtype, lanes)
        return vector.bind(narrow)

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
