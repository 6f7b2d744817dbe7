"""Emit the softmax over the edges of every node in blocks of scores, most nodes having one.

A block is as long as the sums of ``octavo.targets.ops.float_sum`` are wide, whatever the
number of edges: what it has too many belongs to later nodes, or is nothing, and becomes 0.
There is no loop over the edges of a node whose end a processor would have to guess. A block is
stored as a whole as well; the nodes behind, which come later, write over it.

Scores come from anywhere. Those of all edges of a task are read first, into a buffer that most
tasks do not fill; what follows of a node is short enough for several of them to be in work at
a time. Where the buffer is too small, every node reads its own, chunk by chunk, and computes
them again for each of three passes over them if it has more than one chunk.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernels.edge_scores import WHERE, EdgeScores
from octavo.targets.kernels.exponential import exp_float32
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.ops.edge_softmax import EdgeSoftmax
from octavo.targets.ops.float_sum import SUM_LANES

BUFFER_SCORES = 2048  # of a task or a node: a quarter of a first-level cache
MAX_TASK_NODES, MIN_TASK_NODES = 64, 4
MIN_LANES = 4  # of a register, so that computing what is too much costs less than loops
ROUNDER = float(2**23)  # the last bits of its sum with a byte are that byte, rounded


def fills_blocks(op: EdgeSoftmax, isa: Isa) -> bool:
    """Whether whole edges fill blocks, and reading behind the last one is allowed."""
    return op.abreast * op.heads == SUM_LANES and (
        isa.of_reals.lanes >= MIN_LANES and op.form in WHERE
    )


def task_nodes(op: EdgeSoftmax) -> int:
    """Nodes of one task: half of the buffer, if they have as many edges as others."""
    scores = max(op.edges * op.heads // op.nodes, 1)
    return min(max(BUFFER_SCORES // 2 // scores, MIN_TASK_NODES), MAX_TASK_NODES)


def is_parallel(op: EdgeSoftmax) -> bool:
    """Whether there is enough work for several threads."""
    return (op.nodes + op.edges) * op.heads >= PARALLEL_ELEMENTS


def store_coefficients(op: EdgeSoftmax, y: Any, at: Expr, real: Expr, lanes: int) -> None:
    """Limit, round and store coefficients in units of their step."""
    if op.out_dtype == "float32":
        vector.store(y, at, real, lanes)
        return
    limited = T.min(real, vector.splat(T.float32(op.largest), lanes))
    bits = T.reinterpret(
        vector.vector_type("int32", lanes),
        vector.bind(limited + vector.splat(T.float32(ROUNDER), lanes)),
    )
    vector.store(y, at, vector.cast(bits, "uint8", lanes), lanes)


class BlockSoftmax:
    """Emits one softmax, if it ``fills_blocks``.

    Args:
        op: The operation.
        lanes: Float lanes of a vector.
        operands: Buffers by name.
    """

    def __init__(self, op: EdgeSoftmax, lanes: int, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.width = min(lanes, SUM_LANES)
        self.operands = operands
        self.parts = range(0, SUM_LANES, self.width)  # registers of a block
        self.chunk = BUFFER_SCORES // SUM_LANES  # blocks that the buffer holds

    def emit(self) -> None:
        """Emit the loop over nodes."""
        op = self.op
        nodes = task_nodes(op)
        with vector.loop(-(-op.nodes // nodes), parallel=is_parallel(op)) as task:
            self.scores = EdgeScores(op, self.operands)
            self.read = vector.local(BUFFER_SCORES + SUM_LANES, "float32")
            self.terms = vector.local(BUFFER_SCORES, "float32")
            first = vector.bind(T.int32(0) + task * nodes)
            count = vector.bind(T.min(T.int32(nodes), T.int32(op.nodes) - first))
            begin, end = (
                vector.bind(vector.load(self.operands["offsets"], node))
                for node in (first, first + count)
            )
            # Behind the last edge of this task, another one may be writing.
            self.task_begin, self.end = begin, vector.bind(end * op.heads)
            scores = vector.bind((end - begin) * op.heads)
            with T.If(scores <= BUFFER_SCORES):
                with T.Then():
                    self._read_task(scores)
                    self._nodes(first, count, is_read=True)
                with T.Else():
                    self._nodes(first, count, is_read=False)

    def _read_task(self, scores: Expr) -> None:
        """Read what the edges of all nodes of a task add to their scores."""
        with T.serial(0, (scores + (SUM_LANES - 1)) // SUM_LANES) as block:
            edge = vector.bind(self.task_begin + block * self.op.abreast)
            self._ask(edge)
            for part in self.parts:
                far = self.scores.far(self._rows(edge, part), self.width)
                vector.store(self.read, block * SUM_LANES + part, far, self.width)

    def _nodes(self, first: Expr, count: Expr, *, is_read: bool) -> None:
        self.is_read = is_read
        with T.serial(0, count) as index:
            self._node(vector.bind(first + index))

    def _node(self, node: Expr) -> None:
        heads = self.op.heads
        begin, end = (
            vector.bind(vector.load(self.operands["offsets"], node + i)) for i in (0, 1)
        )
        self.begin = begin
        self.count = vector.bind((end - begin) * heads)
        self.blocks = vector.bind((self.count + (SUM_LANES - 1)) // SUM_LANES)
        self.near = self._near(node)
        best, totals = (vector.local(SUM_LANES, "float32") for _ in range(2))
        for part in self.parts:
            lowest = vector.splat(T.float32(-np.inf), self.width)
            vector.store(best, part, lowest, self.width)
            vector.store(totals, part, vector.splat(T.float32(0), self.width), self.width)
        self._in_chunks(lambda chunk: self._score(chunk, best))
        self.best = self._repeated(self._join(best, T.max))

        def sum_chunk(chunk: Expr) -> None:
            self._again(lambda: self._score(chunk, None))
            self._exponentiate(chunk, totals)

        self._in_chunks(sum_chunk)
        ratio = self._repeated([self._inverse(t) for t in self._join(totals, _add)])

        def write_chunk(chunk: Expr) -> None:
            def exponentiate() -> None:
                self._score(chunk, None)
                self._exponentiate(chunk, None)

            self._again(exponentiate)
            self._write(chunk, ratio)

        self._in_chunks(write_chunk)

    def _in_chunks(self, emit: Callable[[Expr], None]) -> None:
        """Call ``emit(chunk)`` for all of a node: one, if the task was read."""
        if self.is_read:
            emit(T.int32(0))
            return
        self.chunks = vector.bind((self.blocks + (self.chunk - 1)) // self.chunk)
        with T.serial(0, self.chunks) as chunk:
            emit(chunk)

    def _again(self, emit: Callable[[], None]) -> None:
        """Compute once more what the buffer of terms does not hold."""
        if not self.is_read:
            with T.If(self.chunks > 1), T.Then():
                emit()

    def _near(self, node: Expr) -> list[Expr]:
        """What the node adds to the scores of a block."""
        heads = self.op.heads
        if self.op.form != "ends":
            return [T.float32(0) for _ in self.parts]
        width = min(heads, self.width)
        return self._repeated(
            [self.scores.near(node, head, width) for head in range(0, heads, width)]
        )

    def _repeated(self, values: list[Expr]) -> list[Expr]:
        """Give the registers of a block numbers of all heads, again and again."""
        if vector.num_lanes(values[0]) == self.width:
            return [values[i % len(values)] for i in range(len(self.parts))]
        (value,) = values
        if self.op.heads == 1:
            every = vector.splat(value, self.width)
        else:
            every = vector.take(value, [lane % self.op.heads for lane in range(self.width)])
        return [vector.bind(every)] * len(self.parts)

    def _join(self, parts: Any, join: Callable[[Expr, Expr], Expr]) -> list[Expr]:
        """Join halves of a block until there is one number for each head."""
        found = [vector.bind(vector.load(parts, part, self.width)) for part in self.parts]
        while len(found) * vector.num_lanes(found[0]) > self.op.heads:
            if len(found) == 1:
                half = vector.num_lanes(found[0]) // 2
                low, high = (vector.take(found[0], range(at, at + half)) for at in (0, half))
                found = [vector.bind(join(low, high))]
            else:
                half = len(found) // 2
                pairs = zip(found[:half], found[half:], strict=True)
                found = [vector.bind(join(low, high)) for low, high in pairs]
        return found

    def _in_blocks(self, chunk: Expr, emit: Callable[[Expr, Expr], None]) -> None:
        """Call ``emit(first score of the block, place of its terms)``."""
        first = vector.bind(chunk * self.chunk)
        blocks = self.blocks - first
        if not self.is_read:
            blocks = T.min(T.int32(self.chunk), blocks)
        with T.serial(0, blocks) as index:
            emit(vector.bind((first + index) * SUM_LANES), vector.bind(index * SUM_LANES))

    def _is_there(self, score: Expr, part: int) -> Expr:
        """Which scores of a register are of this node."""
        lanes = tirx.Ramp(T.int32(part), T.int32(1), self.width)
        return lanes < vector.splat(self.count - score, self.width)

    def _score(self, chunk: Expr, best: Any | None) -> None:
        """Compute the scores of a chunk, and the largest ones."""

        def block(score: Expr, at: Expr) -> None:
            edge = vector.bind(self.begin + score // self.op.heads)
            if best is not None and not self.is_read:
                self._ask(edge)
            for part, near in zip(self.parts, self.near, strict=True):
                if self.is_read:
                    start = (edge - self.task_begin) * self.op.heads
                    far = vector.load(self.read, start + part, self.width)
                else:
                    far = self.scores.far(self._rows(edge, part), self.width)
                real = self.scores.whole(far, near, self.width)
                lowest = vector.splat(T.float32(-np.inf), self.width)
                real = vector.bind(tirx.Select(self._is_there(score, part), real, lowest))
                vector.store(self.terms, at + part, real, self.width)
                if best is not None:
                    larger = T.max(vector.load(best, part, self.width), real)
                    vector.store(best, part, larger, self.width)

        self._in_blocks(chunk, block)

    def _ask(self, edge: Expr) -> None:
        """Fetch the rows of a later block."""
        for index in range(self.op.abreast):
            self.scores.ask(edge + index)

    def _rows(self, edge: Expr, part: int) -> Expr:
        """Load what scores of a register are made of; the rows may be anywhere."""
        heads = self.op.heads
        width = min(heads, self.width)
        rows = []
        for element in range(part, part + self.width, width):
            row = self.scores.row(edge + element // heads)
            rows.append(
                vector.load(self.operands[self.scores.read], row + element % heads, width)
            )
        return vector.bind(rows[0] if len(rows) == 1 else vector.concatenate(rows))

    def _exponentiate(self, chunk: Expr, totals: Any | None) -> None:
        """Turn scores into terms, and add those up; there are none behind the last edge."""

        def block(score: Expr, at: Expr) -> None:
            for part, best in zip(self.parts, self.best, strict=True):
                below = vector.load(self.terms, at + part, self.width) - best
                below = self.scores.real_distance(below, self.width)
                term = exp_float32(below, self.width)
                none = vector.splat(T.float32(0), self.width)
                term = vector.bind(tirx.Select(self._is_there(score, part), term, none))
                vector.store(self.terms, at + part, term, self.width)
                if totals is not None:
                    total = vector.load(totals, part, self.width) + term
                    vector.store(totals, part, total, self.width)

        self._in_blocks(chunk, block)

    def _inverse(self, total: Expr) -> Expr:
        """What terms are multiplied by."""
        lanes = vector.num_lanes(total)
        unit = T.float32(1)
        if self.op.out_dtype != "float32":
            unit = vector.load(self.operands["out_inverse"], 0)
        if self.op.epsilon:
            total = total + vector.splat(T.float32(self.op.epsilon), lanes)
        return vector.bind(vector.splat(unit, lanes) / total)

    def _write(self, chunk: Expr, ratio: list[Expr]) -> None:
        """Store the coefficients of a chunk; nothing that another task writes."""
        y = vector.bind(self.begin * self.op.heads)

        def block(score: Expr, at: Expr) -> None:
            to = vector.bind(y + score)
            with T.If(to + SUM_LANES <= self.end):
                with T.Then():
                    for part, every in zip(self.parts, ratio, strict=True):
                        self._store(to + part, at + part, every, self.width)
                with T.Else():
                    for part, every in zip(self.parts, ratio, strict=True):
                        real = vector.load(self.terms, at + part, self.width) * every
                        vector.store(self.terms, at + part, real, self.width)
                    left = T.min(T.int32(SUM_LANES), self.count - score)
                    with T.serial(0, left) as index:
                        self._store(to + index, at + index, T.float32(1), 1)

        self._in_blocks(chunk, block)

    def _store(self, to: Expr, at: Expr, ratio: Expr, lanes: int) -> None:
        real = vector.load(self.terms, at, lanes) * ratio
        store_coefficients(self.op, self.operands["y"], to, real, lanes)


def _add(low: Expr, high: Expr) -> Expr:
    return low + high
