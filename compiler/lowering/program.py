"""The compiled program: a list of kernel calls over one arena and one weight blob.

This is the contract between lowering, which makes it, and the artifact writer, which plans its
memory, compiles its functions and writes it out as C.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.targets.padding import Padding

TENSOR_ALIGNMENT = 64  # bytes; a cache line, and the widest vector of most targets
SMALL_ALIGNMENT = 8  # bytes; constants too small for a vector: limits, zero points, factors


class Storage(Enum):
    """Where a buffer lives."""

    ARENA = "arena"  # planned memory, reused once its last reader has run
    WEIGHTS = "weights"  # the read-only weight blob, mapped from weights.bin


@dataclass(frozen=True, eq=False)
class Factors:
    """A float32 array as products, exactly: every number is float32(integer) * scale.

    Attributes:
        integers: int8, of the array's shape.
        scales: float32, of the same shape.
    """

    integers: NDArray[np.int8]
    scales: NDArray[np.float32]


@dataclass(eq=False)
class Buffer:
    """A contiguous run of bytes that kernels read or write.

    Attributes:
        name: Unique, for listings; the ONNX value where there is one.
        num_bytes: Size, at least 1.
        storage: Arena or weights.
        data: The bytes of a weight buffer, any dtype, C-contiguous; None in the arena.
        persistent: State that outlives one run (never reused, zeroed by prepare).
        factors: What the data are products of, where that is known.
    """

    name: str
    num_bytes: int
    storage: Storage = Storage.ARENA
    data: NDArray[Any] | None = None
    persistent: bool = False
    factors: Factors | None = None

    def alignment_of(self, tensor_alignment: int) -> int:
        """Bytes that its address is a multiple of, where large tensors have this many."""
        is_small = self.storage is Storage.WEIGHTS and self.num_bytes < tensor_alignment
        return SMALL_ALIGNMENT if is_small else tensor_alignment


@dataclass(frozen=True)
class Operand:
    """One pointer argument of a kernel: a buffer and a byte offset into it.

    Attributes:
        buffer: What it points into.
        offset_bytes: Where.
        is_written: The kernel writes there; else it reads.
        touched_bytes: Bytes of the buffer that the operation is about; None for all of it, 0
            for scratch.
    """

    buffer: Buffer
    offset_bytes: int = 0
    is_written: bool = False
    touched_bytes: int | None = None


@dataclass(frozen=True)
class Port:
    """A model input or output: a plain row-major tensor at the boundary.

    Attributes:
        name: The ONNX name.
        dtype: A numpy dtype name ("float32", "uint8", "int64", "bool", ...).
        shape: Static, row-major (as in the ONNX model).
        buffer: Where the caller writes the input or reads the output.
        scale: Quantization step of an integer port, else None.
        zero_point: Integer that stands for 0.0, else None.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    buffer: Buffer
    scale: float | None = None
    zero_point: int | None = None

    @property
    def num_bytes(self) -> int:
        """Size in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Step:
    """One kernel call.

    Attributes:
        name: What a person calls it: the ONNX node, with what was fused behind it.
        kernel: Symbol of the function in ``Program.functions``.
        operands: Pointer arguments, in the order of the function's parameters.
        op_types: ONNX operators that this step computes, in order ("Conv", "Relu").
        nodes: Names of those ONNX nodes.
        placement: "int8", "bfloat16" or "float32": the arithmetic between its ends; "int8"
            also where weights of 8 bits multiply activations of 16.
        variant: The implementation that was chosen ("conv_gemm.avx512_vnni.9x3").
        macs: Multiply-accumulates of one run.
        reason: For a float step, why no integer kernel serves it; else "".
        schedule: Loop decisions of the kernel as JSON values; None where it has none to make.
        is_tuned: The schedule was measured; else a model of the machine chose it.
        on_accelerator: The accelerator computes it: the parameters of its function are
            the operands, and then as many int32, the elements at which they begin.
        op: Operation record of ``octavo.targets.ops``; None of what the library has no
            kernel for.
        padding: What the kernel computes in vain; empty where it does not tell.
    """

    name: str
    kernel: str
    operands: tuple[Operand, ...]
    op_types: tuple[str, ...]
    nodes: tuple[str, ...]
    placement: str
    variant: str
    macs: int = 0
    reason: str = ""
    schedule: dict[str, int | str | bool] | None = None
    is_tuned: bool = False
    on_accelerator: bool = False
    op: Any = None
    padding: tuple[Padding, ...] = ()


@dataclass
class Program:
    """Steps in the order in which they run, and everything that they touch.

    Attributes:
        name: C identifier of the model.
        target_name: The target that the functions were made for.
        inputs: Model inputs, in the model's order.
        outputs: Model outputs, in the model's order.
        steps: Kernel calls.
        functions: Kernel symbol to TIR ``PrimFunc``; equal kernels share one.
        metadata: Notes for the manifest; JSON values only.
        alignment: Bytes that addresses of tensors are multiples of, and that may be read
            behind the arena and behind the weights.
        failures: One int32 of state that kernels of an accelerator set when they fail; None
            where none can.
    """

    name: str
    target_name: str
    inputs: list[Port]
    outputs: list[Port]
    steps: list[Step]
    functions: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    alignment: int = TENSOR_ALIGNMENT
    failures: Buffer | None = None

    def buffers(self) -> list[Buffer]:
        """Every buffer, in order of first use."""
        seen: dict[int, Buffer] = {id(p.buffer): p.buffer for p in self.inputs}
        for step in self.steps:
            seen.update((id(o.buffer), o.buffer) for o in step.operands)
        seen.update((id(p.buffer), p.buffer) for p in self.outputs)
        return list(seen.values())
