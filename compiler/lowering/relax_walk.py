"""Read the calls of a straight-line Relax function."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.errors import LoweringError

ALLOC_TENSOR = "relax.builtin.alloc_tensor"
KILLS = frozenset({"relax.memory.kill_tensor", "relax.memory.kill_storage"})


@dataclass(frozen=True, eq=False)
class Operand:
    """What a call reads or writes.

    Attributes:
        name: An input of the function or a temporary; "" for a constant.
        data: The constant, else None.
    """

    name: str = ""
    data: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a PrimFunc: inputs first, then what it writes."""

    function: Any
    symbol: str
    operands: tuple[Operand, ...]
    num_written: int


@dataclass
class StraightLine:
    """The calls of ``main`` in order.

    Attributes:
        calls: PrimFunc calls.
        temporary_bytes: Size of each temporary, results included.
        results: What ``main`` returns.
    """

    calls: list[Call] = field(default_factory=list)
    temporary_bytes: dict[str, int] = field(default_factory=dict)
    results: list[Operand] = field(default_factory=list)


def read_calls(module: Any) -> StraightLine:
    """Read ``main`` of a module made by ``straight_line``.

    Raises:
        LoweringError: It holds something that only an interpreter could run.
    """
    return _Reader(module).read()


class _Reader:
    def __init__(self, module: Any) -> None:
        self.module = module
        self.line = StraightLine()
        self.bound: dict[Any, Any] = {}  # Relax variable to Operand, or to a tuple of them

    def read(self) -> StraightLine:
        from tvm import relax

        main = self.module["main"]
        for parameter in main.params:
            self.bound[parameter] = Operand(parameter.name)
        body = main.body
        if not isinstance(body, relax.SeqExpr):
            body = relax.SeqExpr([], body)
        for block in body.blocks:
            for binding in block.bindings:
                if not isinstance(binding, relax.VarBinding):
                    raise LoweringError("a shape that is known only at run time")
                self.bound[binding.var] = self._value(binding.value)
        result = self._value(body.body)
        self.line.results = list(result) if isinstance(result, tuple) else [result]
        return self.line

    def _value(self, expr: Any) -> Any:
        """The operand, or the tuple of operands, that an expression stands for."""
        from tvm import ir, relax

        if isinstance(expr, ir.Var):
            return self.bound[expr]
        if isinstance(expr, ir.GenericConst):
            return Operand(data=np.asarray(expr.value.numpy()))
        if isinstance(expr, relax.Tuple):
            return tuple(self._value(item) for item in expr.fields)
        if isinstance(expr, relax.TupleGetItem):
            return self._value(expr.tuple_value)[int(expr.index)]
        if isinstance(expr, ir.Call):
            return self._call(expr)
        raise LoweringError(f"a {type(expr).__name__} that is computed only at run time")

    def _call(self, call: Any) -> Any:
        import tvm
        from tvm import tirx

        if isinstance(call.op, tvm.ir.GlobalVar):
            function = self.module[call.op]
            if not isinstance(function, tirx.PrimFunc):
                raise LoweringError(f"a call of {call.op.name_hint!r}, which is not a kernel")
            operands = tuple(self._operand(argument) for argument in call.args)
            num_written = _num_written(operands, self.line.temporary_bytes, self.line.calls)
            self.line.calls.append(Call(function, call.op.name_hint, operands, num_written))
            return ()
        name = getattr(call.op, "name", "") or getattr(call.op, "global_symbol", "")
        if name == ALLOC_TENSOR:
            return self._allocate(call)
        if name in KILLS:
            return ()
        raise LoweringError(f"TVM computes {name} with its own runtime")

    def _operand(self, argument: Any) -> Operand:
        operand = self._value(argument)
        if not isinstance(operand, Operand):
            raise LoweringError("a tuple is passed to a kernel")
        return operand

    def _allocate(self, call: Any) -> Operand:
        shape = [int(extent) for extent in call.args[0].values]
        itemsize = np.dtype(_numpy_name(str(call.args[1].value))).itemsize
        name = f"t{len(self.line.temporary_bytes)}"
        num_bytes = int(np.prod(shape, dtype=np.int64)) * itemsize
        self.line.temporary_bytes[name] = max(1, num_bytes)
        return Operand(name)


def _num_written(
    operands: tuple[Operand, ...], temporary_bytes: dict[str, int], calls: list[Call]
) -> int:
    """Trailing operands that no earlier call has written: the outputs of this one."""
    written = {
        o.name
        for call in calls
        for o in call.operands[len(call.operands) - call.num_written :]
    }
    count = 0
    for operand in reversed(operands):
        if operand.name not in temporary_bytes or operand.name in written:
            break
        count += 1
    return count


def _numpy_name(dtype: str) -> str:
    return {"bfloat16": "uint16", "bool": "bool"}.get(dtype, dtype)
