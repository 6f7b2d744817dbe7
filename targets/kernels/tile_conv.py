"""Convolution on a matrix unit: an implicit matrix product of tiles, epilogue fused.

Rows of tiles are output pixels and lie in the input with one stride, so nothing is gathered
first. Sums start from the bias, are stored to a block that stays in the first-level cache, and
finish as those of vector registers do.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.epilogue import Epilogue, constant_arrays, constant_parameters
from octavo.targets.kernels.parallel import PARALLEL_MACS
from octavo.targets.kernels.tile_block import TileBlock, for_panel, tile_tasks
from octavo.targets.kernels.tile_cost import (
    SLOWER,
    register_cycles,
    share_out,
    tile_cycles,
)
from octavo.targets.kernels.tile_layout import PANEL, TileLayout
from octavo.targets.kernels.tile_positions import TilePositions
from octavo.targets.ops.conv import Conv

Arrays = Mapping[str, NDArray[Any]]


class TileConv:
    """Serves convolutions and products with constant weights that are large enough."""

    name = "tile_conv"

    def reject(self, op: Conv, isa: Isa) -> str:
        """Refuse what tiles cannot compute, or would not compute faster."""
        if isa.tiles is None:
            return f"{isa.name} has no tiles"
        if op.dtype not in ("uint8", "int8"):
            return f"{op.dtype} activations; tiles hold bytes"
        if op.groups != 1:
            return f"{op.groups} groups; tiles take one"
        if op.in_pixel != op.in_c and not op.is_padded:
            return "pixels of a slice; tiles take whole ones"
        emitter = _Emitter(op, isa)
        if op.dtype == isa.activation_dtype and not emitter.is_worthwhile:
            return SLOWER
        return ""

    def variant(self, op: Conv, isa: Isa) -> str:
        """Name the unit and the block of tiles."""
        layout = _Emitter(op, isa).layout
        tile = f"{layout.block_rows}x{layout.pass_vectors * layout.unit.lanes}"
        return f"{self.name}.{layout.unit.name}.{tile}"

    def build(self, op: Conv, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa).build()

    def constants(self, op: Conv, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights, fold the input zero point into the bias."""
        return _Emitter(op, isa).constants(arrays)

    def scratch_bytes(self, op: Conv, isa: Isa) -> int:
        """Memory of the padded input."""
        return _Emitter(op, isa).positions.padded.scratch_bytes


class _Emitter:
    """Emits one convolution."""

    def __init__(self, op: Conv, isa: Isa) -> None:
        if isa.tiles is None:
            raise ValueError(f"{isa.name} has no tiles")
        self.op = op
        self.isa = isa
        self.unit = isa.tiles
        self.positions = TilePositions(op, isa.tiles)
        # Neighbouring taps of a row are one run of memory.
        self.merges_columns = op.dilation_w == 1

    @property
    def taps(self) -> tuple[int, int]:
        """Rows and columns of taps that are looped over."""
        return self.op.kernel_h, 1 if self.merges_columns else self.op.kernel_w

    @cached_property
    def layout(self) -> TileLayout:
        op, positions = self.op, self.positions
        run = op.in_c * (op.kernel_w if self.merges_columns else 1)
        return TileLayout(
            self.unit, positions.tile_rows, positions.num_tiles, op.out_c, run,
            self.taps[0] * self.taps[1])

    @property
    def is_worthwhile(self) -> bool:
        op, layout = self.op, self.layout
        pixels = op.batch * op.out_h * op.out_w
        registers = register_cycles(self.isa, pixels, op.out_c, layout.run, layout.taps)
        return tile_cycles(layout) < registers

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
        op, layout, padded = self.op, self.layout, self.positions.padded
        out_elements = op.out_elements
        parameters = [("x", padded.in_elements, op.dtype)]
        if op.requantize.residual:
            parameters.append(("residual", out_elements, op.requantize.residual))
        parameters += [
            ("weight", layout.vectors * layout.vector_bytes, "int8"),
            ("bias", layout.vectors * self.unit.lanes, "int32"),
            ("shapes", layout.shapes.size, "uint8"),
            *constant_parameters(op.requantize, op.out_c),
        ]
        if op.is_padded:
            parameters.append(("zero_point", 1, "int32"))
        parameters.append(("y", out_elements, op.requantize.dtype))
        if op.is_padded:
            parameters.append(("scratch", padded.scratch_elements, op.dtype))
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True))))

    def _body(self, operands: dict[str, Any]) -> None:
        op, layout = self.op, self.layout
        source = operands["x"]
        if op.is_padded:
            source = operands["scratch"]
            self.positions.padded.emit(operands)
        block = TileBlock(
            layout, source, operands["weight"], operands["bias"], (op.dtype, "int8"),
            self.positions.stride_elements)
        finish = Epilogue(op.requantize, self.isa, operands)
        share = share_out(layout, layout.run * layout.taps)
        is_parallel = op.macs >= PARALLEL_MACS
        tasks = share.parts * layout.panels
        with tile_tasks(self.unit, operands["shapes"], tasks, is_parallel) as task:
            part, panel = task // layout.panels, task % layout.panels
            with share.blocks_of(part, layout) as index:
                for_panel(layout, panel, partial(self._block, block, finish, index))

    def _block(
        self, block: TileBlock, finish: Epilogue, index: Expr, panel: Expr, vectors: int,
        columns: int,
    ) -> None:
        """Multiply and finish one block of rows and one panel of columns."""
        layout, positions = self.layout, self.positions
        # The last block moves back over its neighbour, so that all blocks are whole.
        tile = vector.bind(T.min(
            T.int32(0) + index * layout.row_tiles,
            T.int32(layout.num_tiles - layout.row_tiles)))
        firsts = [positions.first(tile + i) for i in range(layout.row_tiles)]
        bases = [vector.bind(positions.input_offset(first)) for first in firsts]
        first_column = panel * (PANEL * self.unit.lanes)
        sums = block.emit(bases, panel * PANEL, first_column, vectors, self._reduction)
        for i, first in enumerate(firsts):
            with vector.loop(layout.tile_rows) as row:
                pixel, exists = positions.output_pixel(first + row)
                accs = sums.row(i * layout.tile_rows + row)

                def store(pixel: Expr = pixel, accs: list[Expr] = accs) -> None:
                    out = vector.bind(positions.padded.output_offset(pixel) + first_column)
                    finish.emit_vectors(accs, first_column, out, columns)

                if exists is None:
                    store()
                else:
                    with T.If(exists), T.Then():
                        store()

    @contextmanager
    def _reduction(self) -> Iterator[tuple[Expr, Expr]]:
        """Loop over taps and their parts."""
        layout, taps_w = self.layout, self.taps[1]
        part_bytes = layout.steps * self.unit.dot_k
        with vector.loop(self.taps[0]) as kh, vector.loop(taps_w) as kw, \
                vector.loop(layout.run_tiles) as part:
            offset = self.positions.padded.tap_offset(kh, kw) + part * part_bytes
            yield offset, (kh * taps_w + kw) * layout.run_tiles + part
