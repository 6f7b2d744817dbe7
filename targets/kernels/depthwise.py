"""Depthwise convolution: a vector holds channels, one dot product adds taps of one column.

The taps of a kernel column are interleaved per channel once and serve every output pixel of
the tile that the column belongs to. Nothing is copied for padding: what a tap outside of the
input reads is replaced by the zero point, which is folded into the bias like for all others.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from itertools import product
from typing import Any

from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa
from octavo.targets.kernels.depthwise_layout import MAX_DOTS, DepthwiseLayout, DepthwiseTile
from octavo.targets.kernels.epilogue import Epilogue, constant_parameters
from octavo.targets.kernels.float_epilogue import LIMITS, FloatEpilogue
from octavo.targets.kernels.spans import interleave
from octavo.targets.ops.conv import Conv, Placement
from octavo.targets.padding import CHANNELS, KERNEL_ROWS, PIXELS, Padding
from octavo.targets.word_isa import WORD

Arrays = Mapping[str, NDArray[Any]]
Totals = dict[int, Expr]  # sums of a tile: first element of the vector, and the vector
Words = tuple[Expr, Expr]  # kept bits of an activation word, and what replaces the others
WORD_BITS = 32  # of a lane of ``Isa.dot``
PARALLEL_MACS = 128 * 1024  # about a microsecond: fewer are not worth waking other threads


class Depthwise:
    """Serves convolutions with one input and one output channel per group.

    Attributes:
        schedule: The tile; None for the model's choice.
    """

    name = "depthwise"

    def __init__(self, schedule: DepthwiseTile | None = None) -> None:
        self.schedule = schedule

    def reject(self, op: Conv, isa: Isa) -> str:
        """Say why not."""
        if not op.groups == op.in_c == op.out_c:
            return "not depthwise"
        if op.dtype not in ("float32", isa.activation_dtype):
            return f"{op.dtype} activations; {isa.name} multiplies {isa.activation_dtype}"
        layout = DepthwiseLayout(op, isa)
        if layout.num_dots > MAX_DOTS:
            return f"code of {layout.num_dots} multiplications; at most {MAX_DOTS}"
        return ""

    def schedules(self, op: Conv, isa: Isa) -> list[DepthwiseTile]:
        """Tiles worth measuring, the model's choice first."""
        return DepthwiseLayout(op, isa).schedules

    def with_schedule(self, schedule: DepthwiseTile) -> "Depthwise":
        """Take this tile."""
        return Depthwise(schedule)

    def variant(self, op: Conv, isa: Isa) -> str:
        """Name instructions and register tile."""
        layout = DepthwiseLayout(op, isa, self.schedule)
        return f"{self.name}.{layout.isa.name}.{layout.tile}x{layout.panel_channels}"

    def padding(self, op: Conv, isa: Isa) -> tuple[Padding, ...]:
        """Channels are rounded up to panels, rows of taps to ``dot`` steps."""
        layout = DepthwiseLayout(op, isa, self.schedule)
        op, rows = layout.op, layout.groups * layout.isa.dot_k
        columns = len(layout.tile_starts) * layout.tile
        return (
            Padding(CHANNELS, op.out_c, layout.stored_channels),
            Padding(KERNEL_ROWS, op.kernel_h, rows),
            Padding(PIXELS, op.out_w, columns))

    def build(self, op: Conv, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return DepthwiseEmitter(DepthwiseLayout(op, isa, self.schedule)).build()

    def constants(self, op: Conv, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Interleave the taps of weights, fold the input zero point into the bias."""
        return DepthwiseLayout(op, isa, self.schedule).constants(arrays)

    def scratch_bytes(self, op: Conv, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


class DepthwiseEmitter:
    """Emits one depthwise convolution."""

    def __init__(self, layout: DepthwiseLayout) -> None:
        self.layout = layout
        self.op = layout.op
        self.isa = layout.isa

    def build(self) -> Any:
        """Emit the PrimFunc."""
        op = self.op
        out_elements = op.out_elements
        inputs = [("x", op.in_elements, op.dtype)]
        if self.layout.is_float and op.residual:
            inputs.append(("residual", out_elements, "float32"))
        elif op.requantize.residual and not self.layout.is_float:
            inputs.append(("residual", out_elements, op.requantize.residual))
        weight_dtype = op.dtype if op.dtype in ("float32", WORD) else "int8"
        constants = [
            ("weight", self.layout.weight_elements, weight_dtype),
            ("bias", self.layout.stored_channels, self.isa.acc_dtype),
        ]
        if self.layout.is_float:
            constants.append(LIMITS)
        else:
            constants += constant_parameters(op.requantize, self.layout.stored_channels)
            if op.is_padded:
                constants.append(("zero_word", 1, "int32"))
        out_dtype = "float32" if self.layout.is_float else op.requantize.dtype
        parameters = [*inputs, *constants, ("y", out_elements, out_dtype)]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True))))

    def _body(self, operands: dict[str, Any]) -> None:
        op = self.op
        self.x, self.weight, self.bias = (operands[n] for n in ("x", "weight", "bias"))
        self.zero_word = operands.get("zero_word")
        self.finish = self._finish(operands)
        is_parallel = op.macs >= PARALLEL_MACS
        rows = self.layout.rows
        with vector.loop(op.batch * op.out_h, parallel=is_parallel) as task:
            self.image = task // op.out_h if op.batch > 1 else 0
            self.row = vector.bind(T.int32(0) + task % op.out_h)
            if self.layout.is_float or rows.is_inside:
                self._row(is_inner=True)
            elif self.layout.has_inner_rows:
                behind = T.int32(op.out_h - rows.num_behind)
                with T.If(T.And(self.row >= T.int32(rows.num_before), self.row < behind)):
                    with T.Then():
                        self._row(is_inner=True)
                    with T.Else():
                        self._row(is_inner=False)
            else:
                self._row(is_inner=False)

    def _finish(self, operands: dict[str, Any]) -> Epilogue | FloatEpilogue:
        """What turns sums into results."""
        if self.layout.is_float:
            return FloatEpilogue(self.op.residual, operands)
        return Epilogue(self.op.requantize, self.isa, operands, self.layout.in_blocks)

    def _row(self, is_inner: bool) -> None:
        """Compute one output row.

        Panels are the inner loop: they read neighbouring memory, and weights stay operands of
        the multiplications instead of more vectors than there are registers.

        Args:
            is_inner: No tap of the row needs to be replaced by the zero point.
        """
        self.is_inner = is_inner
        self.outside = self._outside_words()
        inner = [start for start in self.layout.tile_starts if self.layout.is_inner(start)]
        for start in self.layout.tile_starts:
            if not self.layout.is_inner(start):
                self._panels(start, start)
            elif start == inner[0]:
                with vector.loop(len(inner)) as index:
                    at = index * self.layout.tile + inner[0]
                    self._panels(T.min(T.int32(0) + at, T.int32(inner[-1])), None)

    def _panels(self, start: Expr, border: int | None) -> None:
        """Compute ``tile`` output columns.

        Args:
            start: First output column.
            border: The same number if columns are outside of the input, else None.
        """
        start = vector.bind(T.int32(0) + start)
        with vector.loop(self.layout.panels) as panel:
            self.panel = panel
            self.channel = vector.bind(T.int32(0) + self.layout.panel_start(panel))
            self._tile(start, border)

    def _tile(self, start: Expr, border: int | None) -> None:
        """Compute ``tile`` output columns of one panel; see ``_panels``."""
        isa, layout, width = self.isa, self.layout, self.layout.panel_channels
        totals: Totals = {}
        for v in range(0, width, isa.lanes):
            bias = vector.bind(vector.load(self.bias, self.panel * width + v, isa.lanes))
            totals |= {t * width + v: bias for t in range(layout.tile)}
        store = self._adjacent_store(start) or partial(self._store, start=start)
        add = partial(self._taps, start=start, border=border)
        if layout.is_unrolled and not (layout.is_float and not layout.rows.is_inside):
            for group in range(layout.groups):
                is_last = group == layout.groups - 1
                totals = add(totals, group, store=store if is_last else None)
            return
        if layout.is_float and not layout.rows.is_inside:
            loop = T.serial(layout.rows.first(self.row), layout.rows.end(self.row))
        else:
            loop = vector.loop(layout.groups)
        totals = self._looped(totals, loop, add)
        for t in range(layout.tile):
            store(totals, t)

    def _adjacent_store(self, start: Expr) -> Callable[[Totals, int], None] | None:
        """Store several pixels at once, where there are no gaps between them."""
        finish, vectors = self.finish, self.layout.panel_channels // self.isa.lanes
        is_dense = self.op.placement == Placement() and (
            self.op.out_c == self.layout.panel_channels)
        if not isinstance(finish, Epilogue) or not is_dense or self.layout.in_blocks:
            return None  # blocks of channels are sorted when a whole panel is joined
        pixels = max(1, JOINED_VECTORS // vectors)
        waiting: list[list[Expr]] = []

        def store(totals: Totals, t: int) -> None:
            waiting.append(self._sums(totals, t))
            if len(waiting) == pixels or t == self.layout.tile - 1:
                first = t + 1 - len(waiting)
                finish.emit_adjacent(waiting, 0, self._out(first, start))
                waiting.clear()

        return store

    def _store(self, totals: Totals, t: int, start: Expr) -> None:
        """Finish and store one pixel of a tile."""
        op, width = self.op, self.layout.panel_channels
        self.finish.emit_vectors(
            self._sums(totals, t), self.panel * width, self._out(t, start),
            min(op.out_c, width))

    def _sums(self, totals: Totals, t: int) -> list[Expr]:
        """Vectors of channels of one pixel of a tile."""
        width = self.layout.panel_channels
        return [
            self.isa.settle(totals[t * width + v]) for v in range(0, width, self.isa.lanes)]

    def _out(self, t: int, start: Expr) -> Expr:
        """Where one pixel of a tile goes."""
        op = self.op
        line = self.image * op.full_h + self.row * op.placement.step_h + op.placement.offset_h
        column = (start + t) * op.placement.step_w + op.placement.offset_w
        return vector.bind((line * op.full_w + column) * op.out_pixel + self.channel)

    def _looped(
        self, totals: Totals, loop: AbstractContextManager[Expr],
        add: Callable[[Totals, Expr], Totals],
    ) -> Totals:
        """Call ``add`` in a loop that carries the sums in a local."""
        lanes = self.isa.lanes
        acc = vector.local(self.layout.tile * self.layout.panel_channels, self.isa.acc_dtype)
        for slot, total in totals.items():
            vector.store(acc, slot, total, lanes)
        with loop as group:
            carried = {slot: vector.load(acc, slot, lanes) for slot in totals}
            for slot, total in add(carried, group).items():
                vector.store(acc, slot, self.isa.settle(total), lanes)
        return {slot: vector.load(acc, slot, lanes) for slot in totals}

    def _taps(
        self, totals: Totals, group: Expr, start: Expr, border: int | None,
        store: Callable[[Totals, int], None] | None = None,
    ) -> Totals:
        """Add the taps of ``dot_k`` kernel rows to every pixel of a tile.

        Args:
            totals: Sums so far.
            group: Group of kernel rows.
            start: First output column.
            border: See ``_panels``.
            store: Called as soon as a pixel has all its taps, so that few sums live at a time.
        """
        op, isa, width = self.op, self.isa, self.layout.panel_channels
        lines = [
            vector.bind(self._line(tap, start))
            for tap in self.layout.group_taps(group)]
        outside = self.outside[group] if isinstance(group, int) else self._outside_word(group)
        at = vector.bind(self.layout.weight_offset(self.panel, group))
        totals = dict(totals)
        users: dict[int, list[tuple[int, int]]] = {}
        for t, tap in product(range(self.layout.tile), range(op.kernel_w)):
            users.setdefault(t * op.stride_w + tap * op.dilation_w, []).append((t, tap))
        for column, pairs in sorted(users.items()):
            is_inside = border is None or (
                0 <= self.layout.columns.start(border) + column < op.in_w)
            if is_inside or not self.layout.is_float:  # inf * 0 is not 0
                taps = self._read(lines, column, outside) if is_inside else self._zeros()
                for v, (t, tap) in product(range(len(taps)), pairs):
                    slot = t * width + v * isa.lanes
                    weights = isa.load_weights(
                        self.weight, at + (tap * width + v * isa.lanes) * isa.dot_k)
                    totals[slot] = isa.add_taps(totals[slot], taps[v], weights)
            for t, tap in pairs:
                if store is not None and tap == op.kernel_w - 1:
                    store(totals, t)
        return totals

    def _line(self, tap: Expr, start: Expr) -> Expr:
        """Input element of the panel's first channel that a kernel row sees, kept inside."""
        op = self.op
        line = T.int32(0) + self.layout.rows.start(self.row) + tap * op.dilation_h
        if not self.is_inner or not isinstance(tap, int):
            line = T.min(T.max(line, T.int32(0)), T.int32(op.in_h - 1))
        pixel = (self.image * op.in_h + line) * op.in_w + self.layout.columns.start(start)
        return pixel * op.in_pixel + self.channel

    def _read(self, lines: list[Expr], column: int, outside: Words | None) -> list[Expr]:
        """Read one input column of a group of kernel rows: the vectors of a panel."""
        isa, width = self.isa, self.layout.panel_channels
        lanes, at = isa.lanes, column * self.op.in_pixel
        if self.layout.in_blocks:
            whole = JOINED_VECTORS * lanes
            values = [vector.bind(vector.load(self.x, line + at, whole)) for line in lines]
            values += [values[-1]] * (isa.dot_k - len(values))
            found = isa.spread_blocks(values)[: self.layout.panel]
        else:
            found = [
                stack_taps(isa, [vector.load(self.x, line + at + v, lanes) for line in lines])
                for v in range(0, width, lanes)]
        if outside is not None:
            kept, zeros = map(isa.repeat_word, outside)
            found = [T.bitwise_or(T.bitwise_and(taps, kept), zeros) for taps in found]
        return [vector.bind(taps) for taps in found]

    def _zeros(self) -> list[Expr]:
        """What ``_read`` gives where every tap is outside."""
        zeros = self.isa.repeat_word(vector.load(self.zero_word, 0))
        return [zeros] * self.layout.panel

    def _outside_words(self) -> list[Words | None]:
        """What ``_outside_word`` returns by group, where groups are unrolled."""
        groups = self.layout.groups if self.layout.is_unrolled else 0
        return [self._outside_word(group) for group in range(groups)]

    def _outside_word(self, group: Expr) -> Words | None:
        """Find the rows of a group that are outside of the input.

        Returns:
            Ones in the bits of the taps that are inside, and the zero point in the others;
            None where all are inside.
        """
        if self.is_inner:
            return None
        bits = WORD_BITS // self.isa.dot_k
        kept: Expr = T.int32(0)
        for k, tap in enumerate(self.layout.group_taps(group)):
            line = vector.bind(
                T.int32(0) + self.layout.rows.start(self.row) + tap * self.op.dilation_h)
            is_inside = T.And(line >= T.int32(0), line < T.int32(self.op.in_h))
            ones = ((1 << bits) - 1) << k * bits
            ones -= (ones >> WORD_BITS - 1) << WORD_BITS  # as a signed word
            kept = T.bitwise_or(kept, T.Select(is_inside, T.int32(ones), T.int32(0)))
        kept = vector.bind(kept)
        zero = vector.load(self.zero_word, 0)
        return kept, vector.bind(T.bitwise_and(zero, T.bitwise_not(kept)))


def stack_taps(isa: Isa, values: list[Expr]) -> Expr:
    """Give lane i of ``Isa.dot`` the i-th element of every vector, the last one repeated.

    Args:
        isa: Instructions; ``dot_k`` consecutive activations make a 32-bit lane.
        values: 1 to ``dot_k`` vectors of ``lanes`` activations.
    """
    if isa.acc_dtype == "float32":
        return values[0]
    if isa.dot_k == 1:
        return isa.widen_tap(values[0])
    full = values + [values[-1]] * (isa.dot_k - len(values))
    return T.reinterpret(f"int32x{isa.lanes}", interleave(full, isa.lanes))
