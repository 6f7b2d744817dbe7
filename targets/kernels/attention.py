"""Attention in one kernel: scores, weights and mixed values of a few rows at a time.

Keys and values are packed once for each head. A tile of rows then multiplies with all keys,
turns its scores into weights, and multiplies those with all values: what lies in between fits
the first-level cache. Terms that are equal for all scores of a row cancel in a softmax, so the
key's zero point and its shift to signed bytes cost nothing.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa
from octavo.targets.kernels.attention_operands import key_product, value_product
from octavo.targets.kernels.attention_output import RatioOutput, output_parameters
from octavo.targets.kernels.attention_tiles import (
    AttentionSchedule,
    AttentionTiles,
    attention_schedules,
    tiles_of,
)
from octavo.targets.kernels.attention_weights import TileWeights
from octavo.targets.kernels.batch_axes import BatchAxes
from octavo.targets.kernels.matmul_packing import PackedColumns
from octavo.targets.kernels.parallel import PARALLEL_MACS
from octavo.targets.kernels.register_tile import register_tile
from octavo.targets.kernels.scratch import Scratch
from octavo.targets.ops.attention import MAX_COLUMNS, MAX_DEPTH, Attention

Arrays = Mapping[str, NDArray[Any]]

NO_COLUMN = -(1 << 30)  # keeps what fills the last vector from being the largest score
SHIFT = 128  # from unsigned to signed bytes
ROW_BYTES = 64  # weights of a row take whole cache lines, and whole joined vectors
ZERO_POINT_Q, ZERO_POINT_V, ZERO_POINT_MASK = 0, 2, 3
STEP_MASK_FACTOR = 3


class AttentionRows:
    """Serves every attention whose queries are of the type that the instructions multiply.

    Attributes:
        schedule: Rows of a tile; None for the model's choice.
    """

    name = "attention_rows"

    def __init__(self, schedule: AttentionSchedule | None = None) -> None:
        self.schedule = schedule

    def reject(self, op: Attention, isa: Isa) -> str:
        """Accept operands whose sums fit."""
        if op.q_dtype != isa.activation_dtype:
            return f"{op.q_dtype} queries; {isa.name} multiplies {isa.activation_dtype}"
        if op.depth > MAX_DEPTH or op.columns > MAX_COLUMNS:
            return f"depth {op.depth} and {op.columns} keys: sums are proved to fit up to" \
                f" {MAX_DEPTH} and {MAX_COLUMNS}"
        return ""

    def schedules(self, op: Attention, isa: Isa) -> list[AttentionSchedule]:
        """Schedules worth measuring, the model's choice first."""
        return attention_schedules(op, isa)

    def with_schedule(self, schedule: AttentionSchedule) -> "AttentionRows":
        """Take these rows."""
        return AttentionRows(schedule)

    def variant(self, op: Attention, isa: Isa) -> str:
        """Name instructions and register tiles."""
        tiles = AttentionEmitter(op, isa, self.schedule).tiles
        scores, values = tiles.scores.width * isa.lanes, tiles.values.width * isa.lanes
        return f"{self.name}.{isa.name}.{tiles.rows}x{scores}x{values}"

    def build(self, op: Attention, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return AttentionEmitter(op, isa, self.schedule).build()

    def constants(self, op: Attention, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Shift the value's zero point with the values."""
        zero_points = arrays["zero_points"].astype(np.int32).copy()
        zero_points[ZERO_POINT_V] -= SHIFT if op.v_dtype == "uint8" else 0
        return [
            zero_points,
            arrays["step"].astype(np.int32),
            *(arrays[name].astype(dtype) for name, _, dtype in output_parameters(op)),
        ]

    def scratch_bytes(self, op: Attention, isa: Isa) -> int:
        """Memory of the packed operands, and of scores and weights of every task's rows."""
        return AttentionEmitter(op, isa, self.schedule).scratch.num_bytes


class AttentionEmitter:
    """Emits one attention, on vector registers unless a subclass multiplies otherwise."""

    def __init__(
        self, op: Attention, isa: Isa, schedule: AttentionSchedule | None = None
    ) -> None:
        self.op = op
        self.isa = isa = exact_isa(isa)
        chosen = schedule or attention_schedules(op, isa)[0]
        self.tiles: AttentionTiles = tiles_of(op, isa, chosen)
        self.tasks = op.batch_size * self.tiles.blocks
        self.keys = PackedColumns(key_product(op), isa)
        self.values = PackedColumns(value_product(op), isa)
        self.key_axes = BatchAxes(op.batch, op.k_strides[:-2])
        self.value_axes = BatchAxes(op.batch, op.v_strides[:-2])
        self.padded = self.keys.vectors * isa.lanes
        unit = max(ROW_BYTES, JOINED_VECTORS * isa.lanes)
        self.row_bytes = -(-self.padded // unit) * unit
        self.is_parallel = op.macs >= PARALLEL_MACS

    @cached_property
    def scratch(self) -> Scratch:
        """Packed operands, and what each task keeps of its rows."""
        rows, heads = self.tiles.rows, self.key_axes.num_distinct
        values = self.value_axes.num_distinct
        parts = [
            ("packed_k", heads * self.keys.batch_elements, "int8"),
            ("key_terms", heads * self.padded, "int32"),
            ("packed_v", values * self.values.batch_elements, "int8"),
            ("starts", self.tasks * self.padded, "int32"),
            ("scores", self.tasks * rows * self.padded, "int32"),
            ("weights", self.tasks * rows * self.row_bytes, self.isa.activation_dtype),
        ]
        if self.moves_weights:
            parts.append(("value_terms", values * self.padded_values, "int32"))
        return Scratch(tuple(parts))

    @property
    def moves_weights(self) -> bool:
        """Whether weights are stored 128 lower, as signed bytes."""
        return self.isa.activation_dtype == "int8"

    @property
    def padded_values(self) -> int:
        """Features of a value in whole vectors."""
        return self.values.vectors * self.isa.lanes

    def build(self) -> Any:
        """Emit the PrimFunc."""
        op = self.op
        parameters = [("q", op.q_elements, op.q_dtype), ("k", op.k_elements, op.k_dtype)]
        if op.mask_strides is not None:
            parameters.append(("mask", op.mask_elements, op.mask_dtype))
        parameters += [
            ("v", op.v_elements, op.v_dtype),
            ("zero_points", 4, "int32"),
            ("step", 4, "int32"),
            *self.own_parameters(),
            *output_parameters(op),
            ("y", op.y_elements, op.dtype),
            ("scratch", self.scratch.num_bytes, "uint8"),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True))))

    def own_parameters(self) -> list[tuple[str, int, str]]:
        """Constant operands behind the step."""
        return []

    def _body(self, operands: dict[str, Any]) -> None:
        operands |= self.scratch.views(operands["scratch"])
        keys = self.key_axes.num_distinct * self.keys.vectors
        values = self.value_axes.num_distinct * self.values.vectors
        with vector.loop(keys + values, self.is_parallel) as task, T.If(task < keys):
            with T.Then():
                self._pack_keys(operands, task)
            with T.Else():
                self._pack_values(operands, task - keys)
        self._run_tasks(operands)

    def _run_tasks(self, operands: dict[str, Any]) -> None:
        with vector.loop(self.tasks, self.is_parallel) as task:
            self._task(operands, T.int32(0) + task)

    # -- packing -----------------------------------------------------------------------------

    def _pack_keys(self, operands: dict[str, Any], task: Expr) -> None:
        """Pack a vector of columns; sum each, for the query's zero point."""
        op, isa, packing = self.op, self.isa, self.keys
        item, index = task // packing.vectors, task % packing.vectors
        k_at = vector.bind(self.key_axes.distinct_offset(item) + op.k_offset)
        at, stride = self._packed_at(packing, self.tiles.scores.groups, item, index)
        packing.emit(operands["k"], k_at, index * isa.lanes, operands["packed_k"], at, stride)
        sums = self._sum_columns(packing, operands["packed_k"], at, stride)
        zero_point = vector.load(operands["zero_points"], ZERO_POINT_Q)
        factor = vector.splat(T.int32(0) - zero_point, isa.lanes)
        at = item * self.padded + index * isa.lanes
        vector.store(operands["key_terms"], at, sums * factor, isa.lanes)

    def _sum_columns(
        self, packing: PackedColumns, packed: Any, at: Expr, stride: Expr
    ) -> Expr:
        """Sums of a vector of packed columns over their depth."""
        isa = self.isa
        ones = vector.local(isa.dot_k, isa.activation_dtype)
        for k in range(isa.dot_k):
            vector.store(ones, k, vector.cast(T.int32(1), isa.activation_dtype, 1))
        sums = register_tile(isa, 1, 1)
        sums.start(0, 0, vector.splat(T.int32(0), isa.lanes))
        with vector.loop(packing.steps) as step:
            sums.step(ones, [0], packed, at + step * stride)
        return sums.row(0)[0]

    def _pack_values(self, operands: dict[str, Any], task: Expr) -> None:
        """Pack a vector of features; sum each, for what the weights are moved by."""
        packing = self.values
        item, index = task // packing.vectors, task % packing.vectors
        v_at = vector.bind(self.value_axes.distinct_offset(item) + self.op.v_offset)
        at, stride = self._packed_at(packing, self.tiles.values.groups, item, index)
        first = index * self.isa.lanes
        packing.emit(operands["v"], v_at, first, operands["packed_v"], at, stride)
        if self.moves_weights:
            sums = self._sum_columns(packing, operands["packed_v"], at, stride)
            terms = sums * vector.splat(T.int32(SHIFT), self.isa.lanes)
            at = item * self.padded_values + first
            vector.store(operands["value_terms"], at, terms, self.isa.lanes)

    def _packed_at(
        self, packing: PackedColumns, groups: tuple[tuple[int, int, int], ...],
        item: Expr, index: Expr,
    ) -> tuple[Expr, Expr]:
        """First packed element of a vector of columns, and elements from step to step."""
        first, _, width = groups[-1]
        panel = (index - first) // width * width + first
        span: Expr = T.int32(width)
        if len(groups) > 1:
            wide = groups[0][2]
            is_wide = index < first
            panel = tirx.Select(is_wide, index // wide * wide, panel)
            span = tirx.Select(is_wide, T.int32(wide), span)
        element = packing.step_elements
        at = item * packing.batch_elements + (
            panel * packing.steps + (index - panel)) * element
        return vector.bind(at), vector.bind(span * element)

    # -- rows --------------------------------------------------------------------------------

    def _task(self, operands: dict[str, Any], task: Expr) -> None:
        op, tiles = self.op, self.tiles
        item, block = task // tiles.blocks, task % tiles.blocks
        self._start(operands, task, item)
        with vector.loop(tiles.block_tiles) as index:
            # The last tiles move back over their neighbours, so that all tiles are whole.
            tile = T.int32(0) + block * tiles.block_tiles + index
            row = vector.bind(T.min(tile * tiles.rows, T.int32(op.rows - tiles.rows)))
            self._scores(operands, task, item, row)
            totals = self._weights(operands, task, item, row)
            self._mix(operands, task, item, row, totals)

    def _start(self, operands: dict[str, Any], task: Expr, item: Expr) -> None:
        """Terms that all rows of a task add to their scores."""
        op, lanes = self.op, self.isa.lanes
        terms_at = vector.bind(self.key_axes.distinct(item) * self.padded)
        is_shared = op.mask_strides is not None and op.mask_strides[-2] == 0
        with vector.loop(self.keys.vectors) as index:
            at = index * lanes
            terms = vector.load(operands["key_terms"], terms_at + at, lanes)
            if is_shared:
                terms = terms + self._mask(operands, item, T.int32(0), at)
            if op.columns % lanes:
                exists = tirx.Ramp(T.int32(0) + at, 1, lanes) < vector.splat(
                    T.int32(op.columns), lanes)
                terms = tirx.Select(exists, terms, vector.splat(T.int32(NO_COLUMN), lanes))
            vector.store(operands["starts"], task * self.padded + at, terms, lanes)

    def _mask(self, operands: dict[str, Any], item: Expr, row: Expr, at: Expr) -> Expr:
        """A vector of the mask, in units of a score."""
        op, lanes = self.op, self.isa.lanes
        assert op.mask_strides is not None
        axes = BatchAxes(op.batch, op.mask_strides[:-2])
        offset = axes.offset(item) + op.mask_offset + row * op.mask_strides[-2] + at
        value = vector.cast(vector.load(operands["mask"], offset, lanes), "int32", lanes)
        zero_point, factor = (
            vector.splat(vector.load(operands[name], slot), lanes)
            for name, slot in (("zero_points", ZERO_POINT_MASK), ("step", STEP_MASK_FACTOR)))
        return (value - zero_point) * factor

    def _scores(self, operands: dict[str, Any], task: Expr, item: Expr, row: Expr) -> None:
        op, isa, rows = self.op, self.isa, self.tiles.rows
        axes = BatchAxes(op.batch, op.q_strides[:-1])
        q_at = vector.bind(axes.offset(item) + op.q_offset + row * op.q_strides[-1])
        packed = vector.bind(self.key_axes.distinct(item) * self.keys.batch_elements)
        for first, count, width in self.tiles.scores.groups:
            with vector.loop(count) as panel:
                vectors = T.int32(first) + panel * width
                tile = register_tile(isa, rows, width)
                for v in range(width):
                    at = task * self.padded + (vectors + v) * isa.lanes
                    start = vector.bind(vector.load(operands["starts"], at, isa.lanes))
                    for r in range(rows):
                        tile.start(r, v, start)
                offsets = [q_at + r * op.q_strides[-1] for r in range(rows)]
                self._multiply(
                    tile, self.keys, operands["q"], offsets, operands["packed_k"],
                    packed, vectors)
                for r in range(rows):
                    at = (task * rows + r) * self.padded + vectors * isa.lanes
                    for v, acc in enumerate(tile.row(r)):
                        vector.store(operands["scores"], at + v * isa.lanes, acc, isa.lanes)

    def _multiply(
        self, tile: Any, packing: PackedColumns, source: Any, offsets: list[Expr],
        packed: Any, packed_at: Expr, first: Expr,
    ) -> None:
        """Add all steps of one panel, whose first vector is ``first``."""
        panel_at = vector.bind(packed_at + first * packing.steps * packing.step_elements)
        tile.run(source, offsets, packed, panel_at, packing.steps)

    def _weights(self, operands: dict[str, Any], task: Expr, item: Expr, row: Expr) -> Any:
        """Turn the scores of a tile into weights; returns the sum of each row's."""
        op, lanes, rows = self.op, self.isa.lanes, self.tiles.rows
        has_rows = op.mask_strides is not None and op.mask_strides[-2] != 0

        def scores(r: Expr, at: Expr) -> Expr:
            line = task * rows + r
            value = vector.load(operands["scores"], line * self.padded + at, lanes)
            if has_rows:
                value = value + self._mask(operands, item, row + r, at)
            return value

        emitter = TileWeights(self.isa, rows, op.columns, operands["step"])
        return emitter.emit(
            scores, operands["weights"], lambda r: (task * rows + r) * self.row_bytes)

    def _mix(
        self, operands: dict[str, Any], task: Expr, item: Expr, row: Expr, totals: Any
    ) -> None:
        op, isa, rows = self.op, self.isa, self.tiles.rows
        output = RatioOutput(op, isa, operands)
        zero_point = vector.load(operands["zero_points"], ZERO_POINT_V)
        lines = [(task * rows + r) * self.row_bytes for r in range(rows)]
        ratios = [output.ratio(vector.load(totals, r)) for r in range(rows)]
        axes = BatchAxes(op.batch, op.y_strides[:-1])
        y_at = vector.bind(axes.offset(item) + row * op.y_strides[-1])
        packed = vector.bind(self.value_axes.distinct(item) * self.values.batch_elements)
        for first, count, width in self.tiles.values.groups:
            with vector.loop(count) as panel:
                vectors = T.int32(first) + panel * width
                tile = register_tile(isa, rows, width)
                terms = self._value_terms(operands, item, vectors, width)
                for r in range(rows):
                    correction = T.int32(0) - vector.load(totals, r) * zero_point
                    start = vector.bind(vector.splat(correction, isa.lanes))
                    for v in range(width):
                        tile.start(r, v, vector.bind(start + terms[v]) if terms else start)
                self._multiply(
                    tile, self.values, operands["weights"], lines, operands["packed_v"],
                    packed, vectors)
                at, full = vectors * isa.lanes, width * isa.lanes
                for r in range(rows):
                    self._store(output, tile.row(r), ratios[r], y_at + r * op.y_strides[-1],
                                at, full, is_last=first + count * width == self.values.vectors)

    def _value_terms(
        self, operands: dict[str, Any], item: Expr, first: Expr, width: int
    ) -> list[Expr]:
        """What moved weights leave out of each vector of a panel; empty if they are not."""
        if not self.moves_weights:
            return []
        lanes = self.isa.lanes
        at = self.value_axes.distinct(item) * self.padded_values + first * lanes
        return [
            vector.bind(vector.load(operands["value_terms"], at + v * lanes, lanes))
            for v in range(width)]

    def _store(
        self, output: RatioOutput, accs: list[Expr], ratio: Expr, y_at: Expr, at: Expr,
        full: int, *, is_last: bool,
    ) -> None:
        """Store one row of a panel; only the last vector of the last panel may be partial."""
        rest = self.values.vectors * self.isa.lanes - self.op.width
        if not is_last or not rest:
            output.emit(accs, ratio, y_at + at, full)
            return
        with T.If(at + full > self.op.width):
            with T.Then():
                output.emit(accs, ratio, y_at + at, full - rest)
            with T.Else():
                output.emit(accs, ratio, y_at + at, full)


def exact_isa(isa: Isa) -> Isa:
    """Instructions that are exact for keys and values of any byte."""
    return isa.for_weights(np.iinfo(np.int8).min)
