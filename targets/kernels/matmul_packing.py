"""Lay out an activation matrix as weights are laid out: [vector][step][lane][k]."""

from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.ops.matmul import MatMul

COLUMN_BYTES = 16  # of each column that one block transposes
SIGN_BIT = 0x80
BLOCK_UNITS = 4  # 32-bit elements of a 128-bit block


@dataclass(frozen=True)
class PackedColumns:
    """Packs ``b`` of one product, one vector of columns at a time.

    Signed packed values are b, or b - 128 where b is unsigned. Depth is padded with zeros;
    lanes behind the last column hold anything.

    Attributes:
        op: The product.
        isa: Instructions of its arithmetic.
    """

    op: MatMul
    isa: Isa

    @property
    def dtype(self) -> str:
        """Type of the packed elements."""
        return "float32" if self.op.is_float else "int8"

    @property
    def vectors(self) -> int:
        """Vectors of columns; the last may be partial."""
        return -(-self.op.cols // self.isa.lanes)

    @property
    def steps(self) -> int:
        """``dot`` operations along the depth."""
        return -(-self.op.depth // self.isa.dot_k)

    @property
    def step_elements(self) -> int:
        """Elements of one vector of columns in one step."""
        return self.isa.lanes * self.isa.dot_k

    @property
    def batch_elements(self) -> int:
        """Elements of one packed matrix."""
        return self.vectors * self.steps * self.step_elements

    def emit(
        self, b: Any, b_at: Expr, first_col: Expr, packed: Any, packed_at: Expr, stride: Expr
    ) -> None:
        """Pack ``lanes`` columns.

        Args:
            b: Source buffer.
            b_at: Its first element.
            first_col: First column.
            packed: Destination buffer.
            packed_at: Its first element.
            stride: Elements from one step to the next.
        """
        if self.op.b_strides[-1] != 1:
            self._transpose(b, b_at, first_col, packed, packed_at, stride)
        else:
            self._interleave(b, b_at, first_col, packed, packed_at, stride)

    def _signed(self, value: Expr, lanes: int) -> Expr:
        """Make unsigned bytes signed by moving them down by 128."""
        if self.op.b_dtype != "uint8":
            return value
        flipped = T.bitwise_xor(value, vector.splat(T.uint8(SIGN_BIT), lanes))
        return T.reinterpret(f"int8x{lanes}", flipped)

    def _interleave(
        self, b: Any, b_at: Expr, first_col: Expr, packed: Any, packed_at: Expr, stride: Expr
    ) -> None:
        """Columns are contiguous: interleave ``dot_k`` rows of ``lanes`` columns."""
        op, lanes, dot_k = self.op, self.isa.lanes, self.isa.dot_k
        row_stride = op.b_strides[-2]

        def step(index: Expr, valid: int) -> None:
            at = b_at + index * (dot_k * row_stride) + first_col
            rows = [
                self._signed(vector.load(b, at + k * row_stride, lanes), lanes)
                for k in range(valid)
            ]
            zero = vector.splat(T.float32(0) if op.is_float else T.int8(0), lanes)
            rows += [zero] * (dot_k - valid)
            joined = rows[0] if dot_k == 1 else self.isa.interleave(rows)
            vector.store(packed, packed_at + index * stride, joined, lanes * dot_k)

        full, rest = divmod(op.depth, dot_k)
        if full:
            with vector.loop(full) as index:
                step(index, dot_k)
        if rest:
            step(full, rest)

    def _transpose(
        self, b: Any, b_at: Expr, first_col: Expr, packed: Any, packed_at: Expr, stride: Expr
    ) -> None:
        """Depth is contiguous: transpose blocks of ``lanes`` columns by 16 bytes of depth."""
        op, lanes, dot_k = self.op, self.isa.lanes, self.isa.dot_k
        element_bytes = 4 if op.is_float else 1
        run = COLUMN_BYTES // element_bytes  # elements of a column in one block
        units = run // dot_k  # steps of one block
        unit = "float32" if op.is_float else f"int{8 * dot_k}"
        # Lanes behind the last column repeat it: they are never stored.
        last = T.int32(op.cols - 1)
        columns = [
            vector.bind(b_at + T.min(first_col + lane, last) * op.b_strides[-1])
            for lane in range(lanes)
        ]

        def block(index: Expr, valid: int) -> None:
            pieces = []
            for column in columns:
                piece = self._signed(vector.load(b, column + index * run, run), run)
                if valid < run:
                    ends = vector.splat(T.int32(valid), run)
                    is_valid = tirx.Ramp(T.int32(0), 1, run) < ends
                    zero = vector.splat(T.float32(0) if op.is_float else T.int8(0), run)
                    piece = tirx.Select(is_valid, piece, zero)
                if dot_k > 1:
                    piece = T.reinterpret(vector.vector_type(unit, units), piece)
                pieces.append(vector.bind(piece))
            for step, units_of in enumerate(_transposed(pieces, units)[: -(-valid // dot_k)]):
                whole = lanes * dot_k
                joined = T.reinterpret(f"int8x{whole}", units_of) if dot_k > 1 else units_of
                at = packed_at + (index * units + step) * stride
                vector.store(packed, at, joined, whole)

        full, rest = divmod(op.depth, run)
        if full:
            with vector.loop(full) as index:
                block(index, run)
        if rest:
            block(full, rest)


def _transposed(columns: list[Expr], units: int) -> list[Expr]:
    """Unit ``i`` of every column, for each of their units.

    Args:
        columns: Vectors of ``units`` elements, a multiple of 4.
        units: Elements of a vector.
    """
    num = len(columns)
    if units != BLOCK_UNITS or num < BLOCK_UNITS:
        return [
            tirx.Shuffle(columns, [T.int32(c * units + unit) for c in range(num)])
            for unit in range(units)
        ]
    # Column 4 i + j is block i of vector j: then each block transposes on its own, by two
    # rounds of interleaving, which is one instruction for each vector.
    blocks = range(num // BLOCK_UNITS)
    order = [T.int32(k) for k in range(num)]
    wide = [
        vector.bind(tirx.Shuffle([columns[BLOCK_UNITS * i + j] for i in blocks], order))
        for j in range(BLOCK_UNITS)
    ]

    def interleave(a: Expr, b: Expr, pick: tuple[int, ...]) -> Expr:
        """Elements of each block of a, then b: indices below 4 are of a, the others of b."""
        lanes = [
            BLOCK_UNITS * i + k if k < BLOCK_UNITS else num + BLOCK_UNITS * (i - 1) + k
            for i in blocks for k in pick]
        return vector.bind(tirx.Shuffle([a, b], [T.int32(lane) for lane in lanes]))

    pairs = [
        interleave(wide[j], wide[j + 1], half)
        for half in ((0, 4, 1, 5), (2, 6, 3, 7)) for j in (0, 2)]
    return [
        interleave(pairs[2 * half], pairs[2 * half + 1], pick)
        for half in (0, 1) for pick in ((0, 1, 4, 5), (2, 3, 6, 7))]
