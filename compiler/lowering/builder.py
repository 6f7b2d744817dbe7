"""Collects buffers, kernel calls and functions into a Program."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.lowering.factors import factors_of_constants
from octavo.compiler.lowering.kernel_call import KernelCall, Scheduler, model_choice
from octavo.compiler.lowering.place_order import with_few_changes
from octavo.compiler.lowering.program import (
    Buffer,
    Factors,
    Operand,
    Port,
    Program,
    Step,
    Storage,
)
from octavo.compiler.lowering.tensor import Tensor
from octavo.targets.accelerator import Accelerator
from octavo.targets.base import Target
from octavo.targets.instructions import isa_of
from octavo.targets.library import select
from octavo.targets.opencl.library import GpuKernel, select_gpu
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.requantize import PARAM_ZERO_POINT
from octavo.targets.ops.result_range import largest_result
from octavo.targets.ops.work import macs, touched
from octavo.targets.padding import Padding, padding_of
from octavo.targets.schedule import ScheduleRecord, schedules_of

FAILURES_BYTES = 4  # of the word that kernels of an accelerator set when they fail


@dataclass(frozen=True)
class Origin:
    """Which ONNX nodes a step computes.

    Attributes:
        name: What a person calls the step.
        op_types: ONNX operators, in order.
        nodes: Names of the nodes, in the same order.
        reason: Why the step is float, or "".
    """

    name: str
    op_types: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    reason: str = ""


@dataclass
class ProgramBuilder:
    """Appends steps; functions for equal operations are built once.

    Attributes:
        target: What the kernels are for.
        scheduler: Asked for the schedule of every kernel call.
    """

    target: Target
    scheduler: Scheduler = model_choice
    steps: list[Step] = field(default_factory=list)
    functions: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.isa = isa_of(self.target)
        self._symbols: dict[Any, str] = {}
        self._num_buffers = 0
        self._failures: Buffer | None = None

    def arena(self, name: str, num_bytes: int, persistent: bool = False) -> Buffer:
        """Reserve planned memory."""
        self._num_buffers += 1
        return Buffer(f"{name}#{self._num_buffers}", max(1, num_bytes), persistent=persistent)

    def weights(
        self, name: str, data: NDArray[Any], factors: Factors | None = None
    ) -> Buffer:
        """Add constant bytes, and what they are products of."""
        self._num_buffers += 1
        contiguous = np.ascontiguousarray(data)
        return Buffer(
            f"{name}#{self._num_buffers}",
            max(1, contiguous.nbytes),
            Storage.WEIGHTS,
            contiguous,
            factors=factors,
        )

    def call(
        self,
        op: Any,
        inputs: Sequence[Tensor],
        arrays: Mapping[str, NDArray[Any]],
        outputs: Sequence[Tensor],
        origin: Origin,
        placement: str = "int8",
        factors: Factors | None = None,
    ) -> None:
        """Append one kernel call.

        Args:
            op: Operation record of ``octavo.targets.ops``.
            inputs: In the operation's order; each pointer is to the tensor's ``address``.
            arrays: The operation's constants by name.
            outputs: In the operation's order.
            origin: The ONNX nodes.
            placement: "int8" or "float32".
            factors: What the weight is products of, where that is known.
        """
        accelerator = self.target.accelerator
        gpu_kernel = None
        if accelerator is not None:
            gpu_kernel = select_gpu(op, accelerator, arrays)
        if accelerator is not None and gpu_kernel is not None:
            made = self._constants(
                origin.name, partial(gpu_kernel.constants, op, accelerator), arrays, factors
            )
            self._call_gpu(
                gpu_kernel, accelerator, op, inputs, made, outputs, origin, placement
            )
            return
        isa = self.isa.for_weights(_lowest_weight(arrays))
        if type(op) is Conv and "float32" not in (op.dtype, op.requantize.dtype):
            zero_point = int(arrays["params"].reshape(-1)[PARAM_ZERO_POINT])
            isa = isa.for_results(largest_result(op, arrays), zero_point)
        kernel: Any = select(op, isa, arrays)
        call = KernelCall(
            kernel, op, isa, inputs, outputs, arrays, placement, origin.nodes
        )
        choice = self.scheduler(call)
        if choice is not None:
            kernel, schedule = choice.scheduled(), choice.schedule
        else:
            schedule = next(iter(schedules_of(kernel, op, isa)), None)
        key = (kernel.name, op, schedule, isa)
        symbol = self.function(key, kernel.name, lambda: kernel.build(op, isa))
        about = touched(op)
        operands = _operands(inputs, about.inputs, is_written=False)
        operands += self._constants(
            origin.name, partial(kernel.constants, op, isa), arrays, factors
        )
        operands += _operands(outputs, about.outputs, is_written=True)
        scratch = kernel.scratch_bytes(op, isa)
        if scratch:
            buffer = self.arena(f"{origin.name}.scratch", scratch)
            operands.append(Operand(buffer, is_written=True, touched_bytes=0))
        self.append(
            symbol,
            operands,
            origin,
            placement,
            kernel.variant(op, isa),
            macs(op),
            None if schedule is None else schedule.record(),
            is_tuned=choice is not None,
            op=op,
            padding=padding_of(kernel, op, isa),
        )

    def _call_gpu(
        self,
        kernel: GpuKernel[Any],
        accelerator: Accelerator,
        op: Any,
        inputs: Sequence[Tensor],
        constants: Sequence[Operand],
        outputs: Sequence[Tensor],
        origin: Origin,
        placement: str,
    ) -> None:
        """Append a call that the accelerator computes; it needs no scratch memory."""
        symbol = self.function(
            (kernel.name, op), kernel.name, lambda: kernel.build(op, accelerator)
        )
        about = touched(op)
        operands = _operands(inputs, about.inputs, is_written=False)
        operands += constants
        operands += _operands(outputs, about.outputs, is_written=True)
        can_fail = getattr(kernel, "can_fail", None)
        if can_fail is not None and can_fail(op):
            if self._failures is None:
                self._failures = self.arena("failures", FAILURES_BYTES, persistent=True)
            operands.append(Operand(self._failures, is_written=True, touched_bytes=0))
        self.append(
            symbol,
            operands,
            origin,
            placement,
            kernel.variant(op, accelerator),
            macs(op),
            on_accelerator=True,
            op=op,
        )

    def _constants(
        self,
        name: str,
        make: Callable[[Mapping[str, NDArray[Any]]], Sequence[NDArray[Any]]],
        arrays: Mapping[str, NDArray[Any]],
        factors: Factors | None,
    ) -> list[Operand]:
        made = make(arrays)
        parts = factors_of_constants(make, arrays, made, factors)
        return [
            Operand(self.weights(name, data, part))
            for data, part in zip(made, parts, strict=True)
        ]

    def function(self, key: Any, stem: str, build: Callable[[], Any]) -> str:
        """Symbol of the function for a key, built when the key is new."""
        symbol = self._symbols.get(key)
        if symbol is None:
            symbol = f"octavo_{stem}_{len(self.functions)}"
            self._symbols[key] = symbol
            self.functions[symbol] = build()
        return symbol

    def append(
        self,
        symbol: str,
        operands: Sequence[Operand],
        origin: Origin,
        placement: str,
        variant: str,
        macs: int = 0,
        schedule: ScheduleRecord | None = None,
        is_tuned: bool = False,
        on_accelerator: bool = False,
        op: Any = None,
        padding: tuple[Padding, ...] = (),
    ) -> None:
        """Append a call of a function that is already there."""
        self.steps.append(
            Step(
                name=origin.name,
                kernel=symbol,
                operands=tuple(operands),
                op_types=origin.op_types,
                nodes=origin.nodes,
                placement=placement,
                variant=variant,
                macs=macs,
                reason=origin.reason,
                schedule=schedule,
                is_tuned=is_tuned,
                on_accelerator=on_accelerator,
                op=op,
                padding=padding,
            )
        )

    def program(self, name: str, inputs: list[Port], outputs: list[Port]) -> Program:
        """Finish."""
        return Program(
            name, self.target.name, inputs, outputs, with_few_changes(self.steps),
            self.functions, alignment=self.target.alignment, failures=self._failures)


def _operands(
    tensors: Sequence[Tensor], elements: Sequence[int], *, is_written: bool
) -> list[Operand]:
    """Pointers to the tensors' addresses; ``elements`` take part, a tensor's end ends them."""
    return [
        Operand(
            tensor.buffer,
            tensor.address * tensor.itemsize,
            is_written=is_written,
            touched_bytes=(tensor.num_elements if count is None else count)
            * tensor.itemsize,
        )
        for tensor, count in zip_longest(tensors, elements)
        if tensor is not None
    ]


def _lowest_weight(arrays: Mapping[str, NDArray[Any]]) -> int:
    """The lowest weight that 8-bit activations are multiplied by; 0 without weights."""
    weights = [arrays[name] for name in ("weight", "recurrent") if name in arrays]
    return min((int(w.min()) for w in weights if w.dtype == np.int8 and w.size), default=0)
