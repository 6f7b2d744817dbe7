"""Constants of a graph: read them as arrays, add new ones under unused names."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray


def constant_array(value: ir.Value | None) -> NDArray[Any] | None:
    """The array behind an initializer or a Constant node, or None when it is computed."""
    if value is None:
        return None
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is None or value.is_graph_input():
        return None
    return np.asarray(tensor.numpy())


def float_constant(value: ir.Value | None) -> NDArray[np.float32] | None:
    """Like ``constant_array``, for float32 only."""
    array = constant_array(value)
    return array if array is not None and array.dtype == np.float32 else None


def scalar_constant(value: ir.Value | None) -> float | None:
    """The number in a constant of exactly one element, else None."""
    array = constant_array(value)
    if array is None or array.size != 1:
        return None
    return float(array.reshape(()))


class NameSource:
    """Hands out names that a graph does not use yet.

    Attributes:
        used: Every name of a value or a node in the graph, and every name handed out.
    """

    def __init__(self, graph: ir.Graph) -> None:
        names: Iterable[str | None] = (
            *(value.name for value in graph.inputs),
            *graph.initializers,
            *(node.name for node in graph),
            *(value.name for node in graph for value in node.outputs),
        )
        self.used = {name for name in names if name}

    def fresh(self, base: str) -> str:
        """``base``, or the first of ``base_1``, ``base_2``, ... that is free."""
        name, number = base, 0
        while name in self.used:
            number += 1
            name = f"{base}_{number}"
        self.used.add(name)
        return name


def add_constant(
    graph: ir.Graph, names: NameSource, base: str, array: NDArray[Any]
) -> ir.Value:
    """Add an initializer named after ``base`` and return its value."""
    # ascontiguousarray would turn a () array into (1,).
    array = np.asarray(array, order="C")
    tensor = ir.tensor(array, name=names.fresh(base))
    value = ir.val(
        tensor.name, ir.DataType.from_numpy(array.dtype), array.shape, const_value=tensor
    )
    graph.register_initializer(value)
    return value
