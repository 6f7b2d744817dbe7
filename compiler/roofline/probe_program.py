"""A program whose steps measure a machine: one probe of a peak after the other.

The numbers of passes make a probe take tenths of milliseconds or more, far above the clock's
resolution; all of them together take some hundredths of a second.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from octavo.compiler.lowering.builder import Origin, ProgramBuilder
from octavo.compiler.lowering.program import Buffer, Operand, Port, Program
from octavo.compiler.lowering.tensor import Tensor, channels_last, dense_strides
from octavo.compiler.roofline.machine import Machine
from octavo.compiler.roofline.peaks import MEMORY
from octavo.targets.base import Target
from octavo.targets.bfloat16_isa import Bfloat16Isa, bfloat16_isa
from octavo.targets.float_isa import float_isa
from octavo.targets.isa import Isa
from octavo.targets.kernels import probes
from octavo.targets.ops.bfloat16_conv import bfloat16_conv
from octavo.targets.ops.conv import Conv

CALL = "call"
NUM_CALLS = 16  # a call is as short as the clock's resolution
DOT_MACS = 1 << 27  # of one thread; a third of a millisecond at 400 GMAC/s
STREAM_BYTES = 1 << 26  # of one thread: 0.2 ms from a fast first level, 3 ms from main memory
# A product whose operands stay in the second level: 2**26 products for each thread.
PRODUCT_ROWS, PRODUCT_COLUMNS, PRODUCT_DEPTH = 1024, 256, 256
# Main memory is what no cache holds; more would only take longer.
MEMORY_CACHES, MAX_MEMORY_BYTES, MIN_MEMORY_BYTES = 4, 1 << 28, 1 << 26
PRIVATE_LEVELS = 2  # the first and second level belong to one core, the third to all
# Parts of a cache that a probe may fill: the smaller one leaves room for what else it holds.
CACHE_SHARES = (0.5, 0.75)
MIN_GROWTH = 1.25  # a stream so much larger than a cache finds next to nothing in it


@dataclass(frozen=True)
class Probe:
    """One measurement.

    Attributes:
        quantity: "int8", "float32", "bfloat16", the name of a level of memory, or ``CALL``.
        step: Index of the step.
        work: Multiply-accumulates or bytes of one run; 0 for a call.
    """

    quantity: str
    step: int
    work: int


@dataclass(frozen=True)
class StreamSize:
    """How a level of memory is probed.

    Attributes:
        name: "L1", "L2", "L3" or "memory".
        capacity_bytes: What it holds, over all threads; None for main memory.
        task_bytes: What each thread reads.
        passes: Times that it reads it.
    """

    name: str
    capacity_bytes: int | None
    task_bytes: int
    passes: int


def stream_sizes(machine: Machine, num_threads: int, step_bytes: int) -> list[StreamSize]:
    """Choose what to read so that it comes from each level, main memory last.

    Args:
        machine: With the sizes of its caches.
        num_threads: Threads.
        step_bytes: What sizes must be a multiple of.
    """
    sizes: list[StreamSize] = []
    inner = 0  # bytes that the levels before hold for one thread
    for level, num_bytes in machine.caches:
        is_shared = level > PRIVATE_LEVELS
        capacity = num_bytes if is_shared else num_bytes * num_threads
        shares = [
            _multiple(int(capacity * s) // num_threads, step_bytes) for s in CACHE_SHARES
        ]
        task_bytes = next((b for b in shares if b >= MIN_GROWTH * inner), None)
        if task_bytes is not None:
            passes = max(1, STREAM_BYTES // task_bytes)
            sizes.append(StreamSize(f"L{level}", capacity, task_bytes, passes))
            inner = capacity // num_threads
    largest = max((num_bytes for _, num_bytes in machine.caches), default=0)
    total = min(max(MEMORY_CACHES * largest, MIN_MEMORY_BYTES), MAX_MEMORY_BYTES)
    return [
        *sizes, StreamSize(MEMORY, None, _multiple(total // num_threads, step_bytes), 1)
    ]  # fmt: skip


def _multiple(num_bytes: int, step_bytes: int) -> int:
    return max(num_bytes // step_bytes, 1) * step_bytes


@dataclass
class ProbeProgram:
    """Collects the probes for a target.

    Attributes:
        target: What to generate code for.
        sizes: From ``stream_sizes``.
        num_threads: Threads.
        probes: What the steps measure.
    """

    target: Target
    sizes: list[StreamSize]
    num_threads: int
    probes: list[Probe] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Peaks are those of the CPU; a GPU would run the probes in an order of its own.
        self._builder = ProgramBuilder(replace(self.target, accelerator=None))
        self._result: Buffer | None = None

    def build(self) -> Program:
        """Emit every probe."""
        isa = self._builder.isa
        self._streams(isa)
        arithmetics: list[tuple[Isa, str]] = [(isa, "int8"), (float_isa(isa), "float32")]
        if (pairs := bfloat16_isa(isa)) is not None:
            arithmetics.append((pairs, "bfloat16"))
        for arithmetic, placement in arithmetics:
            self._dots(arithmetic, placement)
            self._product(arithmetic, placement)
        for _ in range(NUM_CALLS):
            self._calls()
        last = self._result
        assert last is not None
        port = Port("result", "int32", (last.num_bytes // 4,), last)
        return self._builder.program("octavo_peaks", [], [port])

    def _streams(self, isa: Isa) -> None:
        # Kept memory is zeroed before the first run: pages that nobody wrote would all be one.
        num_bytes = max(size.task_bytes for size in self.sizes) * self.num_threads
        memory = self._builder.arena("memory", num_bytes, persistent=True)
        sums = self._builder.arena("sums", self.num_threads * probes.stream_step(isa))
        for size in self.sizes:
            function = probes.read_stream(isa, self.num_threads, size.task_bytes, size.passes)
            work = self.num_threads * size.task_bytes * size.passes
            operands = [Operand(memory), Operand(sums, is_written=True)]
            for _ in range(1 if size.name == MEMORY else 2):  # the first fills the cache
                self._append(f"read_{size.name}", function, operands, size.name, work)

    def _dots(self, isa: Isa, placement: str) -> None:
        passes = max(1, DOT_MACS // probes.dot_macs(isa, 1, 1))
        activations, weights, sums = probes.dot_sizes(isa, self.num_threads)
        ones = np.ones(weights, probes.weight_dtype(isa))
        operands = [
            Operand(self._builder.weights("activations", _ones(activations, isa))),
            Operand(self._builder.weights("weights", ones)),
            Operand(self._builder.arena("sums", sums * 4), is_written=True),
        ]
        function = probes.dot_loop(isa, self.num_threads, passes)
        work = probes.dot_macs(isa, self.num_threads, passes)
        self._append(f"dot_{placement}", function, operands, placement, work)

    def _product(self, isa: Isa, placement: str) -> None:
        """The library's own kernel: other units than vectors' may do it."""
        rows = PRODUCT_ROWS * self.num_threads
        dtype = isa.activation_dtype if placement == "int8" else "float32"
        op = Conv(
            batch=1, in_h=1, in_w=rows, in_c=PRODUCT_DEPTH, out_c=PRODUCT_COLUMNS, dtype=dtype
        )
        if placement == "bfloat16":
            assert isinstance(isa, Bfloat16Isa)
            op = bfloat16_conv(op, isa.base.bfloat16_sums)
        x, y = (
            self._tensor(name, dtype, rows, channels)
            for name, channels in (("x", PRODUCT_DEPTH), ("y", PRODUCT_COLUMNS))
        )
        weight = np.ones((PRODUCT_COLUMNS, 1, 1, PRODUCT_DEPTH))
        zeros = np.zeros(PRODUCT_COLUMNS)
        arrays = {
            "weight": weight.astype(np.int8 if placement == "int8" else np.float32),
            "bias": zeros.astype(isa.acc_dtype),
            "zero_point": np.zeros(1, np.int32),
            "params": np.array([0, 0, 127, 0], np.int32),
            "multiplier": np.ones(PRODUCT_COLUMNS, np.float32),
            "limits": np.array([-np.inf, np.inf], np.float32),
        }
        origin = Origin(f"product_{placement}")
        self._builder.call(op, [x], arrays, [y], origin, placement)
        self.probes.append(Probe(placement, len(self._builder.steps) - 1, op.macs))

    def _tensor(self, name: str, dtype: str, rows: int, channels: int) -> Tensor:
        shape = (1, channels, 1, rows)
        num_bytes = rows * channels * np.dtype(dtype).itemsize
        buffer = self._builder.arena(name, num_bytes, persistent=name == "x")
        return Tensor(buffer, dtype, shape, dense_strides(shape, channels_last(4)))

    def _calls(self) -> None:
        self._result = self._builder.arena("result", self.num_threads * 4)
        operands = [Operand(self._result, is_written=True)]
        self._append(CALL, probes.empty_call(self.num_threads), operands, CALL, 0)

    def _append(
        self, name: str, function: Any, operands: list[Operand], quantity: str, work: int
    ) -> None:
        symbol = self._builder.function(name, name, lambda: function)
        self._builder.append(symbol, operands, Origin(name), "int8", name)
        self.probes.append(Probe(quantity, len(self._builder.steps) - 1, work))


def _ones(count: int, isa: Isa) -> Any:
    return np.ones(count, isa.activation_dtype)
