"""The model while it is being imported: nodes at opset 21, static types, constants as arrays.

The importer works on ONNX messages rather than on ``onnx_ir``: onnx's own checker and shape
inference take them node by node, and ``octavo inspect`` answers before ``onnx_ir`` is loaded.
Weights are taken out of the messages once and never serialized again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import onnx

from octavo.compiler.importer.tensors import Array

OPSET = 21


@dataclass(frozen=True)
class ValueType:
    """Element type (an ``onnx.TensorProto`` number) and static shape of a tensor."""

    dtype: int
    shape: tuple[int, ...]


@dataclass
class Draft:
    """A graph under construction.

    Attributes:
        inputs: Names of the graph inputs, in the model's order.
        outputs: Names of the graph outputs, in the model's order.
        nodes: Nodes of ai.onnx opset 21 in topological order.
        types: Type of every value: inputs, constants and node outputs.
        constants: Data of initializers and of everything folded from them.
        name: Name of the graph.
    """

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    types: dict[str, ValueType] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    name: str = "main"
    _reserved: set[str] = field(default_factory=set)
    _next_suffix: dict[str, int] = field(default_factory=dict)

    def reserve(self, *names: str) -> None:
        """Keep ``fresh`` from inventing these names."""
        self._reserved.update(names)

    def fresh(self, hint: str) -> str:
        """Return a name that no value has, made from ``hint``."""
        name = hint
        while not name or name in self._reserved:
            suffix = self._next_suffix.get(hint, 0) + 1
            self._next_suffix[hint] = suffix
            name = f"{hint}_{suffix}"
        self._reserved.add(name)
        return name

    def add_constant(self, hint: str, value: Array) -> str:
        """Store a new constant and return its name."""
        name = self.fresh(hint)
        self.set_constant(name, value)
        return name

    def set_constant(self, name: str, value: Array) -> None:
        """Store a constant under a name that is already reserved."""
        self.constants[name] = value
        dtype = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        self.types[name] = ValueType(int(dtype), tuple(value.shape))

    def constant(self, name: str) -> Array | None:
        """Return the data of a value, or None where it is computed at run time."""
        return self.constants.get(name)

    def dtype(self, name: str) -> int:
        """Return the element type of a known value."""
        return self.types[name].dtype

    def rank(self, name: str) -> int:
        """Return the number of dimensions of a known value."""
        return len(self.types[name].shape)

    def consumers(self) -> dict[str, list[onnx.NodeProto]]:
        """Return the nodes that read each value, in order."""
        readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                readers.setdefault(name, []).append(node)
        return readers

    def producers(self) -> dict[str, onnx.NodeProto]:
        """Return the node that computes each value."""
        return {name: node for node in self.nodes for name in node.output if name}


class Emitter:
    """Collects the nodes that replace one node.

    Args:
        draft: Where new constants go and new names come from.
        prefix: Start of the new names: the replaced node's name.
    """

    def __init__(self, draft: Draft, prefix: str) -> None:
        self.draft = draft
        self.nodes: list[onnx.NodeProto] = []
        self._prefix = prefix

    def op(
        self, op_type: str, inputs: Sequence[str], output: str | None = None, **attributes: Any
    ) -> str:
        """Append a node with one output and return the output's name."""
        name = self.draft.fresh(f"{self._prefix}/{op_type}")
        output = output or self.draft.fresh(f"{name}_output")
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(onnx.helper.make_node(op_type, inputs, [output], name, **given))
        return output

    def constant(self, hint: str, value: Array) -> str:
        """Store a constant and return its name."""
        return self.draft.add_constant(f"{self._prefix}/{hint}", value)

    def ints(self, hint: str, values: Sequence[int]) -> str:
        """Store an int64 vector and return its name."""
        return self.constant(hint, np.asarray(values, dtype=np.int64).reshape(-1))


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes of a node as Python values."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def input_name(node: onnx.NodeProto, index: int) -> str:
    """Return the name of an input, "" where it is absent."""
    return str(node.input[index]) if index < len(node.input) else ""


def stem(node: onnx.NodeProto) -> str:
    """Return the prefix for the names of nodes that replace ``node``."""
    first_output = next((output for output in node.output if output), node.op_type)
    return str(node.name or first_output)


@lru_cache(maxsize=1024)
def type_proto(value: ValueType) -> onnx.TypeProto:
    """Return the ONNX message of a type; shared, so it must not be changed."""
    return onnx.helper.make_tensor_type_proto(value.dtype, value.shape)


def rename_inputs(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Replace input names of a node in place."""
    for i, name in enumerate(node.input):
        if name in names:
            node.input[i] = names[name]
