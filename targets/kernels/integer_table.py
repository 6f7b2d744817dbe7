"""Emit the table of integers: see ``octavo.targets.ops.integer_table``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Isa
from octavo.targets.kernels.spans import MAX_ELEMENTS
from octavo.targets.ops.integer_table import IntegerTable

Arrays = Mapping[str, NDArray[Any]]

DTYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "int64")
MAX_ENTRIES = 256


class IntegerTableElements:
    """Serves every table of integers, one number after another: masks are small."""

    name = "integer_table"

    def reject(self, op: IntegerTable, isa: Isa) -> str:
        """Say why not."""
        del isa
        if op.dtype not in DTYPES or op.out_dtype not in ("uint8", "int8"):
            return f"a table from {op.dtype} to {op.out_dtype}"
        if not 0 < op.elements <= MAX_ELEMENTS:
            return f"{op.elements} elements; 1 to {MAX_ELEMENTS}"
        if not 0 <= op.high - op.low < MAX_ENTRIES:
            return f"a table from {op.low} to {op.high}; at most {MAX_ENTRIES} entries"
        limits = np.iinfo(_stored(op.dtype))
        if op.low < limits.min or op.high > limits.max:
            return f"{op.dtype} does not reach from {op.low} to {op.high}"
        return ""

    def variant(self, op: IntegerTable, isa: Isa) -> str:
        """Name the type that is read."""
        del isa
        return f"{self.name}.{op.dtype}"

    def build(self, op: IntegerTable, isa: Isa) -> Any:
        """Emit the PrimFunc."""
        del isa
        dtype = _stored(op.dtype)

        def body(x: Any, table: Any, y: Any) -> None:
            low, high = (tirx.IntImm(dtype, end) for end in (op.low, op.high))
            with T.serial(0, op.elements) as i:
                limited = vector.bind(T.min(T.max(vector.load(x, i), low), high))
                at = vector.cast(limited, "int32", 1) - T.int32(op.low)
                vector.store(y, i, vector.load(table, vector.bind(at)))

        parameters = [
            ("x", op.elements, dtype),
            ("table", op.high - op.low + 1, op.out_dtype),
            ("y", op.elements, op.out_dtype),
        ]
        return vector.prim_func(parameters, body)

    def constants(self, op: IntegerTable, isa: Isa, arrays: Arrays) -> list[NDArray[Any]]:
        """Pass the table."""
        del isa
        return [arrays["table"].reshape(-1).astype(op.out_dtype)]

    def scratch_bytes(self, op: IntegerTable, isa: Isa) -> int:
        """Need none."""
        del op, isa
        return 0


def _stored(dtype: str) -> str:
    """How memory holds a type: a boolean is a byte."""
    return "uint8" if dtype == "bool" else dtype
