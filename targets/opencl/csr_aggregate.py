"""Message passing on a GPU: one work item folds a node's edges for four channels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator
from octavo.targets.kernels import aggregation_checks
from octavo.targets.kernels.csr_aggregate import graph_operands, pack_graph, reject_graph
from octavo.targets.kernels.float_epilogue import LIMITS
from octavo.targets.opencl.epilogue import (
    each_quad,
    epilogue_arrays,
    epilogue_parameters,
    finish_real,
    is_dyadic,
    round_dyadic,
    store_rounded,
)
from octavo.targets.opencl.grid import (
    QUAD,
    Expr,
    Parameter,
    View,
    bind,
    call,
    clamp,
    fma_quad,
    grid_func,
    local,
    quad_cast,
    splat,
)
from octavo.targets.ops.csr_aggregate import CsrAggregate

Arrays = Mapping[str, NDArray[Any]]

FARTHEST = 1 << 10  # beyond every centred byte


class GpuCsrAggregate:
    """Serves aggregations whose heads have whole quads of channels."""

    name = "gpu_csr_aggregate"

    def reject(self, op: CsrAggregate, accelerator: Accelerator) -> str:
        """Say why not."""
        del accelerator
        if op.heads > 1 and op.channels // op.heads % QUAD:
            return f"{op.channels} channels of {op.heads} heads"
        if op.requantize.mode == "tflite" and op.requantize.is_integer:
            return "rounding of TensorFlow Lite"
        return aggregation_checks.reject(op, op.degree_limit if op.is_given else 0)

    def reject_constants(
        self, op: CsrAggregate, accelerator: Accelerator, arrays: Arrays
    ) -> str:
        """Say why sums may overflow, or which part of the graph is none."""
        del accelerator
        return reject_graph(op, arrays)

    def variant(self, op: CsrAggregate, accelerator: Accelerator) -> str:
        """Name what is folded, and the device."""
        return f"{self.name}.{op.kind}.{op.dtype}.{accelerator.name}"

    def build(self, op: CsrAggregate, accelerator: Accelerator) -> Any:
        """Emit the kernel."""
        parameters: list[Parameter] = [
            ("x", op.sources * op.channels, op.dtype),
            *([] if op.pair is None else [("target", op.nodes * op.channels, op.dtype)]),
            *graph_operands(op),
            *_constants(op),
            ("y", op.nodes * op.channels, op.requantize.dtype),
        ]
        return grid_func(
            accelerator, parameters, (-(-op.channels // QUAD), op.nodes),
            lambda views, place: _Emitter(op, views, *place).emit())

    def constants(
        self, op: CsrAggregate, accelerator: Accelerator, arrays: Arrays
    ) -> list[NDArray[Any]]:
        """Pack the graph, if it is constant, then the epilogue's constants."""
        del accelerator
        epilogue = epilogue_arrays(
            op.requantize, op.num_multipliers, arrays, np.ascontiguousarray)
        own = []
        for name, count, dtype in _constants(op)[: -len(epilogue)]:
            values = np.zeros(count, dtype)
            found = np.asarray(arrays[name]).reshape(-1)
            values[: len(found)] = found
            own.append(values)
        return [*pack_graph(op, arrays), *own, *epilogue]


def _constants(op: CsrAggregate) -> list[Parameter]:
    """Constants beside the graph; the bias in whole quads."""
    is_float = op.dtype == "float32"
    quads = -(-op.num_biases // QUAD) * QUAD
    if op.bias_by_node:
        quads += QUAD  # rows begin anywhere in a quad
    bias = ("bias", quads, "float32" if is_float else "int32")
    return [
        *([] if is_float else [("zero_point", 1, "int32")]),
        *([bias] if op.has_bias else []),
        *([LIMITS] if op.has_limits else []),
        *epilogue_parameters(op.requantize, op.num_multipliers),
    ]


class _Emitter:
    """Emits what one work item does: four channels of a node.

    Args:
        op: The operation.
        views: Tensors by name.
        number: Number of the quad of channels.
        index: Number of the node, in the order in which nodes lie in the graph.
    """

    def __init__(
        self, op: CsrAggregate, views: dict[str, View], number: Expr, index: Expr
    ) -> None:
        self.op = op
        self.views = views
        self.number = number
        self.index = index
        self.is_float = op.dtype == "float32"
        self.wide = "float32" if self.is_float else "int32"

    def emit(self) -> None:
        """Fold, finish and store."""
        op, views = self.op, self.views
        node = bind(views["rows"].load(self.index)) if op.has_rows else self.index
        begin = bind(views["offsets"].load(self.index))
        degree = bind(views["offsets"].load(self.index + 1) - begin)
        self.zero = None if self.is_float else bind(splat(views["zero_point"].load(0)))
        channel = bind(self.number * QUAD)
        own = None
        if op.pair is not None:
            own = bind(self._features("target", node * op.channels + channel))
        folded = local(1, f"{self.wide}x{QUAD}")
        T.buffer_store(folded, splat(self._first(degree)), [0])
        with T.serial(0, degree) as edge:
            place = bind(begin + edge)
            x = self._features("x", views["places"].load(place) * op.channels + channel)
            if own is not None:
                x = own + x
                x = T.max(x, splat(tirx.const(0, self.wide))) if op.pair == "relu" else x
            before = tirx.BufferLoad(folded, [0])
            T.buffer_store(folded, self._combine(before, x, place), [0])
        total = tirx.BufferLoad(folded, [0])
        if op.has_bias:
            row = node * op.channels if op.bias_by_node else T.int32(0)
            total = total + views["bias"].load_quad(row + channel)
        total = bind(total)
        offset = bind(node * op.channels + channel)
        at = node if op.per_node else T.int32(0)
        each_quad(
            op.channels, self.number,
            lambda valid: self._finish(total, at, degree, offset, valid))

    def _features(self, name: str, offset: Expr) -> Expr:
        """Four features, integers less their zero point."""
        found = self.views[name].load_quad(offset)
        if self.zero is None:
            return found
        return quad_cast(found, "int32") - self.zero

    def _first(self, degree: Expr) -> Expr:
        """What a fold starts from."""
        op = self.op
        zero = tirx.const(0, self.wide)
        if op.is_sum or op.from_zero:
            return zero
        last: Expr = T.int32(-FARTHEST if op.kind == "max" else FARTHEST)
        if self.is_float:
            bits = np.float32(-np.inf if op.kind == "max" else np.inf).view(np.int32)
            last = call("float32", "as_float", T.int32(int(bits)))
        return bind(tirx.Select(degree == 0, zero, last))

    def _combine(self, before: Expr, x: Expr, place: Expr) -> Expr:
        op = self.op
        if not op.is_sum:
            return T.max(before, x) if op.kind == "max" else T.min(before, x)
        if op.weight_dtype is None:
            return before + x
        at = self.views["ids"].load(place) if op.by_edge else place
        if op.heads > 1:
            quads_of_head = op.channels // op.heads // QUAD
            at = at * op.heads + T.truncdiv(self.number, T.int32(quads_of_head))
        weight = self.views["weight"].load(at)
        if self.is_float:
            return fma_quad(splat(weight), x, before)
        return before + splat(tirx.Cast("int32", weight)) * x

    def _finish(
        self, total: Expr, at: Expr, degree: Expr, offset: Expr, valid: int
    ) -> None:
        """Scale and store a quad; the mean is in the scale."""
        op, views, record = self.op, self.views, self.op.requantize
        count = T.max(degree, T.int32(1))
        if is_dyadic(record):
            significand = views["significand"].load(at)
            if op.kind == "mean":
                significand = T.truncdiv(significand, count)
            scaled = quad_cast(total, "int64") * splat(tirx.Cast("int64", significand))
            shift = splat(tirx.Cast("int64", views["shift"].load(at)))
            rounded = round_dyadic(scaled, shift, views["params"])
            store_rounded(record, views, rounded, offset, valid)
            return
        scale = views["multiplier"].load(at)
        if op.kind == "mean":
            scale = call("float32", "octavo_divide", scale, tirx.Cast("float32", count))
        real = quad_cast(total, "float32") * splat(bind(scale))
        if op.has_limits:
            low, high = (splat(views["limits"].load(i)) for i in (0, 1))
            real = clamp(bind(real), low, high)
        finish_real(record, views, bind(real), offset, valid)
