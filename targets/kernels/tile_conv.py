"""Convolution on a matrix unit: an implicit matrix product of tiles, epilogue fused.

Rows of tiles are output pixels. They are loaded from the input itself, or gathered block by
block, whichever is modelled to be faster. Sums start from the bias, are stored to a block that
stays in the first-level cache, and finish as those of vector registers do.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.conv_packing import Packing
from octavo.targets.kernels.conv_padding import PaddedInput
from octavo.targets.kernels.epilogue import Epilogue, constant_arrays, constant_parameters
from octavo.targets.kernels.parallel import PARALLEL_MACS
from octavo.targets.kernels.scratch import Scratch
from octavo.targets.kernels.tile_block import TileBlock, for_panel, tile_tasks
from octavo.targets.kernels.tile_cost import (
    SLOWER,
    TileTasks,
    register_cycles,
    sharings,
    tile_cycles,
)
from octavo.targets.kernels.tile_gather import GatheredRows
from octavo.targets.kernels.tile_layout import PANEL, TileLayout
from octavo.targets.kernels.tile_rows import DirectRows, TileRows
from octavo.targets.ops.conv import Conv
from octavo.targets.padding import INPUT_CHANNELS, OUTPUT_CHANNELS, PIXELS, Padding

Arrays = Mapping[str, NDArray[Any]]


class TileConv:
    """Serves convolutions and products with constant weights that are large enough.

    Attributes:
        schedule: How rows come to tiles, and tasks; None for the model's choice.
    """

    name = "tile_conv"

    def __init__(self, schedule: TileTasks | None = None) -> None:
        self.schedule = schedule

    def reject(self, op: Conv, isa: Isa) -> str:
        """Refuse what tiles cannot compute, or would not compute faster."""
        if isa.tiles is None:
            return f"{isa.name} has no tiles"
        if op.dtype not in ("uint8", "int8"):
            return f"{op.dtype} activations; tiles hold bytes"
        if op.groups != 1:
            return f"{op.groups} groups; tiles take one"
        if op.dtype == isa.activation_dtype and not _Emitter(op, isa, None).is_worthwhile:
            return SLOWER
        return ""

    def schedules(self, op: Conv, isa: Isa) -> list[TileTasks]:
        """Tasks worth measuring, with gathered rows and without, the model's choice first."""
        return [] if isa.tiles is None else _Emitter(op, isa, None).schedules

    def with_schedule(self, schedule: TileTasks) -> Self:
        """Take these tasks."""
        return type(self)(schedule)

    def layouts(self, op: Conv, isa: Isa) -> list[tuple[TileLayout, int]]:
        """The tiles of the only product, which is computed once."""
        return [(_Emitter(op, isa, self.schedule).layout, 1)]

    def variant(self, op: Conv, isa: Isa) -> str:
        """Name the unit and the block of tiles, and whether its rows are gathered."""
        emitter = _Emitter(op, isa, self.schedule)
        gathered = ".gathered" if emitter.share.gathers else ""
        return f"{self.name}.{emitter.layout.name}{gathered}"

    def padding(self, op: Conv, isa: Isa) -> tuple[Padding, ...]:
        """Channels and pixels are rounded up to tiles."""
        pixels = op.batch * op.out_h * op.out_w
        layout = _Emitter(op, isa, self.schedule).layout
        return layout.padding(pixels, (PIXELS, OUTPUT_CHANNELS, INPUT_CHANNELS))

    def build(self, op: Conv, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa, self.schedule).build()

    def constants(self, op: Conv, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights, fold the input zero point into the bias."""
        return _Emitter(op, isa, self.schedule).constants(arrays)

    def scratch_bytes(self, op: Conv, isa: Isa) -> int:
        """Memory of the padded input and of gathered rows."""
        return _Emitter(op, isa, self.schedule).scratch.num_bytes


class _Emitter:
    """Emits one convolution."""

    def __init__(self, op: Conv, isa: Isa, schedule: TileTasks | None) -> None:
        if isa.tiles is None:
            raise ValueError(f"{isa.name} has no tiles")
        self.op = op
        self.isa = isa
        self.unit = isa.tiles
        self.padded = PaddedInput(op)
        self.packing = Packing(op, isa)
        self.schedule = schedule

    @cached_property
    def schedules(self) -> list[TileTasks]:
        """Those of the rows that are modelled to be multiplied sooner come first."""
        first, second = sorted((self._rows(False), self._rows(True)), key=_cycles)
        return [*_sharings(first), *_sharings(second)]

    @cached_property
    def share(self) -> TileTasks:
        return self.schedule or self.schedules[0]

    @cached_property
    def rows(self) -> TileRows:
        return self._rows(self.share.gathers)

    def _rows(self, gathers: bool) -> TileRows:
        kind = GatheredRows if gathers else DirectRows
        return kind(self.op, self.unit, self.packing)

    @cached_property
    def layout(self) -> TileLayout:
        return self.rows.layout

    @property
    def is_worthwhile(self) -> bool:
        op, (taps_h, taps_w) = self.op, self.packing.taps
        registers = register_cycles(
            self.isa, op.batch * op.out_h * op.out_w, op.out_c, self.packing.run,
            taps_h * taps_w)
        return _cycles(self.rows) < registers

    @cached_property
    def scratch(self) -> Scratch:
        """The padded input, and gathered rows of every task."""
        parts = []
        if self.op.is_padded:
            parts.append(("scratch", self.padded.scratch_elements, self.op.dtype))
        if self.rows.task_bytes:
            gathered = self.share.num_tasks * self.rows.task_bytes
            parts.append(("gathered", gathered, self.op.dtype))
        return Scratch(tuple(parts))

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        op, layout = self.op, self.layout
        weight = arrays["weight"]
        zero_point = arrays["zero_point"].astype(np.int64).reshape(-1)
        sums = weight.astype(np.int64).reshape(op.out_c, -1).sum(axis=1)
        bias = np.zeros(layout.vectors * self.unit.lanes, np.int32)
        bias[: op.out_c] = arrays["bias"].astype(np.int64).reshape(-1) - zero_point * sums
        packed = [layout.pack(weight), bias, layout.shapes]
        packed.extend(constant_arrays(op.requantize, op.out_c, arrays).values())
        if op.is_padded:
            packed.append(zero_point.astype(np.int32))
        return packed

    def build(self) -> Any:
        op, layout = self.op, self.layout
        parameters = [("x", op.in_elements, op.dtype)]
        if op.requantize.residual:
            parameters.append(("residual", op.out_elements, op.requantize.residual))
        parameters += [
            ("weight", layout.vectors * layout.vector_bytes, "int8"),
            ("bias", layout.vectors * self.unit.lanes, "int32"),
            ("shapes", layout.shapes.size, "uint8"),
            *constant_parameters(op.requantize, op.out_c),
        ]
        if op.is_padded:
            parameters.append(("zero_point", 1, "int32"))
        parameters.append(("y", op.out_elements, op.requantize.dtype))
        if self.scratch.num_bytes:
            parameters.append(("memory", self.scratch.num_bytes, "uint8"))
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True))))

    def _body(self, operands: dict[str, Any]) -> None:
        op, share = self.op, self.share
        if self.scratch.num_bytes:
            operands |= self.scratch.views(operands["memory"])
        source = operands["x"]
        if op.is_padded:
            source = operands["scratch"]
            self.padded.emit(operands)
        is_parallel = op.macs >= PARALLEL_MACS
        shapes = operands["shapes"]
        with tile_tasks(self.unit, shapes, share.num_tasks, is_parallel) as task:
            part, group = task // share.groups, task % share.groups
            with share.blocks_of(part, self.layout) as index:
                self._block(operands, source, task, index, group)

    def _block(
        self, operands: dict[str, Any], source: Any, task: Expr, index: Expr, group: Expr
    ) -> None:
        """Multiply and finish one block of rows and a group of panels."""
        layout, rows = self.layout, self.rows
        # The last block moves back over its neighbour, so that all blocks are whole.
        tile = vector.bind(T.min(
            T.int32(0) + index * layout.row_tiles,
            T.int32(layout.num_tiles - layout.row_tiles)))
        firsts = [rows.first(tile + i) for i in range(layout.row_tiles)]
        buffer, bases = rows.emit(operands, source, task, firsts)
        block = TileBlock(
            layout, buffer, operands["weight"], operands["bias"], (self.op.dtype, "int8"),
            rows.stride_bytes)
        finish = Epilogue(self.op.requantize, self.isa, operands)
        with self.share.panels_of(group, layout) as panel:
            for_panel(layout, panel, partial(self._panel, block, finish, firsts, bases))

    def _panel(
        self, block: TileBlock, finish: Epilogue, firsts: Sequence[Expr],
        bases: Sequence[Expr], panel: Expr, vectors: int, columns: int,
    ) -> None:
        """Multiply and finish one block of rows and one panel of columns."""
        layout, rows = self.layout, self.rows
        first_column = panel * (PANEL * self.unit.lanes)
        sums = block.emit(bases, panel * PANEL, first_column, vectors, rows.reduction)
        for i, first in enumerate(firsts):
            with vector.loop(layout.tile_rows) as row:
                pixel, exists = rows.output_pixel(first + row)
                accs = sums.row(i * layout.tile_rows + row)

                def store(pixel: Expr = pixel, accs: list[Expr] = accs) -> None:
                    out = vector.bind(self.padded.output_offset(pixel) + first_column)
                    finish.emit_vectors(accs, first_column, out, columns)

                if exists is None:
                    store()
                else:
                    with T.If(exists), T.Then():
                        store()


def _sharings(rows: TileRows) -> list[TileTasks]:
    layout = rows.layout
    return sharings(layout, layout.run * layout.taps, gather_cycles=rows.gather_cycles)


def _cycles(rows: TileRows) -> float:
    """Cycles of the whole convolution; panels of other tasks gather the same rows again."""
    gathers = rows.layout.blocks * _sharings(rows)[0].groups
    return tile_cycles(rows.layout) + gathers * rows.gather_cycles
