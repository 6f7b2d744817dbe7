"""Which GPU kernel serves which operation.

As in ``octavo.targets.library``: kernels import TVM, so they are imported when the first one
is asked for.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

from octavo.targets.accelerator import Accelerator
from octavo.targets.ops.attention import Attention
from octavo.targets.ops.binary import Binary
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.float_layer_norm import FloatLayerNorm
from octavo.targets.ops.gather import Gather
from octavo.targets.ops.layer_norm import LayerNorm
from octavo.targets.ops.matmul import MatMul
from octavo.targets.ops.move import Move
from octavo.targets.ops.pool import AveragePool, MaxPool, Reduce
from octavo.targets.ops.resize import Resize
from octavo.targets.ops.softmax import Softmax

Op_contra = TypeVar("Op_contra", contravariant=True)


class GpuKernel(Protocol[Op_contra]):
    """One way to compute one kind of operation on a GPU.

    The tensors of the built function are, in this order: the operation's inputs, the arrays
    of ``constants``, the outputs. After them come as many int32: the element at which each
    begins.

    A kernel that depends on values that may be wrong has a method ``can_fail(op)``; where that
    is true its last tensor is one int32, which it sets to 1 when it fails.
    """

    name: str

    def reject(self, op: Op_contra, accelerator: Accelerator) -> str:
        """Say why this kernel cannot compute ``op``, or return an empty string."""
        ...

    def variant(self, op: Op_contra, accelerator: Accelerator) -> str:
        """Name the implementation, for listings."""
        ...

    def build(self, op: Op_contra, accelerator: Accelerator) -> Any:
        """Emit the TIR PrimFunc, its loops bound to work items."""
        ...

    def constants(
        self, op: Op_contra, accelerator: Accelerator, arrays: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """Pack the operation's constants as the function wants them."""
        ...


@cache
def kernel_table() -> tuple[tuple[type, tuple[GpuKernel[Any], ...]], ...]:
    """Operation types and their kernels; the first that accepts an operation serves it."""
    from octavo.targets.opencl.attention import GpuAttention
    from octavo.targets.opencl.binary import GpuBinary
    from octavo.targets.opencl.conv import GpuConv
    from octavo.targets.opencl.csr_aggregate import GpuCsrAggregate
    from octavo.targets.opencl.depthwise import GpuDepthwise
    from octavo.targets.opencl.float_layer_norm import GpuFloatLayerNorm
    from octavo.targets.opencl.gather import GpuGather
    from octavo.targets.opencl.layer_norm import GpuLayerNorm
    from octavo.targets.opencl.matmul import GpuMatMul
    from octavo.targets.opencl.move import GpuMove
    from octavo.targets.opencl.pool import GpuAveragePool, GpuMaxPool
    from octavo.targets.opencl.reduce import GpuReduce
    from octavo.targets.opencl.resize import GpuResize
    from octavo.targets.opencl.softmax import GpuSoftmax

    return (
        (Conv, (GpuDepthwise(), GpuConv())),
        (MatMul, (GpuMatMul(),)),
        (Attention, (GpuAttention(),)),
        (Move, (GpuMove(),)),
        (Binary, (GpuBinary(),)),
        (MaxPool, (GpuMaxPool(),)),
        (AveragePool, (GpuAveragePool(),)),
        (Reduce, (GpuReduce(),)),
        (Gather, (GpuGather(),)),
        (CsrAggregate, (GpuCsrAggregate(),)),
        (Resize, (GpuResize(),)),
        (Softmax, (GpuSoftmax(),)),
        (LayerNorm, (GpuLayerNorm(),)),
        (FloatLayerNorm, (GpuFloatLayerNorm(),)),
    )


def select_gpu(
    op: Any, accelerator: Accelerator, arrays: Mapping[str, NDArray[Any]]
) -> GpuKernel[Any] | None:
    """The kernel that serves an operation, or None: then the CPU computes it.

    Args:
        op: An operation record of ``octavo.targets.ops``.
        accelerator: The GPU.
        arrays: The operation's constants by name: a kernel whose results depend on what they
            are has a method ``reject_constants``.
    """
    kernels = next((found for kind, found in kernel_table() if type(op) is kind), ())
    for kernel in kernels:
        reject = getattr(kernel, "reject_constants", None)
        reason = kernel.reject(op, accelerator)
        if not (reason or (reject is not None and reject(op, accelerator, arrays))):
            return kernel
    return None
