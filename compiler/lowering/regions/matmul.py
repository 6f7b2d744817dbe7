"""MatMul of two computed tensors -> the strided product kernel; transposes are not copied."""

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.context import Context, Region, origin_of
from octavo.compiler.lowering.fusion import epilogue, quantized_tail
from octavo.compiler.lowering.qdq_graph import ints_attribute, only_consumer, shape_of
from octavo.compiler.lowering.tensor import Order, Tensor, identity
from octavo.compiler.lowering.view import QdqView
from octavo.targets.ops.matmul import MatMul
from octavo.targets.ops.requantize import Requantize


def match_integer(node: ir.Node, view: QdqView) -> Region | None:
    """DQ, DQ -> MatMul -> [Relu | Clip] -> Q."""
    if (
        node.op_type != "MatMul"
        or not _fits(node)
        or not all(
            v is not None and (view.is_dequantized(v) or view.scalar_params(v))
            for v in node.inputs
        )
    ):
        return None
    tail = quantized_tail(node.outputs[0], view)
    if tail.params is None:
        return None
    params, nodes = tail.params, (node, *tail.nodes)

    def emit(ctx: Context) -> None:
        origin = Region(nodes, emit).origin()
        a, b = _operands(ctx, node, [ctx.tensor(v) for v in node.inputs if v is not None])
        output = ctx.new_quantized(tail.result, params, written_order(tail.result))
        acc_scale = np.array([np.float64(a.scale or 1.0) * np.float64(b.scale or 1.0)])
        record, arrays = epilogue(tail, ctx.mode, acc_scale, output, None)
        arrays["zero_points"] = np.array([a.zero_point, b.zero_point], np.int32)
        op = matmul_record(a, b, output, record)
        ctx.builder.call(op, [a, b], arrays, [output], origin)

    return Region(nodes, emit)


def match_float(node: ir.Node, view: QdqView) -> Region | None:
    """MatMul of float tensors."""
    if (
        node.op_type != "MatMul"
        or not _fits(node)
        or (node.outputs[0].dtype != ir.DataType.FLOAT)
    ):
        return None

    def emit(ctx: Context) -> None:
        origin = Region((node,), emit).origin(view.float_reason(node))
        tensors = [ctx.float_tensor(v) for v in node.inputs if v is not None]
        a, b = _operands(ctx, node, tensors)
        output = ctx.new_float(node.outputs[0], written_order(node.outputs[0]))
        op = matmul_record(a, b, output, Requantize(dtype="float32"))
        ctx.builder.call(op, [a, b], {}, [output], origin, "float32")

    return Region((node,), emit)


def _fits(node: ir.Node) -> bool:
    return all(v is not None and len(shape_of(v)) >= 2 for v in node.inputs)


def _operands(ctx: Context, node: ir.Node, tensors: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Operands broadcast to the output's batch, with the strides that the kernel takes."""
    origin = origin_of((node,))
    batch = shape_of(node.outputs[0])[:-2]
    a, b = tensors
    if a.strides[-1] != 1:
        a = ctx.dense(a, identity(a.rank), origin)
    if 1 not in b.strides[-2:]:
        b = ctx.dense(b, identity(b.rank), origin)
    return a.expanded(batch + a.shape[-2:]), b.expanded(batch + b.shape[-2:])


def matmul_record(a: Tensor, b: Tensor, output: Tensor, record: Requantize) -> MatMul:
    """The operation for operands of logical shapes (..., M, K) and (..., K, N)."""
    return MatMul(
        batch=output.shape[:-2],
        rows=output.shape[-2],
        cols=output.shape[-1],
        depth=a.shape[-1],
        a_strides=a.strides[:-1],
        b_strides=b.strides,
        y_strides=output.strides[:-1],
        a_elements=a.buffer_elements,
        b_elements=b.buffer_elements,
        y_elements=output.buffer_elements,
        a_dtype=a.dtype,
        b_dtype=b.dtype,
        requantize=record,
        a_offset=a.offset,
        b_offset=b.offset,
    )


def written_order(result: ir.Value) -> Order:
    """The order in which a following Transpose would read: then it moves nothing."""
    rank = len(shape_of(result))
    consumer = only_consumer(result)
    if consumer is not None and consumer.op_type == "DequantizeLinear":
        consumer = only_consumer(consumer.outputs[0])
    if consumer is None or consumer.op_type != "Transpose":
        return identity(rank)
    perm = tuple(ints_attribute(consumer, "perm", list(range(rank))[::-1]))
    return perm if perm[-1] == rank - 1 else identity(rank)
