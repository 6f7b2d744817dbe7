"""Convolution of small images line by line, without the products of padding.

Of the 144 taps of a 3x3 convolution of a 4x4 image, 44 lie outside. A tile of registers that
is exactly one line of the output knows for each of its pixels which columns of taps lie
inside, and loops over the rows of taps that do. The others are left out, and nothing is copied
between borders. What is left out counts as the input's zero point in the bias: where that is
not 0, there is one bias for each combination of rows and columns of taps.
"""

from collections.abc import Mapping
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Isa
from octavo.targets.kernel import Slower
from octavo.targets.kernels.conv_packing import Packing
from octavo.targets.kernels.conv_padding import PaddedInput, is_adjacent
from octavo.targets.kernels.epilogue import Epilogue, constant_arrays, constant_parameters
from octavo.targets.kernels.line_taps import LineTaps
from octavo.targets.kernels.panel_prefetch import PanelPrefetch
from octavo.targets.kernels.parallel import PARALLEL_MACS
from octavo.targets.kernels.tiling import MAX_ROWS
from octavo.targets.ops.conv import Conv
from octavo.targets.padding import Padding

Arrays = Mapping[str, NDArray[Any]]
MIN_SAVING = 0.08  # of the cycles, by the model
# Steps of one tap: the end of a shorter loop is often guessed wrong, for each tap and line.
# Measured with AVX-512 VNNI on lines of 4 to 14 pixels: 1.2 to 2 times as slow as a matrix
# product with 24 and 32 channels, as fast with 64, faster by what padding takes with 128.
MIN_STEPS = 16


class ConvLines:
    """Serves padded convolutions whose output lines fit the registers.

    Attributes:
        min_saving: Share of the cycles that must be saved, by the model of the machine.
    """

    name = "conv_lines"

    def __init__(self, min_saving: float = MIN_SAVING) -> None:
        self.min_saving = min_saving

    def reject(self, op: Conv, isa: Isa) -> str:
        """Accept small images: those of which padding is a noticeable part."""
        if op.dtype != isa.activation_dtype:
            return f"{op.dtype} activations; {isa.name} multiplies {isa.activation_dtype}"
        if not op.is_padded or min(op.pad_top, op.pad_left, op.pad_bottom, op.pad_right) < 0:
            return "there is no padding to leave out"
        if op.groups != 1 or op.in_c % isa.dot_k:
            return f"{op.in_c} channels in {op.groups} groups are not whole steps"
        if (isa.block_rows, isa.block_registers, isa.group_steps) != (1, 1, 1):
            return f"{isa.name} does not multiply one pixel and one step at a time"
        if isa.tile_registers(op.out_w, 1) > isa.num_registers:
            return f"lines of {op.out_w} pixels do not fit the registers"
        if op.in_c // isa.dot_k < MIN_STEPS:
            return Slower(f"loops over {op.in_c} channels are short")
        emitter = _Emitter(op, isa)
        if emitter.cycles() > (1 - self.min_saving) * emitter.gemm_cycles():
            return Slower("padding is a small part of the image")
        return ""

    def variant(self, op: Conv, isa: Isa) -> str:
        """Name instructions and register tile."""
        return f"{self.name}.{isa.name}.{op.out_w}x{_Emitter(op, isa).panel * isa.lanes}"

    def padding(self, op: Conv, isa: Isa) -> tuple[Padding, ...]:
        """Channels are rounded up to vectors; pixels are exact."""
        return Packing(op, isa).padding

    def build(self, op: Conv, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa).build()

    def constants(self, op: Conv, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights, fold the input zero point into the biases."""
        return _Emitter(op, isa).constants(arrays)

    def scratch_bytes(self, op: Conv, isa: Isa) -> int:
        """None: the input is read where it is."""
        del op, isa
        return 0


class _Emitter:
    """Emits one convolution."""

    def __init__(self, op: Conv, isa: Isa) -> None:
        self.op = op
        self.isa = isa
        self.packing = Packing(op, isa)
        self.taps = LineTaps(op)
        self.padded = PaddedInput(op)  # knows where outputs go
        self.steps = op.in_c // isa.dot_k  # of one tap

    @cached_property
    def panel(self) -> int:
        """Vectors of output channels of a tile."""
        fitting = [
            panel for panel in range(1, self.packing.vectors + 1)
            if self.isa.tile_registers(self.op.out_w, panel) <= self.isa.num_registers]
        return min(fitting, key=lambda panel: (self.cycles(panel), -panel))

    def cycles(self, panel: int = 0) -> float:
        """Modelled cycles of all products."""
        panel = panel or self.panel
        full, rest = divmod(self.packing.vectors, panel)
        rows = [len(self.taps.inside(kw)) for kw in range(self.op.kernel_w)]
        cycles = sum(
            self._step_cycles(r, panel) * full + (self._step_cycles(r, rest) if rest else 0)
            for r in rows if r)
        return cycles * self.steps * self.taps.rows_of_taps * self.op.batch

    def gemm_cycles(self) -> float:
        """The same of a product that includes the padding, in tiles of the best size."""
        op, isa = self.op, self.isa
        dots = op.batch * op.out_h * op.out_w * self.packing.vectors * self.steps
        dots *= op.kernel_h * op.kernel_w
        return dots * min(
            self._step_cycles(rows, panel) / (rows * panel)
            for panel in range(1, self.packing.vectors + 1)
            for rows in range(1, min(MAX_ROWS, op.batch * op.out_h * op.out_w) + 1)
            if isa.tile_registers(rows, panel) <= isa.num_registers)

    def _step_cycles(self, rows: int, vectors: int) -> float:
        isa, pipeline = self.isa, self.isa.pipeline
        loads = rows * isa.activation_loads + vectors * isa.weight_loads
        cycles = max(
            rows * vectors * isa.dot_cost / pipeline.dots_per_cycle,
            loads / pipeline.loads_per_cycle, pipeline.dot_latency)
        return cycles + rows * isa.activation_cycles + vectors * isa.weight_cycles

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        weight = arrays["weight"]
        zero_point = arrays["zero_point"].astype(np.int64).reshape(-1)
        sums = self.taps.sums(weight)
        bias = arrays["bias"].astype(np.int64).reshape(-1) - zero_point * sums
        return [
            self.packing.pack_weight(weight, self.panel),
            bias.astype(np.int32).reshape(-1),
            *constant_arrays(self.op.requantize, self.op.out_c, arrays).values(),
        ]

    def build(self) -> Any:
        op = self.op
        inputs = [("x", op.in_elements, op.dtype)]
        if op.requantize.residual:
            inputs.append(("residual", op.out_elements, op.requantize.residual))
        parameters = [
            *inputs,
            ("weight", self.packing.stored_out * self.packing.channel_elements, "int8"),
            ("bias", self.taps.num_classes * op.out_c, self.isa.acc_dtype),
            *constant_parameters(op.requantize, op.out_c),
            ("y", op.out_elements, op.requantize.dtype),
        ]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True))))

    def _body(self, operands: dict[str, Any]) -> None:
        lines = self.op.batch * self.op.out_h
        panels = -(-self.packing.vectors // self.panel)
        last = self.packing.vectors - (panels - 1) * self.panel
        is_whole = last == self.panel and self.op.out_c % self.isa.lanes == 0
        parallel = self.op.macs >= PARALLEL_MACS
        with vector.loop(panels * lines, parallel=parallel) as task:
            line = vector.bind(T.int32(0) + task % lines)
            panel = task // lines
            emit = partial(self._line, operands, line)
            if is_whole:
                emit(panel, self.panel)
            elif panels == 1:
                emit(0, last, is_last=True)
            else:
                with T.If(panel < panels - 1):
                    with T.Then():
                        emit(panel, self.panel)
                    with T.Else():
                        emit(panels - 1, last, is_last=True)

    def _line(
        self, operands: dict[str, Any], line: Any, panel: Any, vectors: int,
        is_last: bool = False,
    ) -> None:
        """Emit one line of the output and one panel of its channels."""
        op, isa, lanes = self.op, self.isa, self.isa.lanes
        first_channel = panel * (self.panel * lanes)
        channels = vectors * lanes
        if is_last:
            channels = op.out_c - (self.packing.vectors - vectors) * lanes
        y = line % op.out_h if op.batch > 1 else line
        low, high = (vector.bind(edge) for edge in self.taps.row_range(y))
        tile = vector.local(op.out_w * vectors * lanes, isa.acc_dtype)
        row_class = self.taps.row_class(low, high)
        for x, v in product(range(op.out_w), range(vectors)):
            at = self.taps.bias_class(row_class, x) * op.out_c + first_channel + v * lanes
            bias = vector.load(operands["bias"], at, lanes)
            vector.store(tile, (x * vectors + v) * lanes, bias, lanes)

        image = line // op.out_h * op.in_h if op.batch > 1 else 0
        top = vector.bind(
            ((image + y * op.stride_h - op.pad_top) * op.in_w - op.pad_left) * op.in_pixel)
        stored = vectors * lanes if isa.orders_columns else channels
        weights, step_elements = operands["weight"], stored * isa.dot_k
        weights_at = first_channel * self.packing.channel_elements
        num_steps = op.kernel_h * op.kernel_w * self.steps
        weights_end = weights_at + num_steps * step_elements
        ahead = PanelPrefetch(num_steps * step_elements, 1, op.batch * op.out_h, num_steps)
        ahead.emit_tile(weights, weights_end, line)
        with T.serial(low, high) as kh:
            source = vector.bind(top + kh * (op.dilation_h * op.in_w * op.in_pixel))
            for kw in range(op.kernel_w):
                inside = self.taps.inside(kw)
                offsets = {
                    x: (x * op.stride_w + kw * op.dilation_w) * op.in_pixel for x in inside}

                def add(
                    step: Any, kw: int = kw, kh: Any = kh, source: Any = source,
                    offsets: dict[int, int] = offsets,
                ) -> None:
                    number = (kh * op.kernel_w + kw) * self.steps + step
                    at = weights_at + number * step_elements
                    columns = [
                        isa.load_columns(weights, at + v * lanes * isa.dot_k)
                        for v in range(vectors)]
                    for x, offset in offsets.items():
                        (pixel,) = isa.load_block(
                            operands["x"], [source + offset + step * isa.dot_k], 1)
                        for v, column in enumerate(columns):
                            slot = (x * vectors + v) * lanes
                            total = vector.load(tile, slot, lanes)
                            (total,) = isa.dot_block([total], pixel, column)
                            vector.store(tile, slot, total, lanes)
                    ahead.emit_step(weights, weights_end, line, number)

                if self.steps * len(inside) * vectors <= isa.max_unrolled_dots:
                    for step in range(self.steps):
                        add(step)
                elif inside:
                    with vector.loop(self.steps) as step:
                        add(step)
        finish = Epilogue(op.requantize, isa, operands)
        pixels = [
            [vector.load(tile, (x * vectors + v) * lanes, lanes) for v in range(vectors)]
            for x in range(op.out_w)]
        outs = [self.padded.output_offset(line * op.out_w + x) for x in range(op.out_w)]
        if is_adjacent(op, isa, vectors):
            finish.emit_adjacent(pixels, first_channel, vector.bind(outs[0]))
            return
        for sums, out in zip(pixels, map(vector.bind, outs), strict=True):
            finish.emit_vectors(sums, first_channel, out + first_channel, channels)
