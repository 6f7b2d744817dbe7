"""Emit the softmax over the edges of every node: scores in a small buffer, exp in vectors.

A node whose edges the buffer does not hold computes its scores again in every pass over them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.edge_scores import EdgeScores, scores_of
from octavo.targets.kernels.edge_softmax_blocks import (
    BlockSoftmax,
    fills_blocks,
    is_parallel,
    store_coefficients,
)
from octavo.targets.kernels.exponential import exp_float32
from octavo.targets.kernels.spans import MAX_ELEMENTS
from octavo.targets.ops.edge_order import PLACES_BEHIND
from octavo.targets.ops.edge_softmax import FORMS, EdgeSoftmax

Arrays = Mapping[str, NDArray[Any]]
Parameter = tuple[str, int, str]

BUFFER_SCORES = 512  # of the edges of a node that are computed at a time
TASK_NODES = 64  # nodes of one task: the loads of constants are shared


class EdgeSoftmaxNodes:
    """Serves every softmax over edges."""

    name = "edge_softmax"

    def reject(self, op: EdgeSoftmax, isa: Isa) -> str:
        """Say why not."""
        del isa
        if op.form not in FORMS:
            return f"form {op.form!r}"
        if op.dtype not in ("float32", "uint8", "int8"):
            return f"{op.dtype} scores; only float32, uint8 and int8"
        if op.out_dtype not in ("float32", "uint8"):
            return f"{op.out_dtype} coefficients; only float32 and uint8"
        if not 0 <= op.slope <= 1 or (op.slope != 1 and op.form != "ends"):
            return f"slope {op.slope} of {op.form}"
        if not (op.epsilon >= 0 and 0 < op.largest <= 255):
            return f"epsilon {op.epsilon}, at most {op.largest}"
        if op.edges < 1 or not 1 <= op.heads <= BUFFER_SCORES:
            return f"{op.edges} edges with {op.heads} heads"
        if max(op.edges, op.nodes, op.sources) * op.heads > MAX_ELEMENTS - PLACES_BEHIND:
            return f"more than {MAX_ELEMENTS} elements"
        return ""

    def variant(self, op: EdgeSoftmax, isa: Isa) -> str:
        """Name what is normalized."""
        how = "blocks" if fills_blocks(op, isa) else "rows"
        return f"{self.name}.{op.form}.{op.dtype}.{op.out_dtype}.{isa.of_reals.name}.{how}"

    def build(self, op: EdgeSoftmax, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        size = op.edges * op.heads
        parameters = [
            *scores_of(op), *_constants(op), ("y", size, op.out_dtype)]
        names = [name for name, _, _ in parameters]
        emitter = BlockSoftmax if fills_blocks(op, isa) else _Emitter
        lanes = isa.of_reals.lanes
        return vector.prim_func(
            parameters,
            lambda *buffers: emitter(
                op, lanes, dict(zip(names, buffers, strict=True))).emit())

    def constants(self, op: EdgeSoftmax, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Scales and zero points."""
        del isa
        return [
            np.ascontiguousarray(arrays[name], dtype).reshape(-1)
            for name, _, dtype in _constants(op)]

    def scratch_bytes(self, op: EdgeSoftmax, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _constants(op: EdgeSoftmax) -> list[Parameter]:
    constants: list[Parameter] = []
    if op.dtype != "float32" and op.form == "ends":
        for name in ("source", "target"):
            constants += [(f"{name}_scale", 1, "float32"), (f"{name}_zero_point", 1, "int32")]
    elif op.dtype != "float32":
        constants.append(("score_scale", 1, "float32"))
    if op.out_dtype != "float32":
        constants.append(("out_inverse", 1, "float32"))
    return constants


class _Emitter:
    """Emits one softmax.

    Args:
        op: The operation.
        lanes: Float lanes of a vector.
        operands: Buffers by name.
    """

    def __init__(self, op: EdgeSoftmax, lanes: int, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.lanes = lanes
        self.operands = operands
        self.chunk = BUFFER_SCORES // op.heads
        # Heads that lie in a vector: their part of a row of scores.
        self.parts = [
            (head, min(lanes, op.heads - head)) for head in range(0, op.heads, lanes)]
        self.repeats = lanes % op.heads == 0  # rows fill whole vectors

    def emit(self) -> None:
        """Emit the loop over nodes."""
        op = self.op
        with vector.loop(-(-op.nodes // TASK_NODES), parallel=is_parallel(op)) as task:
            self.scores = EdgeScores(op, self.operands)
            self.buffer = vector.local(BUFFER_SCORES + self.lanes, "float32")
            self.best = vector.local(op.heads, "float32")
            self.totals = vector.local(op.heads * op.abreast, "float32")
            first = vector.bind(T.int32(0) + task * TASK_NODES)
            count = vector.bind(T.min(T.int32(TASK_NODES), T.int32(op.nodes) - first))
            with T.serial(0, count) as index:
                self._node(vector.bind(first + index))

    def _node(self, node: Expr) -> None:
        begin, end = (
            vector.bind(vector.load(self.operands["offsets"], node + i)) for i in (0, 1))
        self.begin, self.degree = begin, vector.bind(end - begin)
        chunks = vector.bind((self.degree + (self.chunk - 1)) // self.chunk)
        near = [self.scores.near(node, *part) for part in self.parts]
        for head, width in self.parts:
            lowest = vector.splat(T.float32(-np.inf), width)
            vector.store(self.best, head, lowest, width)
            for part in range(self.op.abreast):
                none = vector.splat(T.float32(0), width)
                vector.store(self.totals, part * self.op.heads + head, none, width)
        with T.serial(0, chunks) as chunk:
            self._score(chunk, near, finds_best=True)
        with T.serial(0, chunks) as chunk:
            with T.If(chunks > 1), T.Then():
                self._score(chunk, near, finds_best=False)
            self._exponentiate(chunk)
            with T.serial(0, self._count(chunk)) as index:
                part = T.bitwise_and(index, T.int32(self.op.abreast - 1)) * self.op.heads
                for head, width in self.parts:
                    term = vector.load(self.buffer, index * self.op.heads + head, width)
                    total = vector.load(self.totals, part + head, width) + term
                    vector.store(self.totals, part + head, total, width)
        self._join_parts()
        self._invert()
        with T.serial(0, chunks) as chunk:
            with T.If(chunks > 1), T.Then():
                self._score(chunk, near, finds_best=False)
                self._exponentiate(chunk)
            self._write(chunk)

    def _join_parts(self) -> None:
        """Add the upper half of the parts of sums to the lower one, until there is one."""
        half = self.op.abreast
        while half > 1:
            half //= 2
            size = half * self.op.heads
            for at in range(0, size, self.lanes):
                width = min(self.lanes, size - at)
                low, high = (
                    vector.load(self.totals, start + at, width) for start in (0, size))
                vector.store(self.totals, at, low + high, width)

    def _count(self, chunk: Expr) -> Expr:
        """Edges of a chunk."""
        rest = self.degree - chunk * self.chunk
        return vector.bind(T.min(T.int32(self.chunk), rest))

    def _score(self, chunk: Expr, near: list[Expr], *, finds_best: bool) -> None:
        """Compute the scores of a chunk, and the largest ones."""
        first = vector.bind(self.begin + chunk * self.chunk)
        with T.serial(0, self._count(chunk)) as index:
            at = self.scores.row(first + index)
            if finds_best:
                self.scores.ask(first + index)
            for (head, width), own in zip(self.parts, near, strict=True):
                score = vector.bind(self.scores.of(at, own, head, width))
                vector.store(self.buffer, index * self.op.heads + head, score, width)
                if finds_best:
                    best = T.max(vector.load(self.best, head, width), score)
                    vector.store(self.best, head, best, width)

    def _exponentiate(self, chunk: Expr) -> None:
        """Turn scores into terms; what lies behind them becomes anything."""
        lanes, heads = self.lanes, self.op.heads
        count = self._count(chunk)
        best = None
        if self.repeats:
            best = self._repeated(self.best)
        else:
            with T.serial(0, count) as index:
                for head, width in self.parts:
                    at = index * heads + head
                    below = vector.load(self.buffer, at, width) - vector.load(
                        self.best, head, width)
                    vector.store(self.buffer, at, below, width)
        with T.serial(0, (count * heads + (lanes - 1)) // lanes) as block:
            below = vector.load(self.buffer, block * lanes, lanes)
            if best is not None:
                below = below - best
            below = self.scores.real_distance(below, lanes)
            vector.store(self.buffer, block * lanes, exp_float32(below, lanes), lanes)

    def _repeated(self, buffer: Any) -> Expr:
        """Numbers of heads as often as a vector has them."""
        heads = self.op.heads
        every = vector.load(buffer, 0, heads)
        if heads == 1:
            return vector.bind(vector.splat(every, self.lanes))
        return vector.bind(vector.take(every, [lane % heads for lane in range(self.lanes)]))

    def _invert(self) -> None:
        """Turn totals into what terms are multiplied by."""
        unit = T.float32(1)
        if self.op.out_dtype != "float32":
            unit = vector.load(self.operands["out_inverse"], 0)
        for head, width in self.parts:
            total = vector.load(self.totals, head, width)
            if self.op.epsilon:
                total = total + vector.splat(T.float32(self.op.epsilon), width)
            vector.store(self.totals, head, vector.splat(unit, width) / total, width)

    def _write(self, chunk: Expr) -> None:
        """Store the coefficients of a chunk; nothing behind them."""
        lanes, heads = self.lanes, self.op.heads
        count = self._count(chunk)
        y = vector.bind((self.begin + chunk * self.chunk) * heads)
        done: Expr = T.int32(0)
        if self.repeats and lanes > heads:
            ratio = self._repeated(self.totals)
            blocks = vector.bind(count // (lanes // heads))
            with T.serial(0, blocks) as block:
                self._store(y, block * lanes, ratio, lanes)
            done = vector.bind(blocks * (lanes // heads))
        with T.serial(0, count - done) as index:
            for head, width in self.parts:
                ratio = vector.load(self.totals, head, width)
                self._store(y, (done + index) * heads + head, ratio, width)

    def _store(self, y: Expr, at: Expr, ratio: Expr, lanes: int) -> None:
        real = vector.load(self.buffer, at, lanes) * ratio
        store_coefficients(self.op, self.operands["y"], y + at, real, lanes)
