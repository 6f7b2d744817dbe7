"""Which kernels serve which operation, in order of preference.

Kernels import TVM, which takes seconds, so they are imported when the first one is asked for.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from octavo.errors import LoweringError
from octavo.targets.kernel import Slower
from octavo.targets.ops.attention import Attention
from octavo.targets.ops.bfloat16_conv import Bfloat16Conv
from octavo.targets.ops.binary import Binary
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.edge_order import EdgeOrder
from octavo.targets.ops.edge_softmax import EdgeSoftmax
from octavo.targets.ops.float_layer_norm import FloatLayerNorm
from octavo.targets.ops.gather import Gather
from octavo.targets.ops.gru import Gru
from octavo.targets.ops.index_bounds import IndexBounds
from octavo.targets.ops.index_check import IndexCheck
from octavo.targets.ops.integer_table import IntegerTable
from octavo.targets.ops.layer_norm import LayerNorm
from octavo.targets.ops.lstm import Lstm
from octavo.targets.ops.matmul import MatMul
from octavo.targets.ops.move import Move
from octavo.targets.ops.pool import AveragePool, MaxPool, Reduce
from octavo.targets.ops.resize import Resize
from octavo.targets.ops.softmax import Softmax
from octavo.targets.ops.word_conv import WordConv
from octavo.targets.ops.word_lstm import WordLstm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from octavo.targets.isa import Isa
    from octavo.targets.kernel import Kernel


@cache
def kernel_table() -> "tuple[tuple[type, tuple[Kernel[Any], ...]], ...]":
    """Operation types and their kernels; the first that accepts an operation serves it."""
    from octavo.targets.kernels.attention import AttentionRows
    from octavo.targets.kernels.bfloat16_gemm import Bfloat16Gemm
    from octavo.targets.kernels.binary import ElementwiseBinary
    from octavo.targets.kernels.conv_gemm import ConvGemm
    from octavo.targets.kernels.conv_lines import ConvLines
    from octavo.targets.kernels.csr_aggregate import CsrRows
    from octavo.targets.kernels.depthwise import Depthwise
    from octavo.targets.kernels.edge_order import CountingSort
    from octavo.targets.kernels.edge_partition import PartitionedSort
    from octavo.targets.kernels.edge_softmax import EdgeSoftmaxNodes
    from octavo.targets.kernels.float_layer_norm import FloatLayerNormRows
    from octavo.targets.kernels.gather import GatherSlices
    from octavo.targets.kernels.gru import GruGemm, GruNibbles
    from octavo.targets.kernels.index_bounds import IndexBoundsRows
    from octavo.targets.kernels.index_check import IndexRows
    from octavo.targets.kernels.integer_table import IntegerTableElements
    from octavo.targets.kernels.layer_norm import LayerNormRows
    from octavo.targets.kernels.lstm import LstmGemm, LstmNibbles
    from octavo.targets.kernels.matmul import MatMulGemm
    from octavo.targets.kernels.move import MoveElements
    from octavo.targets.kernels.nibble_gemm import NibbleGemm
    from octavo.targets.kernels.pool import AveragePoolWindows, MaxPoolWindows
    from octavo.targets.kernels.reduce import ReduceAxis
    from octavo.targets.kernels.resize import ResizeImage
    from octavo.targets.kernels.softmax import SoftmaxTable
    from octavo.targets.kernels.tile_attention import TileAttention
    from octavo.targets.kernels.tile_conv import TileConv
    from octavo.targets.kernels.tile_matmul import TileMatMul
    from octavo.targets.kernels.winograd import Winograd
    from octavo.targets.kernels.word_depthwise import WordDepthwise
    from octavo.targets.kernels.word_gemm import WordGemm
    from octavo.targets.kernels.word_gemm_parts import WordGemmParts
    from octavo.targets.kernels.word_lstm import WordLstmGemm

    return (
        (Conv, (NibbleGemm(), Depthwise(), TileConv(), Winograd(), ConvLines(), ConvGemm())),
        (Bfloat16Conv, (Bfloat16Gemm(),)),
        (WordConv, (WordDepthwise(), WordGemm(), WordGemmParts())),
        (MatMul, (TileMatMul(), MatMulGemm())),
        (Attention, (TileAttention(), AttentionRows())),
        (Move, (MoveElements(),)),
        (Binary, (ElementwiseBinary(),)),
        (MaxPool, (MaxPoolWindows(),)),
        (AveragePool, (AveragePoolWindows(),)),
        (Reduce, (ReduceAxis(),)),
        (Gather, (GatherSlices(),)),
        (EdgeOrder, (PartitionedSort(), CountingSort())),
        (EdgeSoftmax, (EdgeSoftmaxNodes(),)),
        (IndexBounds, (IndexBoundsRows(),)),
        (IndexCheck, (IndexRows(),)),
        (IntegerTable, (IntegerTableElements(),)),
        (CsrAggregate, (CsrRows(),)),
        (Resize, (ResizeImage(),)),
        (Softmax, (SoftmaxTable(),)),
        (LayerNorm, (LayerNormRows(),)),
        (FloatLayerNorm, (FloatLayerNormRows(),)),
        (Lstm, (LstmNibbles(), LstmGemm())),
        (WordLstm, (WordLstmGemm(),)),
        (Gru, (GruNibbles(), GruGemm())),
    )


def kernels_for(op: Any) -> "tuple[Kernel[Any], ...]":
    """Kernels for operations of the type of ``op``, in order of preference."""
    return next((kernels for kind, kernels in kernel_table() if type(op) is kind), ())


def select(
    op: Any, isa: "Isa", arrays: "Mapping[str, NDArray[Any]] | None" = None
) -> "Kernel[Any]":
    """Pick the kernel that serves ``op``.

    Args:
        op: An operation record of ``octavo.targets.ops``.
        isa: Instructions.
        arrays: The operation's constants by name; without them no kernel is taken that
            depends on them.

    Raises:
        LoweringError: No kernel accepts it; the message has each one's reason.
    """
    reasons = []
    for kernel in kernels_for(op):
        reason = kernel.reject(op, isa) or _reject_constants(kernel, op, isa, arrays)
        if not reason:
            return kernel
        reasons.append(f"{kernel.name}: {reason}")
    why = "; ".join(reasons) or "there is none for this kind of operation"
    raise LoweringError(f"no {isa.name} kernel computes {type(op).__name__}: {why}")


def able_kernels(
    op: Any, isa: "Isa", arrays: "Mapping[str, NDArray[Any]] | None" = None
) -> "Iterator[Kernel[Any]]":
    """Kernels that can compute ``op``, also those that expect others to be faster.

    Args:
        op: An operation record of ``octavo.targets.ops``.
        isa: Instructions.
        arrays: The operation's constants by name; without them no kernel is taken that
            depends on them.
    """
    for kernel in kernels_for(op):
        reason = kernel.reject(op, isa)
        if isinstance(reason, Slower):
            reason = ""
        if not (reason or _reject_constants(kernel, op, isa, arrays)):
            yield kernel


def _reject_constants(
    kernel: "Kernel[Any]", op: Any, isa: "Isa", arrays: "Mapping[str, NDArray[Any]] | None"
) -> str:
    """Why a kernel that is not exact for all constants cannot take these."""
    reject = getattr(kernel, "reject_constants", None)
    if reject is None:
        return ""
    return "depends on the constants" if arrays is None else str(reject(op, isa, arrays))
