"""Convolution as an implicit matrix product: no im2col, weights packed, epilogue fused.

A tile of output pixels times a panel of output channels stays in registers while the taps and
input channels run by. Neighbouring taps of a row are one run of memory in NHWC, so that a
3-channel first layer wastes almost nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.float_isa import float_isa
from octavo.targets.isa import Isa
from octavo.targets.kernels.conv_packing import Packing
from octavo.targets.kernels.conv_padding import PaddedInput, is_adjacent
from octavo.targets.kernels.epilogue import Epilogue, constant_arrays, constant_parameters
from octavo.targets.kernels.float_epilogue import LIMITS, FloatEpilogue
from octavo.targets.kernels.panel_prefetch import PanelPrefetch
from octavo.targets.kernels.parallel import PARALLEL_MACS
from octavo.targets.kernels.register_tile import RegisterTile, for_steps, register_tile
from octavo.targets.kernels.tiling import Tiling, tilings
from octavo.targets.ops.conv import Conv
from octavo.targets.padding import PIXELS, Padding, round_up

Arrays = Mapping[str, NDArray[Any]]


class ConvGemm:
    """Serves every convolution and every product with constant weights.

    Attributes:
        schedule: Tiles and blocks; None for the model's choice.
    """

    name = "conv_gemm"

    def __init__(self, schedule: Tiling | None = None) -> None:
        self.schedule = schedule

    def reject(self, op: Conv, isa: Isa) -> str:
        """Accept whatever has the activation type of the instructions."""
        if op.dtype not in ("float32", isa.activation_dtype):
            return f"{op.dtype} activations; {isa.name} multiplies {isa.activation_dtype}"
        return ""

    def schedules(self, op: Conv, isa: Isa) -> list[Tiling]:
        """Tilings worth measuring, the model's choice first."""
        return GemmEmitter(op, isa, None).tilings

    def with_schedule(self, schedule: Tiling) -> "ConvGemm":
        """Take this tiling."""
        return ConvGemm(schedule)

    def variant(self, op: Conv, isa: Isa) -> str:
        """Name instructions and register tile."""
        emitter = GemmEmitter(op, isa, self.schedule)
        tile = f"{emitter.tiling.rows}x{emitter.tiling.panel * emitter.isa.lanes}"
        return f"{self.name}.{emitter.isa.name}.{tile}"

    def padding(self, op: Conv, isa: Isa) -> tuple[Padding, ...]:
        """Channels are rounded up to vectors and ``dot`` steps, pixels to tiles."""
        emitter = GemmEmitter(op, isa, self.schedule)
        pixels = round_up(emitter.pixels, emitter.tiling.rows)
        return (*emitter.packing.padding, Padding(PIXELS, emitter.pixels, pixels))

    def build(self, op: Conv, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return GemmEmitter(op, isa, self.schedule).build()

    def constants(self, op: Conv, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights, fold the input zero point into the bias."""
        return GemmEmitter(op, isa, self.schedule).constants(arrays)

    def scratch_bytes(self, op: Conv, isa: Isa) -> int:
        """Memory of the padded input."""
        return GemmEmitter(op, isa, self.schedule).padded.scratch_bytes


class GemmEmitter:
    """Emits one convolution, or one of other elements than its tensors have.

    Attributes:
        op: The convolution.
        isa: Instructions, of the arithmetic of the products.
        packing: Where the weights lie.
        padded: Where the input lies.
    """

    def __init__(self, op: Conv, isa: Isa, schedule: Tiling | None) -> None:
        self.op = op
        self.is_float = op.dtype == "float32"
        self.isa = self._arithmetic(isa)
        self.packing = Packing(op, self.isa)
        self.padded = PaddedInput(op)
        self.pixels = op.batch * op.out_h * op.out_w
        self.schedule = schedule

    def _arithmetic(self, isa: Isa) -> Isa:
        """Instructions of the products."""
        return float_isa(isa) if self.is_float else isa

    @cached_property
    def tiling(self) -> Tiling:
        """The schedule, or the model's choice."""
        return self.schedule or self.tilings[0]

    @cached_property
    def tilings(self) -> list[Tiling]:
        """Tilings worth measuring, the model's choice first."""
        taps_h, taps_w = self.packing.taps
        return tilings(
            isa=self.isa,
            rows=self.pixels,
            vectors=self.packing.vectors,
            steps=taps_h * taps_w * self.packing.steps,
            row_bytes=self.packing.run * taps_h * taps_w * self.element_bytes,
            groups=self.op.groups,
            has_residual=self.op.residual or self.op.requantize.residual is not None,
        )

    @property
    def element_bytes(self) -> int:
        """Bytes of one element of the input as it is multiplied; a weight has as many."""
        return self.padded.element_bytes

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights, fold the input zero point into the bias."""
        weight = arrays["weight"]
        packed = [self.packing.pack_weight(weight, self.tiling.panel)]
        if self.is_float:
            return [*packed, arrays["bias"].reshape(-1), arrays["limits"]]
        zero_point = arrays["zero_point"].astype(np.int64).reshape(-1)
        sums = weight.astype(np.int64).reshape(self.op.out_c, -1).sum(axis=1)
        bias = (arrays["bias"].astype(np.int64) - zero_point * sums).astype(np.int32)
        packed.append(bias.reshape(-1))
        packed.extend(constant_arrays(self.op.requantize, self.op.out_c, arrays).values())
        if self.op.is_padded:
            packed.append(zero_point.astype(np.int32))
        return packed

    def _input(self) -> list[tuple[str, int, str]]:
        """The parameter that holds the input."""
        return [("x", self.padded.in_elements, self.op.dtype)]

    def _scratch(self) -> list[tuple[str, int, str]]:
        """The parameter that holds the padded input, if there is one."""
        if not self.op.is_padded:
            return []
        return [("scratch", self.padded.scratch_elements, self.op.dtype)]

    @property
    def _weight_dtype(self) -> str:
        return "float32" if self.is_float else "int8"

    def _parameters(self) -> list[tuple[str, int, str]]:
        op, packing = self.op, self.packing
        out_elements = op.out_elements
        out_dtype = "float32" if self.is_float else op.requantize.dtype
        inputs = self._input()
        if self.is_float and op.residual:
            inputs.append(("residual", out_elements, "float32"))
        elif op.requantize.residual and not self.is_float:
            inputs.append(("residual", out_elements, op.requantize.residual))
        weights = op.groups * packing.stored_out * packing.channel_elements
        constants = [
            ("weight", weights, self._weight_dtype),
            ("bias", op.out_c, self.isa.acc_dtype),
        ]
        if self.is_float:
            constants.append(LIMITS)
        else:
            constants += constant_parameters(op.requantize, op.out_c)
            if op.is_padded:
                constants.append(("zero_point", 1, "int32"))
        return [*inputs, *constants, ("y", out_elements, out_dtype), *self._scratch()]

    def build(self) -> Any:
        """Emit the PrimFunc."""
        parameters = self._parameters()
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True))))

    def _source(self, operands: dict[str, Any]) -> Any:
        """The input as it is multiplied, emitted where it must be made first."""
        if not self.op.is_padded:
            return operands["x"]
        self.padded.emit(operands)
        return operands["scratch"]

    def _body(self, operands: dict[str, Any]) -> None:
        source = self._source(operands)
        finish = self._finish(operands)
        tiling, packing = self.tiling, self.packing
        panels = -(-packing.vectors // tiling.panel)
        last = packing.vectors - (panels - 1) * tiling.panel
        is_whole = last == tiling.panel and self.op.group_out % self.isa.lanes == 0
        tasks = tiling.blocks * self.op.groups * panels
        with vector.loop(tasks, parallel=self.op.macs >= PARALLEL_MACS) as task:
            block, group = task // (self.op.groups * panels), task // panels % self.op.groups
            panel = task % panels
            with self._block(block) as index:
                # The last tile moves back over its neighbour, so that all tiles are whole.
                tile = T.int32(0) + block * tiling.block_tiles + index
                row = vector.bind(
                    T.min(tile * tiling.rows, T.int32(self.pixels - tiling.rows)))
                emit = partial(self._tile, operands, source, finish, row, index, group)
                if is_whole:
                    emit(panel, tiling.panel)
                elif panels == 1:
                    emit(0, last, is_last=True)
                else:
                    with T.If(panel < panels - 1):
                        with T.Then():
                            emit(panel, tiling.panel)
                        with T.Else():
                            emit(panels - 1, last, is_last=True)

    def _finish(self, operands: dict[str, Any]) -> Epilogue | FloatEpilogue:
        """What turns sums into results."""
        if self.is_float:
            return FloatEpilogue(self.op.residual, operands)
        return Epilogue(self.op.requantize, self.isa, operands)

    def _new_tile(
        self, operands: dict[str, Any], rows: int, vectors: int, channel: Any
    ) -> RegisterTile:
        """Sums of some pixels and of channels from ``channel`` on, which start at the bias."""
        tile = register_tile(self.isa, rows, vectors)
        for v in range(vectors):
            at = channel + v * self.isa.lanes
            bias = vector.bind(vector.load(operands["bias"], at, self.isa.lanes))
            for r in range(rows):
                tile.start(r, v, bias)
        return tile

    def _block(self, block: Any) -> AbstractContextManager[Any]:
        """Loop over the tiles of a block; the last block may have fewer."""
        tiles, most = -(-self.pixels // self.tiling.rows), self.tiling.block_tiles
        is_even = self.tiling.blocks * most == tiles
        rest = T.int32(tiles) - block * most
        return vector.loop(most) if is_even else _serial(T.min(rest, T.int32(most)))

    def _tile(
        self, operands: dict[str, Any], source: Any, finish: Epilogue | FloatEpilogue,
        row: Any, index: Any, group: Any, panel: Any, vectors: int, is_last: bool = False,
    ) -> None:
        op, isa, packing, rows = self.op, self.isa, self.packing, self.tiling.rows
        lanes = isa.lanes
        channels = vectors * lanes
        if is_last:
            channels = op.group_out - (packing.vectors - vectors) * lanes
        in_group = panel * (self.tiling.panel * lanes)
        first_channel = group * op.group_out + in_group
        pixels = [
            vector.bind(offset + group * op.group_in)
            for offset in self.padded.pixel_offsets(row, rows)]
        tile = self._new_tile(operands, rows, vectors, first_channel)
        taps_h, taps_w = packing.taps
        stored = vectors * lanes if isa.orders_columns else channels
        step_elements = stored * isa.dot_k
        weights_at = (group * packing.stored_out + in_group) * packing.channel_elements
        weights = operands["weight"]
        steps = taps_h * taps_w * packing.steps
        ahead = PanelPrefetch(
            steps * step_elements, self.element_bytes, self.tiling.block_tiles, steps)
        weights_end = weights_at + steps * step_elements
        ahead.emit_tile(weights, weights_end, index)

        def add(kh: Any, kw: Any, step: Any, count: int) -> None:
            tap = self.padded.tap_offset(kh, kw) + step * isa.dot_k
            number = (kh * taps_w + kw) * packing.steps + step
            at = weights_at + number * step_elements
            offsets = [pixel + tap for pixel in pixels]
            tile.step(source, offsets, weights, at, count, step_elements)
            ahead.emit_step(weights, weights_end, index, number)

        self._each_step(rows * vectors, add)
        if isinstance(finish, Epilogue) and finish.takes_blocks:
            for first in range(0, rows, isa.block_rows):
                outs = [
                    vector.bind(
                        self.padded.output_offset(row + r) + group * op.group_out + in_group)
                    for r in range(first, min(first + isa.block_rows, rows))]
                finish.emit_block(
                    tile.block(first), group * op.group_out + in_group, outs, channels)
            return
        if isinstance(finish, Epilogue) and is_adjacent(op, isa, vectors):
            out = vector.bind(self.padded.output_offset(row))
            finish.emit_adjacent([tile.row(r) for r in range(rows)], first_channel, out)
            return
        for r in range(rows):
            out = vector.bind(self.padded.output_offset(row + r) + group * op.group_out)
            finish.emit_vectors(
                tile.row(r), group * op.group_out + in_group, out + in_group, channels)

    def _each_step(self, dots: int, add: Callable[[Any, Any, Any, int], None]) -> None:
        """Loop over taps and steps; short loops are straight-line code.

        Args:
            dots: Multiplications of one step.
            add: Emits some steps of a tap's row and column.
        """
        taps_h, taps_w = self.packing.taps
        steps, group = self.packing.steps, self.isa.group_steps
        groups = range(0, steps, group)
        if taps_h * taps_w * steps * dots <= self.isa.max_unrolled_dots:
            for kh, kw, first in product(range(taps_h), range(taps_w), groups):
                add(kh, kw, first, min(group, steps - first))
            return
        with vector.loop(taps_h) as kh, vector.loop(taps_w) as kw:
            if steps * dots <= self.isa.max_unrolled_dots:
                for first in groups:
                    add(kh, kw, first, min(group, steps - first))
            else:
                is_first = taps_h * taps_w == 1
                for_steps(self.isa, steps, partial(add, kh, kw), is_first=is_first)


@contextmanager
def _serial(extent: Any) -> Iterator[Any]:
    with T.serial(0, extent) as index:
        yield index
