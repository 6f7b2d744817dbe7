"""Product of a few rows with constant weights of 4 bits, packed.

Weights that no cache holds are read once for each run, so that half the bytes take half the
time. Results are those of ``conv_gemm``, bit for bit.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.kernel import Slower
from octavo.targets.kernels.conv_packing import Packing
from octavo.targets.kernels.epilogue import (
    Epilogue,
    Parameter,
    constant_arrays,
    constant_parameters,
)
from octavo.targets.kernels.nibble_tile import (
    MAX_DEPTH,
    MAX_ROWS,
    far_bytes,
    join_halves,
    nibble_tile,
    reject_weights,
)
from octavo.targets.kernels.parallel import PARALLEL_MACS
from octavo.targets.kernels.register_tile import for_steps
from octavo.targets.kernels.tiling import Tiling, tilings
from octavo.targets.ops.conv import Conv
from octavo.targets.padding import Padding

Arrays = Mapping[str, NDArray[Any]]


class NibbleGemm:
    """Serves products of few rows whose weights fit 4 bits.

    Attributes:
        schedule: The register tile; None for the model's choice.
    """

    name = "nibble_gemm"

    def __init__(self, schedule: Tiling | None = None) -> None:
        self.schedule = schedule

    def reject(self, op: Conv, isa: Isa) -> str:
        """Accept dense products of few rows."""
        if op.dtype != isa.activation_dtype:
            return f"{op.dtype} activations; {isa.name} multiplies {isa.activation_dtype}"
        if not _is_product(op):
            return "no matrix product"
        if op.in_w > MAX_ROWS:
            return f"{op.in_w} rows; at most {MAX_ROWS}"
        if op.in_c > MAX_DEPTH:
            return f"{op.in_c} products in a sum; at most {MAX_DEPTH} are exact"
        if op.in_c * op.out_c < far_bytes(isa):
            return Slower(f"{op.in_c * op.out_c} bytes of weights stay in a near cache")
        return ""

    def reject_constants(self, op: Conv, isa: Isa, arrays: Arrays) -> str:
        """Refuse weights of more bits, and those that are too low 16 times."""
        del op
        return reject_weights(arrays["weight"], isa)

    def schedules(self, op: Conv, isa: Isa) -> list[Tiling]:
        """Register tiles worth measuring, the model's choice first."""
        return _Emitter(op, isa, None).tilings

    def with_schedule(self, schedule: Tiling) -> "NibbleGemm":
        """Take this register tile."""
        return NibbleGemm(schedule)

    def variant(self, op: Conv, isa: Isa) -> str:
        """Name instructions and register tile."""
        emitter = _Emitter(op, isa, self.schedule)
        tile = f"{emitter.tiling.rows}x{emitter.tiling.panel * isa.lanes}"
        return f"{self.name}.{isa.name}.{tile}"

    def padding(self, op: Conv, isa: Isa) -> tuple[Padding, ...]:
        """Columns are rounded up to vectors, the depth to steps."""
        return Packing(op, isa).padding

    def build(self, op: Conv, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        return _Emitter(op, isa, self.schedule).build()

    def constants(self, op: Conv, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pack weights, fold the input zero point into the bias."""
        return _Emitter(op, isa, self.schedule).constants(arrays)

    def scratch_bytes(self, op: Conv, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _is_product(op: Conv) -> bool:
    """Whether an operation is a matrix product whose result lies without gaps in memory."""
    same = Conv(
        op.batch,
        1,
        op.in_w,
        op.in_c,
        op.out_c,
        dtype=op.dtype,
        requantize=op.requantize,
        has_zero_point=op.has_zero_point,
    )
    return op.batch == 1 and op == same


class _Emitter:
    """Emits one product."""

    def __init__(self, op: Conv, isa: Isa, schedule: Tiling | None) -> None:
        self.op, self.isa, self.schedule = op, isa, schedule
        self.packing = Packing(op, isa)
        self.width = isa.lanes * isa.dot_k
        self.pairs = -(-self.packing.steps // 2)

    @cached_property
    def tiling(self) -> Tiling:
        return self.schedule or self.tilings[0]

    @cached_property
    def tilings(self) -> list[Tiling]:
        """Tiles of all rows: each weight is unpacked once."""
        op, packing = self.op, self.packing
        found = tilings(
            isa=self.isa,
            rows=op.in_w,
            vectors=packing.vectors,
            steps=packing.steps,
            row_bytes=op.in_c,
            has_residual=op.requantize.residual is not None,
        )
        panels = dict.fromkeys(tiling.panel for tiling in found)
        return [Tiling(op.in_w, panel, 1, 1) for panel in panels]

    def constants(self, arrays: Arrays) -> list[NDArray[Any]]:
        weight = arrays["weight"].reshape(self.op.out_c, self.op.in_c)
        zero_point = arrays["zero_point"].astype(np.int64).reshape(-1)
        sums = weight.astype(np.int64).sum(axis=1)
        bias = (arrays["bias"].astype(np.int64) - zero_point * sums).astype(np.int32)
        epilogue = constant_arrays(self.op.requantize, self.op.out_c, arrays)
        return [self._pack(weight), bias.reshape(-1), *epilogue.values()]

    def _pack(self, weight: NDArray[Any]) -> NDArray[np.int8]:
        """Reorder (columns, depth) to [panel][pair of steps][vector][lane][k]."""
        isa, vectors, size = self.isa, self.packing.vectors, self.tiling.panel
        full = np.zeros((vectors * isa.lanes, 2 * self.pairs * isa.dot_k), np.int8)
        full[: self.op.out_c, : self.op.in_c] = weight
        split = full.reshape(vectors, isa.lanes, self.pairs, 2, isa.dot_k)
        panels = []
        for first in range(0, vectors, size):
            panel = split[first : first + size].transpose(2, 3, 0, 1, 4)
            ordered = isa.order_columns(np.ascontiguousarray(panel).reshape(-1))
            low, high = ordered.reshape(self.pairs, 2, -1).transpose(1, 0, 2)
            panels.append(join_halves(low, high).reshape(-1))
        return np.concatenate(panels)

    def build(self) -> Any:
        """Emit the PrimFunc."""
        op, epilogue = self.op, self.op.requantize
        parameters: list[Parameter] = [("x", op.in_elements, op.dtype)]
        if epilogue.residual:
            parameters.append(("residual", op.out_elements, epilogue.residual))
        weights = self.packing.vectors * self.pairs * self.width
        parameters += [("weight", weights, "int8"), ("bias", op.out_c, "int32")]
        parameters += constant_parameters(epilogue, op.out_c)
        parameters.append(("y", op.out_elements, epilogue.dtype))
        names = [name for name, _, _ in parameters]
        return vector.prim_func(
            parameters, lambda *buffers: self._body(dict(zip(names, buffers, strict=True)))
        )

    def _body(self, operands: dict[str, Any]) -> None:
        vectors, size = self.packing.vectors, self.tiling.panel
        panels = -(-vectors // size)
        last = vectors - (panels - 1) * size
        columns = self.op.out_c - (panels - 1) * size * self.isa.lanes
        is_whole = last == size and self.op.out_c % self.isa.lanes == 0
        with vector.loop(panels, parallel=self.op.macs >= PARALLEL_MACS) as panel:
            if is_whole:
                self._panel(operands, panel, size, size * self.isa.lanes)
            elif panels == 1:
                self._panel(operands, 0, last, columns)
            else:
                with T.If(panel < panels - 1):
                    with T.Then():
                        self._panel(operands, panel, size, size * self.isa.lanes)
                    with T.Else():
                        self._panel(operands, panels - 1, last, columns)

    def _panel(
        self, operands: dict[str, Any], panel: Expr, vectors: int, columns: int
    ) -> None:
        """Compute all rows of some vectors of columns, of which ``columns`` exist."""
        op, isa = self.op, self.isa
        column = panel * (self.tiling.panel * isa.lanes)
        tile = nibble_tile(isa, op.in_w, vectors)
        for v in range(vectors):
            bias = vector.load(operands["bias"], column + v * isa.lanes, isa.lanes)
            bias = vector.bind(bias)
            for row in range(op.in_w):
                tile.start(row, v, bias)
        rows = [row * op.in_c for row in range(op.in_w)]
        first = vector.bind(panel * (self.tiling.panel * self.pairs * self.width))

        def add(pair: Expr, count: int, steps: int = 2) -> None:
            for index in range(count):
                at = pair + index
                inputs = [row + at * (2 * isa.dot_k) for row in rows]
                weights_at = first + at * (vectors * self.width)
                tile.step_pair(operands["x"], inputs, operands["weight"], weights_at, steps)

        for_steps(isa, self.packing.steps // 2, add, is_first=False)
        if self.packing.steps % 2:
            add(self.packing.steps // 2, 1, steps=1)
        finish = Epilogue(op.requantize, isa, operands)
        for row in range(op.in_w):
            finish.emit_vectors(tile.row(row), column, row * op.out_c + column, columns)
