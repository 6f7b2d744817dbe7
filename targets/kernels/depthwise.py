"""Depthwise convolution: a vector holds channels, one dot product adds taps of one column.

The taps of a kernel column are interleaved per channel once and serve every output pixel of
the tile that the column belongs to. Nothing is copied for padding: rows outside read another
row against zero weights, columns outside are left out, and the bias has a variant for each
kind of border.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import JOINED_VECTORS, Expr, Isa, float_isa
from octavo.targets.kernels.epilogue import Epilogue, constant_arrays, constant_parameters
from octavo.targets.kernels.float_epilogue import LIMITS, FloatEpilogue
from octavo.targets.kernels.spans import interleave
from octavo.targets.kernels.window import Window
from octavo.targets.ops.conv import Conv

Arrays = Mapping[str, NDArray[Any]]
Totals = dict[int, Expr]  # sums of a tile: first element of the vector, and the vector
MAX_COLUMNS = 8  # more output columns per tile win little: a tap column is already shared
FREE_REGISTERS = 4  # for addresses of constants, limits and temporaries of ``dot``
MAX_UNROLLED_GROUPS = 3
MAX_BORDER_TILES = 8  # each is code of its own
MAX_CONSTANT_BYTES = 4 << 20  # kernels of 31x31 have hundreds of borders


class Depthwise:
    """Serves convolutions with one input and one output channel per group."""

    name = "depthwise"

    def reject(self, op: Conv, isa: Isa) -> str:
        """Say why not."""
        if not op.groups == op.in_c == op.out_c:
            return "not depthwise"
        if op.dtype not in ("float32", isa.activation_dtype):
            return f"{op.dtype} activations; {isa.name} multiplies {isa.activation_dtype}"
        emitter = _Emitter(op, isa)
        if emitter.weight_elements > MAX_CONSTANT_BYTES:
            return f"{emitter.rows.num_classes} kinds of border rows need too many weights"
        if emitter.num_border_tiles > MAX_BORDER_TILES:
            return f"{emitter.num_border_tiles} kinds of border columns"
        return ""

    def variant(self, op: Conv, isa: Isa) -> str:
        """Name instructions and register tile."""
        emitter = _Emitter(op, isa)
        channels = emitter.panel * emitter.isa.lanes
        return f"{self.name}.{emitter.isa.name}.{emitter.tile}x{channels}"

    def build(self, op: Conv, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa).build()

    def constants(self, op: Conv, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights and biases, one variant per kind of border."""
        return _Emitter(op, isa).constants(arrays)

    def scratch_bytes(self, op: Conv, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _upright(op: Conv) -> Conv:
    """Turn a convolution along one row into the same one along one column."""
    if not (op.in_h == op.kernel_h == op.full_h == 1):
        return op
    place = op.placement
    return replace(
        op, in_h=op.in_w, in_w=1, kernel_h=op.kernel_w, kernel_w=1, stride_h=op.stride_w,
        stride_w=op.stride_h, dilation_h=op.dilation_w, dilation_w=op.dilation_h,
        pad_top=op.pad_left, pad_left=op.pad_top, pad_bottom=op.pad_right,
        pad_right=op.pad_bottom,
        placement=replace(
            place, height=place.width, width=place.height, step_h=place.step_w,
            step_w=place.step_h, offset_h=place.offset_w, offset_w=place.offset_h))


class _Emitter:
    """Emits one depthwise convolution."""

    def __init__(self, op: Conv, isa: Isa) -> None:
        self.op = op = _upright(op)
        self.is_float = op.dtype == "float32"
        self.isa = float_isa(isa) if self.is_float else isa
        self.rows = Window(
            op.in_h, op.out_h, op.kernel_h, op.stride_h, op.dilation_h, op.pad_top)
        self.columns = Window(
            op.in_w, op.out_w, op.kernel_w, op.stride_w, op.dilation_w, op.pad_left)
        self.groups = -(-op.kernel_h // self.isa.dot_k)
        # Float rows outside are skipped: zero weights do not cancel an infinity.
        self.row_classes = 1 if self.is_float else self.rows.num_classes
        self.column_classes = 1 if self.is_float else self.columns.num_classes

    @cached_property
    def panel(self) -> int:
        """Vectors of channels that are computed together."""
        vectors = -(-self.op.out_c // self.isa.lanes)
        return min(
            range(1, min(JOINED_VECTORS, vectors) + 1),
            key=lambda p: (-(-vectors // p) * (p + 0.5), -p))

    @property
    def panels(self) -> int:
        return -(-self.op.out_c // self.panel_channels)

    @property
    def panel_channels(self) -> int:
        return self.panel * self.isa.lanes

    @cached_property
    def tile(self) -> int:
        """Output columns of a tile."""
        room = (self.isa.num_registers - FREE_REGISTERS - self.panel) // self.panel
        most = max(1, min(MAX_COLUMNS, room, self.op.out_w))
        return -(-self.op.out_w // -(-self.op.out_w // most))

    @cached_property
    def tile_starts(self) -> list[int]:
        """First output column of every tile; the last moves back to be whole."""
        out = self.op.out_w
        return [min(at, out - self.tile) for at in range(0, out, self.tile)]

    def _is_inner(self, start: int) -> bool:
        behind = self.op.out_w - self.columns.num_behind
        return start >= self.columns.num_before and start + self.tile <= behind

    @property
    def num_border_tiles(self) -> int:
        """Tiles with columns outside of the input."""
        return sum(not self._is_inner(start) for start in self.tile_starts)

    @property
    def block_elements(self) -> int:
        """Weights of one panel in one row class."""
        return self.groups * self.op.kernel_w * self.panel_channels * self.isa.dot_k

    @property
    def weight_elements(self) -> int:
        """Packed weights."""
        return self.row_classes * self.panels * self.block_elements

    def _panel_start(self, panel: Expr) -> Expr:
        """First channel of a panel; the last moves back over its neighbour."""
        if self.panels == 1:
            return 0
        last = self.op.out_c - self.panel_channels
        if isinstance(panel, int):
            return min(panel * self.panel_channels, last)
        return T.min(panel * self.panel_channels, T.int32(last))

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        op = self.op
        weight = arrays["weight"].reshape(op.out_c, op.kernel_h, op.kernel_w)
        bias = arrays["bias"].reshape(-1)
        packed = [self._pack_weight(weight)]
        if self.is_float:
            return [*packed, self._by_panel(bias).reshape(-1), arrays["limits"]]
        zero_point = int(arrays["zero_point"].reshape(-1)[0])
        classes = (self.row_classes, self.column_classes)
        biases = np.zeros((*classes, self.panels, self.panel_channels), np.int32)
        for row, column in product(range(self.row_classes), range(self.column_classes)):
            top, bottom = self.rows.valid(self.rows.position_of_class(row))
            left, right = self.columns.valid(self.columns.position_of_class(column))
            taps = weight[:, top:bottom, left:right].astype(np.int64)
            folded = bias.astype(np.int64) - zero_point * taps.sum(axis=(1, 2))
            biases[row, column] = self._by_panel(folded.astype(np.int32))
        packed.append(biases.reshape(-1))
        packed.extend(constant_arrays(op.requantize, op.out_c, arrays).values())
        return packed

    def _by_panel(self, values: NDArray[Any]) -> NDArray[Any]:
        """Channels (C, ...) to (panels, panel_channels, ...); zeros behind the last."""
        size = max(self.op.out_c, self.panel_channels)
        full = np.zeros((size, *values.shape[1:]), values.dtype)
        full[: self.op.out_c] = values
        starts = [self._panel_start(p) for p in range(self.panels)]
        return np.stack([full[s : s + self.panel_channels] for s in starts])

    def _pack_weight(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Reorder to [row class][panel][group][column][vector][lane][tap]; outside is 0."""
        op, isa = self.op, self.isa
        tall = np.zeros(
            (self.row_classes, op.out_c, self.groups * isa.dot_k, op.kernel_w), weight.dtype)
        for index in range(self.row_classes):
            top, bottom = (0, op.kernel_h) if self.is_float else self.rows.valid(
                self.rows.position_of_class(index))
            tall[index, :, top:bottom] = weight[:, top:bottom]
        blocks = []
        for variant in tall:
            panels = self._by_panel(variant).reshape(
                self.panels, self.panel, isa.lanes, self.groups, isa.dot_k, op.kernel_w)
            blocks.append(panels.transpose(0, 3, 5, 1, 2, 4).reshape(-1))
        return np.concatenate(blocks)

    def build(self) -> Any:
        op = self.op
        out_elements = op.batch * op.full_h * op.full_w * op.out_c
        inputs = [("x", op.batch * op.in_h * op.in_w * op.in_c, op.dtype)]
        if self.is_float and op.residual:
            inputs.append(("residual", out_elements, "float32"))
        elif op.requantize.residual and not self.is_float:
            inputs.append(("residual", out_elements, op.requantize.residual))
        biases = self.row_classes * self.column_classes * self.panels * self.panel_channels
        constants = [
            ("weight", self.weight_elements, "float32" if self.is_float else "int8"),
            ("bias", biases, self.isa.acc_dtype),
        ]
        if self.is_float:
            constants.append(LIMITS)
        else:
            constants += constant_parameters(op.requantize, op.out_c)
        out_dtype = "float32" if self.is_float else op.requantize.dtype
        parameters = [*inputs, *constants, ("y", out_elements, out_dtype)]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True))))

    def _body(self, operands: dict[str, Any]) -> None:
        op = self.op
        self.x, self.weight, self.bias = (operands[n] for n in ("x", "weight", "bias"))
        self.finish: Epilogue | FloatEpilogue
        if self.is_float:
            self.finish = FloatEpilogue(op.residual, operands)
        else:
            self.finish = Epilogue(op.requantize, self.isa, operands)
        inner = [start for start in self.tile_starts if self._is_inner(start)]
        with vector.loop(op.batch * op.out_h, parallel=True) as task:
            self.image = task // op.out_h if op.batch > 1 else 0
            self.row = vector.bind(T.int32(0) + task % op.out_h)
            self.row_class = 0 if self.row_classes == 1 else vector.bind(
                self.rows.class_of(self.row))
            with vector.loop(self.panels) as panel:
                self.panel_index = panel
                self.channel = vector.bind(T.int32(0) + self._panel_start(panel))
                for start in self.tile_starts:
                    if not self._is_inner(start):
                        self._tile(start, start)
                    elif start == inner[0]:
                        with vector.loop(len(inner)) as index:
                            at = index * self.tile + inner[0]
                            self._tile(T.min(T.int32(0) + at, T.int32(inner[-1])), None)

    def _tile(self, start: Expr, border: int | None) -> None:
        """Compute ``tile`` output columns of one panel.

        Args:
            start: First output column.
            border: The same number if columns are outside of the input, else None.
        """
        op, isa, width = self.op, self.isa, self.panel_channels
        start = vector.bind(T.int32(0) + start)
        totals = {}
        for t in range(self.tile):
            inner = self.columns.num_before
            column_class = 0 if self.column_classes == 1 else self.columns.class_of(
                inner if border is None else border + t)
            variant = self.row_class * self.column_classes + column_class
            at = (variant * self.panels + self.panel_index) * width
            for v in range(0, width, isa.lanes):
                totals[t * width + v] = vector.bind(vector.load(self.bias, at + v, isa.lanes))
        block = self.row_class * self.panels + self.panel_index
        weights_at = vector.bind(T.int32(0) + block * self.block_elements)
        add = partial(self._taps, start=start, border=border, weights_at=weights_at)
        if self.is_float and not self.rows.is_inside:
            first, end = self.rows.first(self.row), self.rows.end(self.row)
            totals = self._looped(totals, T.serial(first, end), add)
        elif self.groups <= MAX_UNROLLED_GROUPS:
            for group in range(self.groups):
                totals = add(totals, group)
        else:
            totals = self._looped(totals, vector.loop(self.groups), add)
        line = self.image * op.full_h + self.row * op.placement.step_h + op.placement.offset_h
        for t in range(self.tile):
            column = (start + t) * op.placement.step_w + op.placement.offset_w
            out = vector.bind((line * op.full_w + column) * op.out_c + self.channel)
            accs = [totals[t * width + v] for v in range(0, width, isa.lanes)]
            self.finish.emit_vectors(accs, self.channel, out, min(op.out_c, width))

    def _looped(
        self, totals: Totals, loop: AbstractContextManager[Expr],
        add: Callable[[Totals, Expr], Totals],
    ) -> Totals:
        """Call ``add`` in a loop that carries the sums in a local."""
        lanes = self.isa.lanes
        acc = vector.local(self.tile * self.panel_channels, self.isa.acc_dtype)
        for slot, total in totals.items():
            vector.store(acc, slot, total, lanes)
        with loop as group:
            carried = {slot: vector.load(acc, slot, lanes) for slot in totals}
            for slot, total in add(carried, group).items():
                vector.store(acc, slot, total, lanes)
        return {slot: vector.load(acc, slot, lanes) for slot in totals}

    def _taps(
        self, totals: Totals, group: Expr, start: Expr, border: int | None, weights_at: Expr
    ) -> Totals:
        """Add the taps of ``dot_k`` kernel rows to every pixel of a tile."""
        op, isa, width = self.op, self.isa, self.panel_channels
        top = self.rows.start(self.row)
        lines = []
        for k in range(isa.dot_k):
            tap = group * isa.dot_k + k
            if isinstance(tap, int) and tap >= op.kernel_h:
                break
            line = T.int32(0) + top + tap * op.dilation_h
            if not self.rows.is_inside or not isinstance(tap, int):
                line = T.min(T.max(line, T.int32(0)), T.int32(op.in_h - 1))
            lines.append(vector.bind(
                ((self.image * op.in_h + line) * op.in_w + self.columns.start(start)) * op.in_c
                + self.channel))
        at = weights_at + group * (op.kernel_w * width * isa.dot_k)
        totals = dict(totals)
        users: dict[int, list[tuple[int, int]]] = {}
        for t, tap in product(range(self.tile), range(op.kernel_w)):
            users.setdefault(t * op.stride_w + tap * op.dilation_w, []).append((t, tap))
        for column, pairs in sorted(users.items()):
            if border is not None and not (
                0 <= self.columns.start(border) + column < op.in_w
            ):
                continue
            for v in range(self.panel):
                values = [
                    vector.load(self.x, line + (column * op.in_c + v * isa.lanes), isa.lanes)
                    for line in lines]
                taps = vector.bind(stack_taps(isa, values))
                for t, tap in pairs:
                    slot = t * width + v * isa.lanes
                    weights = isa.load_weights(
                        self.weight, at + (tap * width + v * isa.lanes) * isa.dot_k)
                    totals[slot] = vector.bind(isa.dot(totals[slot], taps, weights))
        return totals


def stack_taps(isa: Isa, values: list[Expr]) -> Expr:
    """Give lane i of ``Isa.dot`` the i-th element of every vector, the last one repeated.

    Args:
        isa: Instructions; ``dot_k`` consecutive activations make a 32-bit lane.
        values: 1 to ``dot_k`` vectors of ``lanes`` activations.
    """
    if isa.acc_dtype == "float32":
        return values[0]
    if isa.dot_k == 1:
        return vector.cast(values[0], "int32", isa.lanes)
    full = values + [values[-1]] * (isa.dot_k - len(values))
    return T.reinterpret(f"int32x{isa.lanes}", interleave(full, isa.lanes))
