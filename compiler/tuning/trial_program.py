"""A program whose steps are candidates, each in the state of the caches that a network leaves.

Before a candidate runs, its weights are read and then displaced from the caches of the core by
other memory, as the other layers do between two runs of one: they come from the third level.
Its inputs are written last, as the layer before would have done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from octavo.compiler.lowering.builder import Origin, ProgramBuilder
from octavo.compiler.lowering.kernel_call import KernelCall
from octavo.compiler.lowering.program import Buffer, Operand, Port, Program, Storage
from octavo.compiler.lowering.tensor import Tensor
from octavo.compiler.tuning.records import TuningTask
from octavo.targets import vector
from octavo.targets.base import Target
from octavo.targets.implementation import Implementation
from octavo.targets.kernels.probes import read_stream, stream_step
from octavo.targets.schedule import Schedule

NAME = "trials"
SEED = 0
INPUT_SPREAD = 3.0  # standard deviation of float inputs; integers take every value


@dataclass(frozen=True, eq=False)
class Candidate:
    """A task with one of its schedules."""

    task: TuningTask
    schedule: Schedule


@dataclass
class TrialProgram:
    """Appends candidates.

    Attributes:
        target: What to generate code for.
        displaced_bytes: How much other memory is read before each candidate.
        steps: Index of the step of each candidate.
    """

    target: Target
    displaced_bytes: int
    steps: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._schedule: Schedule | None = None
        self._builder = ProgramBuilder(
            self.target, lambda call: Implementation(call.kernel, self._schedule)
        )
        self._rng = np.random.default_rng(SEED)
        self._displaced: Buffer | None = None
        self._inputs: dict[int, tuple[list[Tensor], list[Tensor], list[Buffer]]] = {}
        step = stream_step(self._builder.isa)
        self._displaced_bytes = self.displaced_bytes // step * step

    def build(self, candidates: Sequence[Candidate]) -> Program:
        """Emit the candidates, in this order."""
        for candidate in candidates:
            self._append(candidate)
        last = self._builder.steps[-1].operands[-1].buffer
        return self._builder.program(
            NAME, [], [Port("last", "uint8", (last.num_bytes,), last)]
        )

    def _append(self, candidate: Candidate) -> None:
        call = candidate.task.call
        if id(candidate.task) not in self._inputs:
            self._inputs[id(candidate.task)] = self._operands(call)
        inputs, outputs, values = self._inputs[id(candidate.task)]
        self._schedule = candidate.schedule
        before = self._builder.steps
        self._builder.steps = []
        self._builder.call(
            call.op, inputs, call.arrays, outputs, Origin(call.kernel.name), call.placement
        )
        own, self._builder.steps = self._builder.steps, before
        for step in own:
            for operand in step.operands:
                if operand.buffer.storage is Storage.WEIGHTS:
                    self._read(operand.buffer)
        self._displace()
        for tensor, value in zip(reversed(inputs), reversed(values), strict=True):
            self._write(tensor, value)
        self._builder.steps += own
        self.steps.append(len(self._builder.steps) - 1)

    def _operands(self, call: KernelCall) -> tuple[list[Tensor], list[Tensor], list[Buffer]]:
        """Tensors like the call's in memory of their own, and values for the inputs."""
        buffers: dict[int, Buffer] = {}

        def own(tensor: Tensor) -> Tensor:
            original = tensor.buffer
            if id(original) not in buffers:
                buffers[id(original)] = self._builder.arena("operand", original.num_bytes)
            return replace(tensor, buffer=buffers[id(original)])

        inputs = [own(tensor) for tensor in call.inputs]
        outputs = [own(tensor) for tensor in call.outputs]
        values = [self._builder.weights("values", self._values(tensor)) for tensor in inputs]
        return inputs, outputs, values

    def _values(self, tensor: Tensor) -> Any:
        count, dtype = tensor.buffer_elements, np.dtype(tensor.dtype)
        if dtype.kind == "f":
            return self._rng.normal(0, INPUT_SPREAD, count).astype(dtype)
        limits = np.iinfo(dtype)
        return self._rng.integers(limits.min, limits.max, count, dtype, endpoint=True)

    def _read(self, buffer: Buffer) -> None:
        step = stream_step(self._builder.isa)
        num_bytes = buffer.num_bytes // step * step
        if num_bytes:
            self._stream(buffer, num_bytes)

    def _displace(self) -> None:
        if not self._displaced_bytes:
            return
        if self._displaced is None:
            # Kept memory is zeroed at the start: pages that nobody wrote would all be one.
            self._displaced = self._builder.arena("other", self._displaced_bytes, True)
        self._stream(self._displaced, self._displaced_bytes)

    def _stream(self, buffer: Buffer, num_bytes: int) -> None:
        isa = self._builder.isa
        symbol = self._builder.function(
            ("read", num_bytes), "read", lambda: read_stream(isa, 1, num_bytes, 1))
        sums = self._builder.arena("sums", stream_step(isa))
        operands = [Operand(buffer), Operand(sums, is_written=True)]
        self._builder.append(symbol, operands, Origin("read"), "int8", "read")

    def _write(self, tensor: Tensor, values: Buffer) -> None:
        count, dtype = tensor.buffer_elements, tensor.dtype
        symbol = self._builder.function(
            ("write", count, dtype), "write", lambda: _copy(count, dtype))
        operands = [Operand(values), Operand(tensor.buffer, is_written=True)]
        self._builder.append(symbol, operands, Origin("write"), "int8", "write")


def _copy(count: int, dtype: str) -> Any:
    return vector.prim_func(
        [("values", count, dtype), ("x", count, dtype)],
        lambda values, x: vector.copy(x, 0, values, 0, count),
    )
