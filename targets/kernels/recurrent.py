"""What LSTM and GRU kernels share: packed gates, both products, fixed-point activations.

Columns are hidden features in vectors of ``lanes``; all gates of a vector are multiplied
together, so that the activations find them in registers. The products with x of all steps come
first, the recurrence follows, one task for each direction.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa, clamp
from octavo.targets.kernels.register_tile import RegisterTile, register_tile
from octavo.targets.kernels.scratch import Scratch
from octavo.targets.ops.fixed_point import (
    GATE_LIMIT,
    NUM_SEGMENTS,
    SEGMENT_BITS,
    STATE_BITS,
    TANH_RANGE,
    tanh_table,
)
from octavo.targets.ops.recurrent import Arrays, Recurrent, X, Y
from octavo.targets.ops.requantize import (
    NUM_PARAMS,
    PARAM_QMAX,
    PARAM_QMIN,
    PARAM_ZERO_POINT,
)

MAX_DEPTH = 1 << 14  # products and their zero-point corrections stay below 2**31
SLACK_BYTES = 64  # rows are read in whole steps
FREE_REGISTERS = 2  # the repeated activation, and one temporary of ``dot``
Parameter = tuple[str, int, str]
Emit = Callable[[Expr, int], None]


class PackedGates:
    """Weights and fixed-point rows of some gates, as the inner loop reads them.

    Attributes:
        op: The layer.
        isa: Instructions.
        part: "input" or "recurrent": which product.
        first: First gate.
        count: Number of gates.
    """

    def __init__(self, op: Recurrent, isa: Isa, part: str, first: int, count: int) -> None:
        self.op, self.isa, self.part, self.first, self.count = op, isa, part, first, count

    @property
    def depth(self) -> int:
        """Elements of a row of weights."""
        return self.op.inputs if self.part == "input" else self.op.hidden

    @property
    def steps(self) -> int:
        """``dot`` operations of a row."""
        return -(-self.depth // self.isa.dot_k)

    @property
    def blocks(self) -> int:
        """Vectors of hidden features."""
        return -(-self.op.hidden // self.isa.lanes)

    @property
    def block_columns(self) -> int:
        """Columns of one vector of features, all gates."""
        return self.count * self.isa.lanes

    @property
    def columns(self) -> int:
        """Columns of one direction."""
        return self.blocks * self.block_columns

    @property
    def max_rows(self) -> int:
        """Rows of a register tile."""
        return max(1, (self.isa.num_registers - FREE_REGISTERS - self.count) // self.count)

    def name(self, what: str) -> str:
        """Name of an operand."""
        return f"{self.part}{self.first}_{what}"

    def parameters(self) -> list[Parameter]:
        """Constant operands."""
        n = self.op.directions * self.columns
        return [
            (self.name("weight"), n * self.steps * self.isa.dot_k, "int8"),
            (self.name("start"), n, "int32"),
            (self.name("significand"), n, "int32"),
            (self.name("bias"), n, "int64"),
            (self.name("shift"), n, "int32"),
        ]

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack them: weights [direction][block][step][gate][lane][k], else without step, k."""
        weight = arrays["weight" if self.part == "input" else "recurrent"]
        zero_point = int(arrays["zero_points"][X if self.part == "input" else Y])
        rows = self._split(weight)  # (directions, gates, blocks, lanes, depth)
        padded = np.zeros((*rows.shape[:-1], self.steps * self.isa.dot_k), np.int8)
        padded[..., : self.depth] = rows
        split = padded.reshape(*rows.shape[:-1], self.steps, self.isa.dot_k)
        packed = split.transpose(0, 2, 4, 1, 3, 5)
        start = -zero_point * rows.astype(np.int64).sum(axis=-1)
        fixed = [
            self._split(arrays[f"{self.part}_{what}"][..., None])[..., 0].astype(dtype)
            for what, dtype in (("significand", np.int32), ("bias", np.int64),
                                ("shift", np.int32))
        ]
        columns = [
            np.ascontiguousarray(a.transpose(0, 2, 1, 3)).reshape(-1)
            for a in (start.astype(np.int32), *fixed)
        ]
        return [np.ascontiguousarray(packed).reshape(-1), *columns]

    def _split(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Pad (directions, gates * hidden, n) to (directions, gates, blocks, lanes, n)."""
        op, lanes = self.op, self.isa.lanes
        gates = rows.reshape(op.directions, op.gates, op.hidden, -1)
        gates = gates[:, self.first : self.first + self.count]
        shape = (op.directions, self.count, self.blocks * lanes, gates.shape[-1])
        full = np.zeros(shape, rows.dtype)
        full[:, :, : op.hidden] = gates
        return full.reshape(op.directions, self.count, self.blocks, lanes, -1)

    def multiply(
        self, operands: Mapping[str, Any], direction: Expr, block: Expr,
        source: Any, offsets: Sequence[Expr],
    ) -> RegisterTile:
        """Emit the product of some rows with all gates of one vector of features."""
        lanes = self.isa.lanes
        tile = register_tile(self.isa, len(offsets), self.count)
        at = vector.bind(direction * self.columns + block * self.block_columns)
        for gate in range(self.count):
            start = vector.bind(
                vector.load(operands[self.name("start")], at + gate * lanes, lanes))
            for row in range(len(offsets)):
                tile.start(row, gate, start)
        depth = self.steps * self.isa.dot_k
        with vector.loop(self.steps) as step:
            tile.step(
                source, [offset + step * self.isa.dot_k for offset in offsets],
                operands[self.name("weight")],
                at * depth + step * (self.block_columns * self.isa.dot_k))
        return tile

    def gate_input(
        self, operands: Mapping[str, Any], acc: Expr, direction: Expr, block: Expr, gate: int
    ) -> Expr:
        """Scale the accumulators of one gate, counted from the first: ``apply_rows``."""
        lanes = self.isa.lanes
        at = direction * self.columns + block * self.block_columns + gate * lanes

        def wide(what: str) -> Expr:
            value = vector.load(operands[self.name(what)], at, lanes)
            return vector.cast(value, "int64", lanes)

        product = vector.cast(acc, "int64", lanes) * wide("significand") + wide("bias")
        value = T.shift_right(product, wide("shift"))
        limit = vector.splat(T.int64(GATE_LIMIT), lanes)
        low = vector.splat(T.int64(-GATE_LIMIT), lanes)
        return vector.bind(vector.cast(clamp(value, low, limit), "int32", lanes))


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
            ("params", NUM_PARAMS, "int32"), ("tanh", NUM_SEGMENTS, "int32"),
            *self.own_parameters(),
        ]

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack the constants in the order of the parameters."""
        packed: list[NDArray[Any]] = []
        for gates in (self.from_input, *self.recurrent_gates()):
            packed += gates.constants(arrays)
        given = {**arrays, "tanh": tanh_table()}
        return packed + [given[name].astype(dtype) for name, _, dtype in self._scalars()]

    def _multiply_inputs(self) -> None:
        """Compute the part of every gate input that comes from x."""
        op, gates, lanes = self.op, self.from_input, self.isa.lanes
        total = op.steps * op.batch
        rows = min(gates.max_rows, total)
        tiles = -(-total // rows)
        with vector.loop(op.directions * tiles, parallel=True) as task:
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
        with vector.loop(op.directions, parallel=True) as direction:
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
        lanes = self.isa.lanes

        def same(number: int) -> Expr:
            return vector.splat(T.int32(number), lanes)

        limit = TANH_RANGE << STATE_BITS
        position = vector.bind(clamp(value, same(-limit), same(limit - 1)) + same(limit))
        index = T.shift_right(position, same(SEGMENT_BITS))
        entry = vector.bind(self.gather(self.operands["tanh"], vector.bind(index)))
        fraction = T.bitwise_and(position, same((1 << SEGMENT_BITS) - 1))
        rise = T.bitwise_and(entry, same(0xFFFF)) * fraction + same(1 << (SEGMENT_BITS - 1))
        return vector.bind(
            T.shift_right(entry, same(16)) + T.shift_right(rise, same(SEGMENT_BITS)))

    def gather(self, table: Any, index: Expr) -> Expr:
        """Load table entries by int32 lanes."""
        return tirx.BufferLoad(table, [index])

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


def reject_recurrent(op: Recurrent, isa: Isa) -> str:
    """Why no recurrent kernel serves a layer, or an empty string."""
    if op.dtype != isa.activation_dtype:
        return f"{op.dtype} activations; {isa.name} multiplies {isa.activation_dtype}"
    features = max(op.inputs, op.hidden)
    if features > MAX_DEPTH:
        return f"{features} features; sums are proved to fit up to {MAX_DEPTH}"
    return ""
