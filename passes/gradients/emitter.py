"""Append nodes to a graph, with constants in the type of its gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.errors import ModelError
from octavo.passes.constants import NameSource, add_constant
from octavo.passes.wiring import static_shape

_COMPARISONS = ("Equal", "Greater", "Less")


class Emitter:
    """Appends nodes at the end of a graph."""

    def __init__(self, graph: ir.Graph, dtype: ir.DataType) -> None:
        """Take a graph.

        Args:
            graph: Where nodes are appended.
            dtype: Type of everything that is computed, a floating point type.
        """
        self._graph = graph
        self._names = NameSource(graph)
        self._dtype = dtype
        self._numbers: dict[float, ir.Value] = {}

    def op(
        self, op_type: str, *inputs: ir.Value | None, num_outputs: int = 1, **attributes: Any
    ) -> ir.Value:
        """A new node; its last output."""
        name = self._names.fresh(f"backward/{op_type}")
        node = ir.node(op_type, inputs, attributes, num_outputs=num_outputs, name=name)
        dtype = ir.DataType.BOOL if op_type in _COMPARISONS else self._dtype
        for output in node.outputs:
            output.name = self._names.fresh(f"{name}_out")
            output.type = ir.TensorType(dtype)
        self._graph.append(node)
        return node.outputs[-1]

    def number(self, number: float) -> ir.Value:
        """A constant without dimensions."""
        if number not in self._numbers:
            self._numbers[number] = self.array(np.array(number))
        return self._numbers[number]

    def array(self, array: NDArray[Any]) -> ir.Value:
        """A constant of the type of gradients."""
        cast = array.astype(self._dtype.numpy())
        return add_constant(self._graph, self._names, "backward/constant", cast)

    def ints(self, numbers: Sequence[int] | NDArray[np.int64]) -> ir.Value:
        """A constant list of integers."""
        listed = np.asarray(numbers, np.int64)
        return add_constant(self._graph, self._names, "backward/integers", listed)

    def zeros(self, shape: Sequence[int]) -> ir.Value:
        """Zeros of a shape."""
        return self.op("Expand", self.number(0.0), self.ints(tuple(shape)))

    def scaled(self, value: ir.Value, factor: float) -> ir.Value:
        """A value times a number."""
        return value if factor == 1.0 else self.op("Mul", value, self.number(factor))

    def reshaped(self, value: ir.Value, shape: Sequence[int]) -> ir.Value:
        """The same elements in another shape."""
        return self.op("Reshape", value, self.ints(tuple(shape)))

    def summed_to(
        self, value: ir.Value, shape: Sequence[int], target: Sequence[int]
    ) -> ir.Value:
        """Undo a broadcast from ``target`` to ``shape`` by adding up the copies."""
        padded = (1,) * (len(shape) - len(target)) + tuple(target)
        axes = [i for i, size in enumerate(shape) if padded[i] == 1 and size != 1]
        if axes:
            value = self.op("ReduceSum", value, self.ints(axes), keepdims=1)
        return value if tuple(target) == padded else self.reshaped(value, target)


def shape_of(value: ir.Value | None) -> tuple[int, ...]:
    """The shape of a value.

    Raises:
        ModelError: It is not known before the network runs.
    """
    shape = static_shape(value)
    if shape is None:
        name = value.name if value is not None else None
        raise ModelError(f"{name!r} has no static shape, which derivatives need")
    return shape
