"""The vocabulary that GPU kernels are written in: work items, views of memory, quads.

Kernels are TIR functions over two kinds of parameters: flat buffers, and for each buffer the
element at which its tensor begins, so that all tensors of a program can lie in one allocation.
Vectors are quads: four int32 or float32.

TVM's OpenCL generator gathers byte vectors whose alignment it cannot prove into an integer,
and writes vector constructors without parentheses; neither compiles to what is meant. So
vectors are loaded, stored and made by OpenCL's own functions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.accelerator import Accelerator

Expr = Any  # a TIR expression
Parameter = tuple[str, int, str]

QUAD = 4
_ARITHMETIC = (
    tirx.Add, tirx.Sub, tirx.Mul, tirx.Div, tirx.Mod, tirx.Min, tirx.Max,
)  # fmt: skip
_AXES = "xyz"
_C_NAMES = {"int8": "char", "uint8": "uchar", "int32": "int", "float32": "float"}


@dataclass(frozen=True, eq=False)
class View:
    """A tensor inside of an allocation.

    Attributes:
        buffer: The allocation, as elements of the tensor's type.
        at: Element at which the tensor begins.
        dtype: Type of an element.
    """

    buffer: Any
    at: Expr
    dtype: str

    def load(self, offset: Expr) -> Expr:
        """One element."""
        return tirx.BufferLoad(self.buffer, [self.at + offset])

    def load_int(self, offset: Expr) -> Expr:
        """One element as int32."""
        return tirx.Cast("int32", self.load(offset))

    def load_quad(self, offset: Expr) -> Expr:
        """Four consecutive elements."""
        return call(f"{self.dtype}x{QUAD}", f"vload{QUAD}", T.int32(0), self._address(offset))

    def load_words(self, offset: Expr, count: int) -> Expr:
        """``4 * count`` consecutive bytes as ``count`` int32, 1 or 4, in memory's order."""
        lanes = QUAD * count
        loaded = call(
            f"{self.dtype}x{lanes}", f"vload{lanes}", T.int32(0), self._address(offset)
        )
        return call(vector_type("int32", count), _as("int32", count), loaded)

    def store(self, offset: Expr, value: Expr) -> None:
        """Store one element."""
        T.buffer_store(self.buffer, value, [self.at + offset])

    def store_quad(self, offset: Expr, value: Expr) -> None:
        """Store four consecutive elements."""
        address = self._address(offset)
        T.evaluate(call("int32", f"vstore{QUAD}", value, T.int32(0), address))

    def _address(self, offset: Expr) -> Expr:
        return T.address_of(self.buffer[self.at + offset])


def flat_constants(
    parameters: Sequence[Parameter], arrays: Mapping[str, NDArray[Any]]
) -> list[NDArray[Any]]:
    """Arrays of the reference as the parameters of their names take them."""
    return [
        np.asarray(arrays[name]).reshape(-1)[:count].astype(dtype)
        for name, count, dtype in parameters]


def vector_type(dtype: str, lanes: int) -> str:
    """TIR type of a vector, or of a scalar when ``lanes`` is 1."""
    return dtype if lanes == 1 else f"{dtype}x{lanes}"


def _as(dtype: str, lanes: int) -> str:
    return f"as_{_C_NAMES[dtype]}{'' if lanes == 1 else lanes}"


def call(dtype: str, name: str, *arguments: Expr) -> Expr:
    """Call a function of OpenCL C or of the prelude; calls stay in their order."""
    return T.call_extern(dtype, name, *arguments)


def exact(value: float) -> Expr:
    """A float32 constant with all of its bits: TVM's generator prints seven digits."""
    return call("float32", "as_float", T.int32(int(np.float32(value).view(np.int32))))


def quotient(number: Expr, divisor: int) -> Expr:
    """Divide a number that is not negative: no sign to look at."""
    return T.truncdiv(number, T.int32(divisor))


def rest(number: Expr, divisor: int) -> Expr:
    """What the division of a number that is not negative leaves."""
    return T.truncmod(number, T.int32(divisor))


def bind(value: Expr) -> Expr:
    """Name a value so that it is computed once.

    TVM writes the expression of an index out wherever it is used, which makes programs of a
    network several times as long, and drivers read them on the device. It leaves alone what a
    function returns.
    """
    if isinstance(value, _ARITHMETIC) and str(value.ty.dtype) == "int32":
        value = call("int32", "octavo_index", value)
    return T.Bind(value)


def local(count: int, dtype: str) -> Any:
    """Registers of one work item; ``dtype`` may be a vector's."""
    return T.alloc_buffer((count,), dtype, scope="local")


def splat(value: Expr) -> Expr:
    """Repeat a scalar in a quad."""
    return T.broadcast(value, QUAD)


def quad_cast(value: Expr, dtype: str) -> Expr:
    """Convert every lane."""
    return tirx.Cast(f"{dtype}x{QUAD}", value)


def lane(value: Expr, index: int) -> Expr:
    """One lane of a quad."""
    return tirx.Shuffle([value], [T.int32(index)])


def quad(values: Sequence[Expr]) -> Expr:
    """Make a quad of four int32."""
    return call("int32x4", "octavo_quad", *values)


def fma_quad(a: Expr, b: Expr, c: Expr) -> Expr:
    """Compute a * b + c with one rounding."""
    return call("float32x4", "fma", a, b, c)


def fma(a: Expr, b: Expr, c: Expr) -> Expr:
    """Compute a * b + c with one rounding."""
    return call("float32", "fma", a, b, c)


def to_int(value: Expr) -> Expr:
    """Round half to even."""
    return call("int32", "convert_int_rte", value)


def to_int_quad(value: Expr) -> Expr:
    """Round every lane half to even."""
    return call("int32x4", "convert_int4_rte", value)


def clamp(value: Expr, low: Expr, high: Expr) -> Expr:
    """Limit every lane to [low, high]."""
    return T.min(T.max(value, low), high)


@contextmanager
def loop(extent: int) -> Iterator[Expr]:
    """Loop over [0, extent); a loop of one iteration disappears."""
    if extent == 1:
        yield T.int32(0)
        return
    with T.serial(0, extent) as index:
        yield index


@contextmanager
def when(condition: Expr) -> Iterator[None]:
    """Only where a condition holds."""
    with T.If(condition), T.Then():
        yield


def work_group_shape(extents: Sequence[int], work_items: int) -> tuple[int, ...]:
    """Split a work-group over the axes of a grid, the first axis first; all powers of 2."""
    shape = []
    for extent in extents:
        size = min(1 << (extent - 1).bit_length(), work_items)
        shape.append(size)
        work_items //= size
    return tuple(shape)


def sharing_group_shape(
    extents: tuple[int, int], work_items: int, item_bytes: tuple[int, int]
) -> tuple[int, int]:
    """The shape of a work-group whose items share most of what they read; powers of 2.

    Items that only fill the last groups up read too.

    Args:
        extents: Of the grid.
        work_items: Of a work-group, at most.
        item_bytes: What an item reads that does not depend on its place along y, and what
            does not depend on that along x: once for all items of a group that read the same.
    """

    def total_bytes(shape: tuple[int, int]) -> int:
        groups = -(-extents[0] // shape[0]) * -(-extents[1] // shape[1])
        from_memory = shape[0] * item_bytes[0] + shape[1] * item_bytes[1]
        from_cache = prod(shape) * sum(item_bytes)
        return groups * (from_memory + from_cache)

    most = [min(1 << (extent - 1).bit_length(), work_items) for extent in extents]
    widths = [1 << power for power in range(most[0].bit_length())]
    shapes = [(width, min(most[1], work_items // width)) for width in widths]
    return min(shapes, key=total_bytes)


def grid_func(
    accelerator: Accelerator,
    parameters: Sequence[Parameter],
    extents: Sequence[int],
    body: Callable[[dict[str, View], tuple[Expr, ...]], None],
    item_bytes: tuple[int, int] | None = None,
) -> tirx.PrimFunc:
    """Build a kernel.

    Args:
        accelerator: Says how large a work-group is.
        parameters: Name, number of elements and dtype of each tensor, in order.
        extents: Work items along x and, if given, y and z; the numbers are passed to ``body``.
        body: Called with the tensors by name and the place in the grid; emits statements.
        item_bytes: See ``sharing_group_shape``; None fills groups along x first.

    Returns:
        The PrimFunc, without a symbol name: first the buffers, then their first elements.
    """
    if item_bytes is None:
        shape = work_group_shape(extents, accelerator.work_group)
    else:
        shape = sharing_group_shape(
            (extents[0], extents[1]), accelerator.work_group, item_bytes)
    return view_func(
        parameters,
        lambda views: _launch(extents, shape, (), lambda place: body(views, place)))


def view_func(
    parameters: Sequence[Parameter], emit: Callable[[dict[str, View]], None]
) -> tirx.PrimFunc:
    """Build a function of tensors; ``emit`` is called with them and launches work items."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("kernel")
        buffers = [T.arg(name, T.buffer((n,), dtype)) for name, n, dtype in parameters]
        offsets = [T.arg(f"{name}_at", T.int32()) for name, _, _ in parameters]
        emit({
            name: View(buffer, at, dtype)
            for (name, _, dtype), buffer, at in zip(parameters, buffers, offsets, strict=True)
        })
    return builder.get()


def _launch(
    extents: Sequence[int],
    shape: Sequence[int],
    place: tuple[Expr, ...],
    body: Callable[[tuple[Expr, ...]], None],
) -> None:
    """Bind the next axis of the grid, or emit the body for the work items that exist."""
    axis = len(place)
    if axis == len(extents):
        body(place)
        return
    groups = -(-extents[axis] // shape[axis])
    with (
        T.launch_thread(f"blockIdx.{_AXES[axis]}", groups) as group,
        T.launch_thread(f"threadIdx.{_AXES[axis]}", shape[axis]) as item,
    ):
        index = bind(group * shape[axis] + item)
        if groups * shape[axis] == extents[axis]:
            _launch(extents, shape, (*place, index), body)
        else:
            with when(index < extents[axis]):
                _launch(extents, shape, (*place, index), body)
