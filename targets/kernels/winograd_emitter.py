"""The phases of a Winograd convolution: both transforms, products, and the way back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.kernels.conv_padding import PaddedInput
from octavo.targets.kernels.epilogue import Epilogue, constant_parameters
from octavo.targets.kernels.parallel import PARALLEL_MACS
from octavo.targets.kernels.register_tile import register_tile
from octavo.targets.kernels.winograd_layout import NUM_POINTS, WinogradLayout
from octavo.targets.kernels.winograd_transform import (
    OUTPUTS,
    POINTS,
    TAPS,
    input_line,
    output_line,
    output_value,
    weight_line,
)
from octavo.targets.word_isa import word_isa

UNROLLED_STEPS = 4  # divides the steps: input channels fill whole vectors


class WinogradEmitter:
    """Emits one convolution.

    Attributes:
        layout: Sizes and loops.
    """

    def __init__(self, layout: WinogradLayout) -> None:
        self.layout = layout
        self.op, self.isa, self.schedule = layout.op, layout.isa, layout.schedule
        self.word_isa = word_isa(layout.isa)
        self.is_parallel = self.op.macs >= PARALLEL_MACS

    def build(self) -> Any:
        """Emit the PrimFunc."""
        op, layout = self.op, self.layout
        inputs = [("x", layout.padded.in_elements, op.dtype)]
        if op.requantize.residual:
            inputs.append(("residual", op.out_elements, op.requantize.residual))
        constants = [
            ("weight", op.out_c * TAPS * TAPS * op.in_c, "int8"),
            ("bias", op.out_c, "int32"),
            *constant_parameters(op.requantize, op.out_c),
        ]
        if layout.padded.op.is_padded:
            constants.append(("zero_point", 1, "int32"))
        results = [
            ("y", op.out_elements, op.requantize.dtype),
            ("scratch", layout.scratch.num_bytes, "uint8"),
        ]
        parameters = [*inputs, *constants, *results]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True))))

    def _body(self, operands: dict[str, Any]) -> None:
        layout = self.layout
        operands = {**operands, **layout.scratch.views(operands["scratch"])}
        if layout.padded.op.is_padded:
            layout.padded.emit({**operands, "scratch": operands["padded"]})
        weight_region = NUM_POINTS * layout.weight_point
        input_region = NUM_POINTS * layout.input_point
        if self.schedule.keeps_weights:
            with vector.loop(layout.panels, parallel=self.is_parallel) as panel:
                self._transform_weights(operands, panel, panel * weight_region)
            with self._tasks(layout.blocks) as (task, block):
                inputs_at = task * input_region
                self._transform_inputs(operands, block, inputs_at)
                with vector.loop(layout.panels) as panel:
                    self._multiply(
                        operands, task, block, inputs_at, panel, panel * weight_region)
            return
        with vector.loop(layout.blocks, parallel=self.is_parallel) as block:
            self._transform_inputs(operands, block, block * input_region)
        with self._tasks(layout.panels) as (task, panel):
            weights_at = task * weight_region
            self._transform_weights(operands, panel, weights_at)
            with vector.loop(layout.blocks) as block:
                self._multiply(
                    operands, task, block, block * input_region, panel, weights_at)

    @contextmanager
    def _tasks(self, count: int) -> Iterator[tuple[Expr, Expr]]:
        """Loop over [0, count) in even pieces: the piece and the index."""
        tasks = self.layout.tasks
        with vector.loop(tasks, parallel=self.is_parallel) as task:
            first, last = (
                vector.bind(T.int32(0) + (task + n) * count // tasks) for n in (0, 1))
            with T.serial(0, last - first) as index:
                yield task, first + index

    def _transform_weights(self, operands: dict[str, Any], panel: Expr, to: Expr) -> None:
        layout, words = self.layout, self.layout.words
        vectors = self.schedule.panel
        taps = TAPS * TAPS * words
        with vector.loop(layout.steps * vectors) as index:
            at = vector.bind((panel * (layout.steps * vectors) + index) * taps)

            def load(row: int, column: int) -> Expr:
                value = vector.load(
                    operands["weight"], at + (row * TAPS + column) * words, words)
                return vector.cast(value, "int16", words)

            lines = [
                weight_line([vector.bind(load(row, column)) for row in range(TAPS)])
                for column in range(TAPS)
            ]
            self._store_points(
                operands["weights"], to + index * words, layout.weight_point,
                [weight_line(line) for line in _turned(lines)])

    def _transform_inputs(self, operands: dict[str, Any], block: Expr, to: Expr) -> None:
        op, layout, words = self.op, self.layout, self.layout.words
        padded = layout.padded
        source = operands["padded" if padded.op.is_padded else "x"]
        with vector.loop(self.schedule.rows) as tile:
            number = self._tile(block, tile)
            image, y, x = self._position(number)
            pixel = (image * padded.height + y * OUTPUTS) * padded.width + x * OUTPUTS
            at = vector.bind(pixel * padded.pixel)
            with vector.loop(op.in_c // words) as index:

                def load(row: int, column: int) -> Expr:
                    offset = (row * padded.width + column) * padded.pixel
                    value = vector.load(source, at + index * words + offset, words)
                    return vector.cast(value, "int16", words)

                lines = [
                    input_line([vector.bind(load(row, column)) for row in range(POINTS)])
                    for column in range(POINTS)
                ]
                self._store_points(
                    operands["inputs"], to + tile * op.in_c + index * words,
                    layout.input_point, [input_line(line) for line in _turned(lines)])

    def _store_points(
        self, buffer: Any, at: Expr, distance: int, lines: Sequence[Sequence[Expr]]
    ) -> None:
        for row, line in enumerate(lines):
            for column, value in enumerate(line):
                vector.store(
                    buffer, at + (row * POINTS + column) * distance, value,
                    self.layout.words)

    def _multiply(
        self, operands: dict[str, Any], task: Expr, block: Expr, inputs_at: Expr,
        panel: Expr, weights_at: Expr,
    ) -> None:
        """All products of a block of tiles and a panel of channels, and their outputs."""
        layout, schedule, lanes = self.layout, self.schedule, self.isa.lanes
        channels = layout.panel_channels
        sums_at = task * (NUM_POINTS * layout.sum_point)
        with vector.loop(NUM_POINTS) as point:
            tile = register_tile(self.word_isa, schedule.rows, schedule.panel)
            tile.fill(vector.splat(T.int32(0), lanes))
            row_at = vector.bind(inputs_at + point * layout.input_point)
            column_at = vector.bind(weights_at + point * layout.weight_point)
            with vector.loop(layout.steps // UNROLLED_STEPS) as group:
                for n in range(UNROLLED_STEPS):
                    step = group * UNROLLED_STEPS + n
                    tile.step(
                        operands["inputs"],
                        [row_at + r * self.op.in_c + step * self.word_isa.dot_k
                         for r in range(schedule.rows)],
                        operands["weights"],
                        column_at + step * (schedule.panel * layout.words))
            for r in range(schedule.rows):
                for v, total in enumerate(tile.row(r)):
                    at = sums_at + point * layout.sum_point + r * channels
                    vector.store(operands["sums"], at + v * lanes, total, lanes)
        self._finish(operands, sums_at, block, panel)

    def _finish(
        self, operands: dict[str, Any], sums_at: Expr, block: Expr, panel: Expr
    ) -> None:
        op, layout, lanes = self.op, self.layout, self.isa.lanes
        channels = layout.panel_channels
        finish = Epilogue(op.requantize, self.isa, operands)
        outputs = vector.local(OUTPUTS * OUTPUTS * channels, "int32")
        first_channel = panel * channels
        with vector.loop(self.schedule.rows) as tile:
            image, y, x = self._position(self._tile(block, tile))
            with vector.loop(self.schedule.panel) as v:
                at = sums_at + tile * channels + v * lanes
                self._outputs(operands["sums"], at, outputs, v * lanes)
            for row, column in product(range(OUTPUTS), repeat=2):
                accs = []
                for v in range(self.schedule.panel):
                    bias = vector.load(operands["bias"], first_channel + v * lanes, lanes)
                    at = (row * OUTPUTS + column) * channels + v * lanes
                    value = output_value(vector.load(outputs, at, lanes), row, column)
                    accs.append(vector.bind(vector.wrapping("add", value, bias)))
                line, place = y * OUTPUTS + row, x * OUTPUTS + column
                pixel = (image * op.out_h + line) * op.out_w + place

                with self._inside(row, line, column, place):
                    at = vector.bind(PaddedInput(op).output_offset(pixel))
                    finish.emit_vectors(accs, first_channel, at + first_channel, channels)

    @contextmanager
    def _inside(self, row: int, line: Expr, column: int, place: Expr) -> Iterator[None]:
        """Leave out what sticks out of the image."""
        ends = ((row, line, self.op.out_h), (column, place, self.op.out_w))
        checks = [at < end for n, at, end in ends if 0 < end % OUTPUTS <= n]
        if not checks:
            yield
            return
        with T.If(T.And(*checks) if len(checks) == 2 else checks[0]), T.Then():
            yield

    def _outputs(self, sums: Any, at: Expr, outputs: Any, to: Expr) -> None:
        """Transform the sums of a vector of channels of one tile back."""
        layout, lanes = self.layout, self.isa.lanes
        distance = layout.sum_point
        lines = [
            output_line([
                vector.bind(vector.load(sums, at + (row * POINTS + column) * distance, lanes))
                for row in range(POINTS)])
            for column in range(POINTS)
        ]
        for row, line in enumerate(_turned(lines)):
            for column, value in enumerate(output_line(line)):
                number = row * OUTPUTS + column
                vector.store(outputs, to + number * layout.panel_channels, value, lanes)

    def _tile(self, block: Expr, tile: Expr) -> Expr:
        """Number of a tile of a block."""
        layout = self.layout
        rows = self.schedule.rows
        first = T.min(T.int32(0) + block * rows, T.int32(layout.tiles - rows))
        return vector.bind(first + tile)

    def _position(self, number: Expr) -> tuple[Expr, Expr, Expr]:
        """Image, row and column of a tile."""
        layout = self.layout
        line = vector.bind(number // layout.tile_columns)
        image = line // layout.tile_rows if self.op.batch > 1 else 0
        row = line % layout.tile_rows if self.op.batch > 1 else line
        return image, row, number % layout.tile_columns


def _turned(lines: Sequence[Sequence[Expr]]) -> list[list[Expr]]:
    """Columns of bound values as rows."""
    bound = [[vector.bind(value) for value in line] for line in lines]
    return [list(row) for row in zip(*bound, strict=True)]
