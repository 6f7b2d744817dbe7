"""Emit the sort of many given edges: by blocks of nodes first, then within each block.

A counting sort of edges in any order reads and writes one cache line for each of them. Here
every edge is written behind the last one of its block of nodes, so there are as many lines in
use as there are blocks; the edges of a block, and all that is written of them, fit a cache.
What is said of an edge lies side by side meanwhile, as ``_Entry`` has it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernel import Slower
from octavo.targets.kernels.edge_order import (
    CountingSort,
    clear_behind,
    emit_count,
    operands_of,
    wanted,
)
from octavo.targets.kernels.failure import fail_if
from octavo.targets.kernels.panel_prefetch import LINE_BYTES
from octavo.targets.kernels.parallel import PARALLEL_ELEMENTS
from octavo.targets.kernels.spans import MAX_ELEMENTS
from octavo.targets.ops.edge_order import EdgeOrder

Arrays = Mapping[str, NDArray[Any]]

MIN_EDGES = 1 << 16  # with fewer, what a counting sort writes stays in the caches
MAX_BLOCKS = 512  # lines that are written in turns: two thirds of a first-level cache
MIN_NODE_BITS = 7
CHUNK = 64  # edges whose indices are checked at a time
LINE_WORDS = LINE_BYTES // 4
WORDS_AHEAD = 24  # behind the entry that is written: the block's next line is asked for
PLACE_BITS = 24  # of an entry's node; a weight of 8 bits has the others


class PartitionedSort:
    """Serves every order of edges. The function returns -1 for wrong ones."""

    name = "partitioned_sort"

    def reject(self, op: EdgeOrder, isa: Isa) -> str:
        """Say why not."""
        if reason := CountingSort().reject(op, isa):
            return reason
        if node_bits(op) > PLACE_BITS or _scratch_words(op) > MAX_ELEMENTS:
            return f"{op.nodes} nodes and {op.edges} edges are too many for its entries"
        if op.edges < MIN_EDGES:
            return Slower(f"{op.edges} edges: from {MIN_EDGES} on, caches do not hold them")
        return ""

    def variant(self, op: EdgeOrder, isa: Isa) -> str:
        """Name what is put in order."""
        return f"{self.name}.{wanted(op)}.{isa.of_reals.name}"

    def build(self, op: EdgeOrder, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        parameters = [*operands_of(op), ("scratch", _scratch_words(op), "int32")]
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters,
            lambda *buffers: _Emitter(op, isa, dict(zip(names, buffers, strict=True))).emit(),
        )

    def constants(self, op: EdgeOrder, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Need none: all operands are inputs."""
        del op, isa, arrays
        return []

    def scratch_bytes(self, op: EdgeOrder, isa: Isa) -> int:
        """Hold an entry for each edge, where blocks begin, and their largest degrees."""
        del isa
        return _scratch_words(op) * np.dtype("int32").itemsize


def node_bits(op: EdgeOrder) -> int:
    """Number the nodes within a block with so many bits."""
    return max(MIN_NODE_BITS, (-(-op.nodes // MAX_BLOCKS) - 1).bit_length())


def _num_blocks(op: EdgeOrder) -> int:
    return ((op.nodes - 1) >> node_bits(op)) + 1


def _entry(op: EdgeOrder) -> list[str]:
    """What an entry's words say of its edge, in order.

    A weight of 8 bits lies above the node, which is counted from the first one of its block.
    """
    parts = (
        ("places", op.gathers),
        ("node", True),
        ("ids", op.has_ids),
        ("weights", op.weight_dtype == "float32"),
    )
    return [name for name, is_there in parts if is_there]


def _scratch_words(op: EdgeOrder) -> int:
    return op.edges * len(_entry(op)) + 2 * _num_blocks(op) + 1


class _Emitter:
    """Emits one sort: edges of a node keep their order."""

    def __init__(self, op: EdgeOrder, isa: Isa, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.operands = operands
        self.scratch = operands["scratch"]
        self.entry = _entry(op)
        self.bits = node_bits(op)
        self.blocks = _num_blocks(op)
        # Behind the entries: where each block begins, then the largest degree in each.
        self.starts = op.edges * len(self.entry)
        self.most = self.starts + self.blocks + 1
        self.lanes = max(isa.lanes // 2, 1)  # of indices with 64 bits
        self.index_type = f"u{op.index_dtype}"
        self.has_byte = op.weight_dtype in ("uint8", "int8")

    def emit(self) -> None:
        op = self.op
        count = emit_count(op, self.operands)
        self.block_of = vector.local(CHUNK, "int32")
        self.made = vector.local(CHUNK * len(self.entry), "int32")
        vector.fill(self.scratch, self.starts, T.int32(0), self.blocks + 1)
        self._in_chunks(count, self._count_blocks)
        self._sum_blocks()
        self._in_chunks(count, self._partition)
        vector.fill(self.operands["offsets"], 0, T.int32(0), op.nodes + 1)
        is_parallel = op.nodes + op.edges >= PARALLEL_ELEMENTS
        with vector.loop(self.blocks, parallel=is_parallel) as block:
            self._sort_block(vector.bind(T.int32(0) + block))
        if op.degree_limit < op.edges:
            most = _variable()
            with T.serial(0, self.blocks) as block:
                _raise_to(most, vector.load(self.scratch, self.most + block))
            fail_if(vector.load(most, 0) > T.int32(op.degree_limit))
        clear_behind(self.operands, count)

    def _in_chunks(self, count: Expr, emit: Callable[[Expr, int, int], None]) -> None:
        """Call ``emit(first, edges, lanes)`` for all edges."""
        chunks = vector.bind(count // CHUNK)
        with T.serial(0, chunks) as chunk:
            emit(vector.bind(chunk * CHUNK), CHUNK, self.lanes)
        done = vector.bind(chunks * CHUNK)
        with T.serial(0, count - done) as edge:
            emit(vector.bind(done + edge), 1, 1)

    def _count_blocks(self, first: Expr, count: int, lanes: int) -> None:
        """Count the edges of blocks, each in the element behind its own."""
        nodes = [
            self._index("node", first + at, self.op.nodes, lanes)
            for at in range(0, count, lanes)
        ]
        self._check(nodes, self.op.nodes)
        for at, node in zip(range(0, count, lanes), nodes, strict=True):
            vector.store(self.block_of, at, self._block(node, lanes), lanes)
        with T.serial(0, count) as edge:
            slot = vector.bind(vector.load(self.block_of, edge) + (self.starts + 1))
            vector.store(self.scratch, slot, vector.load(self.scratch, slot) + T.int32(1))

    def _sum_blocks(self) -> None:
        """Replace numbers of edges by where blocks begin."""
        total = _variable()
        with T.serial(0, self.blocks) as block:
            slot = vector.bind(block + (self.starts + 1))
            begin = vector.bind(vector.load(total, 0))
            vector.store(total, 0, begin + vector.load(self.scratch, slot))
            vector.store(self.scratch, slot, begin)

    def _partition(self, first: Expr, count: int, lanes: int) -> None:
        """Write entries; what says where a block begins comes to where it ends."""
        words = len(self.entry)
        sources = []
        for at in range(0, count, lanes):
            node = self._index("node", first + at, self.op.nodes, lanes)
            vector.store(self.block_of, at, self._block(node, lanes), lanes)
            entry = {"node": self._node_word(node, first + at, lanes)}
            if self.op.gathers:
                source = self._index("source", first + at, self.op.sources, lanes)
                entry["places"] = vector.cast(source, "int32", lanes)
                sources.append(source)
            if self.op.has_ids:
                edge = first + at
                entry["ids"] = edge if lanes == 1 else tirx.Ramp(edge, 1, lanes)
            if self.op.weight_dtype == "float32":
                weight = vector.load(self.operands["weight"], first + at, lanes)
                entry["weights"] = T.reinterpret(vector.vector_type("int32", lanes), weight)
            made = vector.interleave([vector.bind(entry[name]) for name in self.entry])
            vector.store(self.made, at * words, made, lanes * words)
        if sources:
            self._check(sources, self.op.sources)
        with T.serial(0, count) as edge:
            slot = vector.bind(vector.load(self.block_of, edge) + (self.starts + 1))
            place = vector.bind(vector.load(self.scratch, slot))
            vector.store(self.scratch, slot, place + T.int32(1))
            to = vector.bind(place * words)
            vector.copy(self.scratch, to, self.made, edge * words, words)
            vector.prefetch(self.scratch, to + WORDS_AHEAD, for_writing=True)

    def _sort_block(self, block: Expr) -> None:
        """Sort the entries of a block by their nodes."""
        op, scratch, words = self.op, self.scratch, len(self.entry)
        begin, end = (
            vector.bind(vector.load(scratch, self.starts + block + i)) for i in (0, 1)
        )
        first = vector.bind(block * (1 << self.bits))
        offsets = self.operands["offsets"]
        written = [name for name in ("places", "ids", "weights") if name in self.operands]
        # Element t + 1 counts the edges of node t. Then it says where the next one of them
        # comes to, and ends as where those of t + 1 begin.
        with T.serial(0, end - begin) as index:
            edge = vector.bind(begin + index)
            slot = vector.bind(first + self._node_of(edge) + 1)
            vector.store(offsets, slot, vector.load(offsets, slot) + T.int32(1))
            with T.If(T.bitwise_and(index, T.int32(LINE_WORDS - 1)) == 0), T.Then():
                for name in written:
                    vector.prefetch(self.operands[name], edge, for_writing=True)
        self._sum_nodes(block, first, begin)
        with T.serial(begin, end) as edge:
            slot = vector.bind(first + self._node_of(edge) + 1)
            place = vector.bind(vector.load(offsets, slot))
            vector.store(offsets, slot, place + T.int32(1))
            for name in written:
                if name in self.entry:
                    word = vector.load(scratch, edge * words + self.entry.index(name))
                    if name == "weights":
                        word = T.reinterpret("float32", word)
                else:
                    upper = T.shift_right(self._node_word_of(edge), T.int32(PLACE_BITS))
                    word = vector.cast(upper, str(op.weight_dtype), 1)
                vector.store(self.operands[name], place, word)

    def _sum_nodes(self, block: Expr, first: Expr, begin: Expr) -> None:
        """Replace the degrees of a block's nodes by where their edges begin."""
        offsets = self.operands["offsets"]
        most, total = _variable(), _variable()
        vector.store(total, 0, begin)
        with T.serial(0, T.min(T.int32(1 << self.bits), T.int32(self.op.nodes) - first)) as i:
            slot = vector.bind(first + i + 1)
            degree = vector.bind(vector.load(offsets, slot))
            start = vector.bind(vector.load(total, 0))
            _raise_to(most, degree)
            vector.store(offsets, slot, start)
            vector.store(total, 0, start + degree)
        vector.store(self.scratch, self.most + block, vector.load(most, 0))

    def _index(self, name: str, edge: Expr, extent: int, lanes: int) -> Expr:
        """Indices counted from the start; wrong ones become larger than any other."""
        found = vector.bind(vector.load(self.operands[name], edge, lanes))
        none, every = (
            vector.splat(tirx.IntImm(self.op.index_dtype, value), lanes)
            for value in (0, extent)
        )
        moved = found + tirx.Select(found < none, every, none)
        return vector.bind(
            T.reinterpret(vector.vector_type(self.index_type, lanes), vector.bind(moved))
        )

    def _check(self, indices: list[Expr], extent: int) -> None:
        """Fail if one of them is outside."""
        largest = indices[0]
        for index in indices[1:]:
            largest = vector.bind(T.max(largest, index))
        while (lanes := vector.num_lanes(largest)) > 1:
            halves = [
                vector.take(largest, range(start, start + lanes // 2))
                for start in (0, lanes // 2)
            ]
            largest = vector.bind(T.max(*halves))
        fail_if(largest >= tirx.IntImm(self.index_type, extent))

    def _block(self, node: Expr, lanes: int) -> Expr:
        bits = vector.splat(tirx.IntImm(self.index_type, self.bits), lanes)
        return vector.cast(T.shift_right(node, bits), "int32", lanes)

    def _node_word(self, node: Expr, edge: Expr, lanes: int) -> Expr:
        """The node within its block, and the weight above it."""
        inside = vector.splat(T.int32((1 << self.bits) - 1), lanes)
        word = T.bitwise_and(vector.cast(node, "int32", lanes), inside)
        if not self.has_byte:
            return word
        weight = vector.load(self.operands["weight"], edge, lanes)
        above = T.shift_left(
            vector.cast(weight, "int32", lanes), vector.splat(T.int32(PLACE_BITS), lanes)
        )
        return T.bitwise_or(word, above)

    def _node_word_of(self, edge: Expr) -> Expr:
        at = edge * len(self.entry) + self.entry.index("node")
        return vector.load(self.scratch, at)

    def _node_of(self, edge: Expr) -> Expr:
        word = self._node_word_of(edge)
        if not self.has_byte:
            return word
        return T.bitwise_and(word, T.int32((1 << PLACE_BITS) - 1))


def _variable() -> Any:
    """An int32 that starts at 0."""
    value = vector.local(1, "int32")
    vector.store(value, 0, T.int32(0))
    return value


def _raise_to(largest: Any, value: Expr) -> None:
    vector.store(largest, 0, T.max(vector.load(largest, 0), value))
