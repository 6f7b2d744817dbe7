"""Convolution and product with constant weights on a GPU: a tile of pixels per work item.

Every work item keeps some pixels of some quads of output channels in registers. Weights come
in words of four input channels, for four output channels at a time, and each is used for all
pixels of the tile. The work items of a group share what they read through the first-level
cache: the shape of the group is the one in which they read least.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.epilogue import (
    QuadEpilogue,
    emit_quads,
    epilogue_arrays,
    epilogue_parameters,
)
from octavo.targets.opencl.grid import (
    QUAD,
    Expr,
    Parameter,
    View,
    bind,
    call,
    grid_func,
    lane,
    local,
    loop,
    quotient,
    rest,
)
from octavo.targets.opencl.pixels import (
    may_leave,
    output_element,
    output_place,
    read_pixel,
)
from octavo.targets.opencl.prelude import dots
from octavo.targets.opencl.tiles import conv_tile
from octavo.targets.ops.conv import Conv

Arrays = Mapping[str, NDArray[Any]]
WORDS_AT_ONCE = 4  # of activations that one load brings


class GpuConv:
    """Serves every integer convolution and product with constant weights."""

    name = "gpu_conv"

    def reject(self, op: Conv, accelerator: Accelerator) -> str:
        """Accept every integer convolution."""
        return "float32 arithmetic" if op.dtype == "float32" else ""

    def variant(self, op: Conv, accelerator: Accelerator) -> str:
        """Name the device and the tile."""
        emitter = _Emitter(op, accelerator)
        return f"{self.name}.{accelerator.name}.{emitter.pixels}x{emitter.tile_quads * QUAD}"

    def build(self, op: Conv, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        return _Emitter(op, accelerator).build()

    def constants(
        self, op: Conv, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """Pack weights, fold the input zero point into the bias."""
        return _Emitter(op, accelerator).constants(arrays)


class _Emitter:
    """Emits one convolution."""

    def __init__(self, op: Conv, accelerator: Accelerator) -> None:
        self.op = op
        self.accelerator = accelerator
        self.quads = -(-op.group_out // QUAD)
        self.words = -(-op.group_in // QUAD)
        self.total_pixels = op.batch * op.out_h * op.out_w
        self.pixels, self.tile_quads = conv_tile(
            accelerator, pixels=self.total_pixels, quads=self.quads, groups=op.groups,
            words_at_once=self.step)
        self.taps = op.kernel_h * op.kernel_w

    @property
    def channels(self) -> int:
        """Channels of all groups, filled up to quads."""
        return self.op.groups * self.quads * QUAD

    @property
    def step(self) -> int:
        """Words of one load."""
        return WORDS_AT_ONCE if self.words % WORDS_AT_ONCE == 0 else 1

    def _fill(self, values: NDArray[Any]) -> NDArray[Any]:
        """Fill one value per channel up to quads of each group."""
        op = self.op
        full = np.zeros((op.groups, self.quads * QUAD), values.dtype)
        full[:, : op.group_out] = np.broadcast_to(values, (op.out_c,)).reshape(op.groups, -1)
        return full.reshape(-1)

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        op = self.op
        weight = arrays["weight"].reshape(op.groups, op.group_out, self.taps, op.group_in)
        full = np.zeros(
            (op.groups, self.quads * QUAD, self.taps, self.words * QUAD), np.int8)
        full[:, : op.group_out, :, : op.group_in] = weight
        split = full.reshape(op.groups, self.quads, QUAD, self.taps, self.words, QUAD)
        # Neighbouring work items have neighbouring quads, and read them at the same time.
        packed = np.ascontiguousarray(split.transpose(0, 3, 4, 1, 2, 5))
        zero_point = arrays["zero_point"].astype(np.int64).reshape(-1)[0]
        sums = arrays["weight"].astype(np.int64).reshape(op.out_c, -1).sum(axis=1)
        bias = (arrays["bias"].astype(np.int64) - zero_point * sums).astype(np.int32)
        constants = [packed.reshape(-1).view(np.int32), self._fill(bias.reshape(-1))]
        constants += epilogue_arrays(op.requantize, self.channels, arrays, self._fill)
        if may_leave(op):
            # Four bytes of the value 0, as a word.
            byte = int(zero_point) & 0xFF
            constants.append(np.array([byte * 0x01010101], np.uint32).view(np.int32))
        return constants

    def parameters(self) -> list[Parameter]:
        op = self.op
        parameters: list[Parameter] = [("x", op.in_elements, op.dtype)]
        if op.requantize.residual:
            parameters.append(("residual", op.out_elements, op.requantize.residual))
        words = self.op.groups * self.quads * self.taps * self.words * QUAD
        parameters += [("weight", words, "int32"), ("bias", self.channels, "int32")]
        parameters += epilogue_parameters(op.requantize, self.channels)
        if may_leave(op):
            parameters.append(("padding", 1, "int32"))
        return [*parameters, ("y", op.out_elements, op.requantize.dtype)]

    def build(self) -> Any:
        op = self.op
        blocks = -(-self.quads // self.tile_quads)
        tiles = -(-self.total_pixels // self.pixels)
        return grid_func(
            self.accelerator,
            self.parameters(),
            (op.groups * blocks, tiles),
            lambda views, place: self._body(views, blocks, *place),
            item_bytes=(self.tile_quads * QUAD * QUAD, self.pixels * QUAD),
        )

    def _body(self, views: dict[str, View], blocks: int, task: Expr, tile: Expr) -> None:
        op = self.op
        group = bind(quotient(task, blocks)) if op.groups > 1 else 0
        first = bind(rest(task, blocks) * self.tile_quads)
        # Quads behind the last one compute what the last one does, and are not stored.
        quads = [bind(T.min(first + i, T.int32(self.quads - 1))) if i else first
                 for i in range(self.tile_quads)]
        # The last tile moves back over its neighbour, so that all tiles are whole.
        start = bind(T.min(tile * self.pixels, T.int32(self.total_pixels - self.pixels)))
        numbers = [start + i for i in range(self.pixels)]
        places = [output_place(op, number) for number in numbers]
        count = self.pixels * self.tile_quads
        acc = local(count, "int32x4")
        for q, number in enumerate(quads):
            bias = bind(views["bias"].load_quad((group * self.quads + number) * QUAD))
            for p in range(self.pixels):
                T.buffer_store(acc, bias, [p * self.tile_quads + q])
        with loop(op.kernel_h) as kh, loop(op.kernel_w) as kw:
            self._tap(views, acc, group, quads, places, kh, kw)
        finish = QuadEpilogue(op.requantize, views)
        for p, place in enumerate(places):
            accs = [tirx.BufferLoad(acc, [p * self.tile_quads + q])
                    for q in range(self.tile_quads)]
            offset = bind(output_element(op, place) + group * op.group_out)
            constants = group * self.quads * QUAD
            emit_quads(finish, accs, first, self.quads, op.group_out, constants, offset)

    def _tap(
        self, views: dict[str, View], acc: Any, group: Expr, quads: list[Expr],
        places: list[tuple[Expr, Expr, Expr]], kh: Expr, kw: Expr,
    ) -> None:
        """Add the products of one tap."""
        op = self.op
        taps = [read_pixel(op, place, kh, kw) for place in places]
        starts = [bind(at + group * op.group_in) for at, _ in taps]
        inside = [condition for _, condition in taps]
        row = bind((group * self.taps + kh * op.kernel_w + kw) * self.words)
        padding = bind(views["padding"].load(0)) if may_leave(op) else None
        with loop(self.words // self.step) as block:
            loaded = []
            for p, at in enumerate(starts):
                words = bind(views["x"].load_words(
                    at + block * (self.step * QUAD), self.step))
                if padding is not None:
                    words = self._choose(inside[p], words, padding)
                loaded.append(words)
            for word in range(self.step):
                at = bind((row + (block * self.step + word)) * self.quads)
                for q, number in enumerate(quads):
                    quad_weights = bind(views["weight"].load_quad((at + number) * QUAD))
                    for p, words in enumerate(loaded):
                        one = words if self.step == 1 else lane(words, word)
                        index = p * self.tile_quads + q
                        total = call("int32x4", dots(op.dtype), one, quad_weights,
                                     tirx.BufferLoad(acc, [index]))
                        T.buffer_store(acc, total, [index])

    def _choose(self, inside: Expr, words: Expr, padding: Expr) -> Expr:
        if self.step == 1:
            return bind(call("int32", "octavo_pick", inside, words, padding))
        return bind(call(
            "int32x4", "octavo_pick4", inside, words, T.broadcast(padding, QUAD)))
