"""A constant sparse matrix times features -> rows of numbers that are not 0.

    MatMul(DequantizeLinear(A), x) -> [Add] -> [Relu] -> [QuantizeLinear]

Features of several steps of time are brought into the order of nodes, whose rows are wide.
"""

from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.aggregation_tail import (
    float_aggregation_tail,
    float_bias,
    has_limits,
    integer_aggregation_tail,
    integer_bias,
)
from octavo.compiler.lowering.context import Context, Region, origin_of
from octavo.compiler.lowering.fusion import epilogue
from octavo.compiler.lowering.qdq_graph import (
    QuantParams,
    int_attribute,
    quantized_constant,
    shape_of,
)
from octavo.compiler.lowering.tensor import Order
from octavo.compiler.lowering.view import QdqView
from octavo.compiler.lowering.weights import integer_weights
from octavo.passes.message_passing.forms import Form
from octavo.targets.ops.aggregation import LARGEST_DIFFERENCE, LARGEST_SUM
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.node_order import with_order
from octavo.targets.ops.requantize import Requantize

# Where nodes have scales of their own, one number of a bias is an integer for each of them:
# the sums stay integers up to so many, which is 256 KiB.
MAX_NODE_BIASES = 1 << 16


@dataclass(frozen=True, eq=False)
class _Rows:
    """Numbers of a matrix that are not 0, row by row.

    Attributes:
        offsets: (rows + 1,) int32: where each row begins.
        columns: (numbers,) int32.
        weights: (numbers,).
    """

    offsets: NDArray[np.int32]
    columns: NDArray[np.int32]
    weights: NDArray[np.generic]


def integer_product(form: Form, view: QdqView, params: QuantParams) -> Region | None:
    """The region of integers, or None.

    Args:
        form: A product.
        view: The graph.
        params: Quantization of the features.
    """
    targets = 0 if not _is_transposed(form) else 1
    stored = integer_weights(quantized_constant(form.coefficients), channel_axis=targets)
    if stored is None:
        return None
    rows = _rows(stored.values, form)
    scale = stored.scale.astype(np.float64)
    acc_scale = np.float64(params.scale) * (scale[:1] if (scale == scale[0]).all() else scale)
    tail = integer_aggregation_tail(form, view, float(acc_scale.max()))
    channels = _channels(form)
    by_node = acc_scale.size > 1
    if tail.biases and by_node and form.num_nodes * channels > MAX_NODE_BIASES:
        tail = integer_aggregation_tail(form, view, np.inf)
    by_node_bias = bool(tail.biases) and by_node
    bias = integer_bias(tail, channels, acc_scale if by_node_bias else acc_scale[:1])
    heaviest = np.abs(rows.weights.astype(np.int64))
    sums = np.concatenate([[0], np.cumsum(heaviest)])
    most = int((sums[rows.offsets[1:]] - sums[rows.offsets[:-1]]).max())
    if most * LARGEST_DIFFERENCE + int(np.abs(bias.astype(np.int64)).max()) > LARGEST_SUM:
        return None
    nodes = (*form.nodes, *tail.nodes)

    def emit(ctx: Context) -> None:
        origin = origin_of(nodes)
        x = ctx.dense(ctx.tensor(form.features[0]), _order(form), origin)
        if tail.params is None:
            output = ctx.new_float(tail.result, _order(form))
        else:
            output = ctx.new_quantized(tail.result, tail.params, _order(form))
        record, arrays = epilogue(tail, ctx.mode, acc_scale, output, None)
        arrays["zero_point"] = np.array([x.zero_point], np.int32)
        if tail.biases:
            arrays["bias"] = bias
        op = replace(
            _record(form, rows, x.dtype, record),
            weight_dtype="int8",
            has_bias=bool(tail.biases),
            bias_by_node=by_node_bias,
            per_node=by_node,
        )
        op, constants = with_order(op, {**arrays, **_arrays(rows)})
        ctx.builder.call(op, [x], constants, [output], origin)

    return Region(nodes, emit)


def float_product(form: Form, view: QdqView) -> Region | None:
    """The region of floats, or None."""
    matrix = view.constant_float(form.coefficients)
    if matrix is None or form.output.dtype != ir.DataType.FLOAT:
        return None
    rows = _rows(matrix, form)
    tail = float_aggregation_tail(form, view)
    nodes = (*form.nodes, *tail.nodes)

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin(view.float_reason(form.head))
        x = ctx.float_tensor(form.features[0], _order(form))
        output = ctx.new_float(tail.result, _order(form))
        arrays = {"multiplier": np.ones(1, np.float32), **_arrays(rows)}
        if tail.biases:
            arrays["bias"] = float_bias(tail, _channels(form))
        if has_limits(tail):
            arrays["limits"] = np.array([tail.low, tail.high], np.float32)
        op = replace(
            _record(form, rows, "float32", Requantize(dtype="float32")),
            weight_dtype="float32",
            has_bias=bool(tail.biases),
            has_limits=has_limits(tail),
        )
        op, constants = with_order(op, arrays)
        ctx.builder.call(op, [x], constants, [output], origin, "float32")

    return Region(nodes, emit)


def _record(form: Form, rows: _Rows, dtype: str, record: Requantize) -> CsrAggregate:
    return CsrAggregate(
        kind="sum",
        nodes=form.num_nodes,
        sources=form.num_sources,
        edges=len(rows.columns),
        channels=_channels(form),
        dtype=dtype,
        requantize=record,
    )


def _arrays(rows: _Rows) -> dict[str, NDArray[np.generic]]:
    weights = rows.weights.reshape(-1, 1)
    return {"offsets": rows.offsets, "places": rows.columns, "weight": weights}


def _rows(matrix: NDArray[np.generic], form: Form) -> _Rows:
    of_targets = matrix.T if _is_transposed(form) else matrix
    targets, sources = np.nonzero(of_targets)
    degrees = np.bincount(targets, minlength=form.num_nodes)
    offsets = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int32)
    return _Rows(offsets, sources.astype(np.int32), of_targets[targets, sources])


def _is_transposed(form: Form) -> bool:
    """Whether the matrix is stored with the targets in its columns."""
    on_right = form.head.inputs[0] is not form.coefficients
    turned = form.head.op_type == "Gemm" and bool(int_attribute(form.head, "transA", 0))
    return on_right or turned


def _order(form: Form) -> Order:
    """Nodes outermost."""
    rank = len(shape_of(form.output))
    return (form.axis, *(axis for axis in range(rank) if axis != form.axis))


def _channels(form: Form) -> int:
    shape = shape_of(form.output)
    return int(np.prod(shape, dtype=np.int64)) // shape[form.axis]
