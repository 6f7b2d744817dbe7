"""The input of a convolution as bfloat16 numbers: rounded once, padded, without gaps."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.bfloat16_isa import Bfloat16Isa
from octavo.targets.isa import Expr
from octavo.targets.kernels.conv_padding import SLACK_BYTES
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.kernels.spans import for_spans, power_of_two_below, shuffle
from octavo.targets.ops.bfloat16_conv import Bfloat16Conv
from octavo.targets.ops.conv import Conv

BFLOAT16_BYTES = 2
CHUNK_VECTORS = 64  # of a task, where nothing but elements is counted


@dataclass(frozen=True)
class RoundedInput:
    """A copy that holds what is multiplied, pixel after pixel, channels in whole pairs.

    Attributes:
        op: The convolution.
        isa: Instructions, of its arithmetic.
    """

    op: Bfloat16Conv
    isa: Bfloat16Isa

    @property
    def channels(self) -> int:
        """Channels of a pixel of the copy: an even number."""
        return -(-self.op.in_c // self.isa.dot_k) * self.isa.dot_k

    @cached_property
    def inner(self) -> Conv:
        """The convolution of the copy: of a dense image, each pixel of which is read."""
        op = self.op
        fields = {name: getattr(op, name) for name in Conv.__dataclass_fields__}
        inner = replace(Conv(**fields), in_c=self.channels, in_pixel_stride=0)
        if self._skips:
            inner = replace(inner, in_h=op.out_h, in_w=op.out_w, stride_h=1, stride_w=1)
        return inner

    @property
    def _skips(self) -> bool:
        """Whether pixels between those of a 1x1 convolution are left out."""
        op = self.op
        return (op.kernel_h, op.kernel_w) == (1, 1) and not op.is_padded and (
            max(op.stride_h, op.stride_w) > 1)

    @property
    def elements(self) -> int:
        """Elements of the copy."""
        inner = self.inner
        height = inner.in_h + inner.pad_top + inner.pad_bottom
        slack = SLACK_BYTES // BFLOAT16_BYTES
        return inner.batch * height * self._line + slack

    @property
    def _line(self) -> int:
        """Elements of a line of the copy."""
        inner = self.inner
        return (inner.in_w + inner.pad_left + inner.pad_right) * self.channels

    def emit(self, operands: Mapping[str, Any]) -> None:
        """Round "x" into "scratch", with zeros around it."""
        op = self.op
        is_dense = op.in_pixel == self.channels and not self._skips
        if is_dense and not op.is_padded:
            self._emit_elements(operands["x"], operands["scratch"])
            return
        inner, line = self.inner, self._line
        step_h, step_w = (op.stride_h, op.stride_w) if self._skips else (1, 1)
        left, top = max(inner.pad_left, 0), max(inner.pad_top, 0)
        skipped_w, skipped_h = max(-inner.pad_left, 0), max(-inner.pad_top, 0)
        columns = inner.in_w - skipped_w - max(-inner.pad_right, 0)
        rows = inner.in_h - skipped_h - max(-inner.pad_bottom, 0)
        height = inner.in_h + inner.pad_top + inner.pad_bottom
        x, scratch = operands["x"], operands["scratch"]
        zero = vector.bind(T.uint16(0))
        is_parallel = inner.batch * rows * columns * op.in_c >= PARALLEL_ELEMENTS
        with vector.loop(inner.batch * rows, parallel=is_parallel) as index:
            image, y = index // rows, index % rows
            at = vector.bind((image * height + y + top) * line)
            if left:
                vector.fill(scratch, at, zero, left * self.channels)
            first = (image * op.in_h + (y + skipped_h) * step_h) * op.in_w + skipped_w
            source, target = first * op.in_pixel, at + left * self.channels
            if is_dense:
                self._round(x, source, scratch, target, columns * self.channels)
            else:
                self._emit_pixels(
                    x, source, step_w * op.in_pixel, scratch, target, columns)
            right = max(inner.pad_right, 0)
            if right:
                vector.fill(
                    scratch, target + columns * self.channels, zero, right * self.channels)
        with vector.loop(inner.batch) as image:
            at = image * height * line
            if top:
                vector.fill(scratch, at, zero, top * line)
            if inner.pad_bottom > 0:
                below = (height - inner.pad_bottom) * line
                vector.fill(scratch, at + below, zero, inner.pad_bottom * line)

    def _emit_elements(self, x: Any, scratch: Any) -> None:
        """Round an input that lies as its copy."""
        total = self.inner.in_elements
        chunk = CHUNK_VECTORS * 2 * self.isa.lanes
        whole = total // chunk
        if whole:
            with vector.loop(whole, parallel=total >= PARALLEL_ELEMENTS) as index:
                at = vector.bind(index * chunk)
                self._round(x, at, scratch, at, chunk)
        if total % chunk:
            self._round(x, whole * chunk, scratch, whole * chunk, total % chunk)

    def _emit_pixels(
        self, x: Any, source: Expr, step: int, scratch: Any, target: Expr, columns: int
    ) -> None:
        """Round the pixels of a line, several at a time where they are small and dense."""
        op, lanes = self.op, self.isa.lanes
        done = 0
        if op.in_c < self.channels <= lanes // 2 and not lanes % self.channels and (
            step == op.in_c
        ):
            at_once = 2 * lanes // self.channels
            done = columns // at_once * at_once
            if done:
                with vector.loop(columns // at_once) as index:
                    self._round_small(
                        x, source + index * (at_once * op.in_c),
                        scratch, target + index * (2 * lanes))
        if done == columns:
            return
        with vector.loop(columns - done) as index:
            column = done + index
            at = vector.bind(source + column * step)
            to = vector.bind(target + column * self.channels)
            if op.in_c == self.channels:
                self._round(x, at, scratch, to, op.in_c)
                return
            # The last channels and the zero behind them; others may be written twice.
            part = min(lanes, power_of_two_below(self.channels))
            first = self.channels - part
            if first:
                self._round(x, at, scratch, to, first)
            ends = vector.splat(T.int32(part - 1), lanes)
            is_channel = tirx.Ramp(T.int32(0), 1, lanes) < ends
            values = vector.load(x, at + first, lanes)
            zero = vector.splat(T.float32(0), lanes)
            values = vector.bind(tirx.Select(is_channel, values, zero))
            rounded = self.isa.base.round_bfloat16(values, values)
            vector.store(scratch, to + first, vector.take_first(rounded, part), part)

    def _round_small(self, x: Any, source: Expr, scratch: Any, target: Expr) -> None:
        """Round as many pixels as fill a vector, each with a zero behind its channels."""
        op, lanes = self.op, self.isa.lanes
        pixels = lanes // self.channels
        zero = vector.splat(T.float32(0), lanes)
        order = [
            pixel * op.in_c + channel if channel < op.in_c else lanes
            for pixel in range(pixels) for channel in range(self.channels)]
        halves = []
        for half in range(2):
            values = vector.load(x, source + half * pixels * op.in_c, lanes)
            halves.append(vector.bind(shuffle([vector.bind(values), zero], order)))
        rounded = self.isa.base.round_bfloat16(*halves)
        vector.store(scratch, target, rounded, 2 * lanes)

    def _round(self, x: Any, source: Expr, scratch: Any, target: Expr, count: int) -> None:
        """Round neighbouring elements."""
        lanes = self.isa.lanes

        def emit(at: Expr, part: int) -> None:
            low = vector.bind(vector.load(x, source + at, lanes))
            high = low
            if part > lanes:
                high = vector.bind(vector.load(x, source + at + lanes, lanes))
            rounded = vector.bind(self.isa.base.round_bfloat16(low, high))
            vector.store(scratch, target + at, vector.take_first(rounded, part), part)

        for_spans(count, 2 * lanes, emit)
