"""A model under rewriting: read shapes and constants, write nodes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


class Fragment:
    """Shapes and constants of a model, and the nodes that a rewrite makes.

    Attributes:
        model: Rewritten in place.
        made: Nodes of the rewrite in progress.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.made: list[onnx.NodeProto] = []
        self._constants = {t.name: t for t in model.graph.initializer}
        self._num_names = 0
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        graph = inferred.graph
        self._types = {
            v.name: v.type.tensor_type
            for v in [*graph.input, *graph.output, *graph.value_info]
        }

    def shape(self, name: str) -> tuple[int, ...]:
        """Static shape of a value."""
        if name in self._constants:
            return tuple(self._constants[name].dims)
        return tuple(d.dim_value for d in self._types[name].shape.dim)

    def dtype(self, name: str) -> int:
        """ONNX element type of a value."""
        if name in self._constants:
            return int(self._constants[name].data_type)
        return int(self._types[name].elem_type)

    def is_known(self, name: str) -> bool:
        """Whether the type and the rank of a value are known."""
        return name in self._constants or (
            name in self._types and self._types[name].HasField("shape")
        )

    def value(self, name: str) -> NDArray[Any] | None:
        """Array of a constant, else None."""
        found = self._constants.get(name)
        return None if found is None else numpy_helper.to_array(found)

    def constant(self, array: NDArray[Any] | Sequence[Any], dtype: int = 0) -> str:
        """Add a constant.

        Args:
            array: Values.
            dtype: ONNX element type; 0 for that of the array.
        """
        values = np.asarray(array)
        if dtype:
            values = values.astype(helper.tensor_dtype_to_np_dtype(dtype))
        name = self._name()
        tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
        if values.ndim == 0:
            tensor.ClearField("dims")
        self._constants[name] = tensor
        self.model.graph.initializer.append(tensor)
        return name

    def op(self, op_type: str, *inputs: str, num_outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; returns the name of its output, or a list of names."""
        outputs = [self._name() for _ in range(num_outputs)]
        self.made.append(helper.make_node(op_type, list(inputs), outputs, **attributes))
        return outputs[0] if num_outputs == 1 else outputs

    def result(self, value: str, name: str) -> None:
        """Give a value of the rewrite the name of an output that it replaces."""
        if name:
            self.made.append(helper.make_node("Identity", [value], [name]))

    def _name(self) -> str:
        self._num_names += 1
        return f"octavo_{id(self) & 0xFFFF:x}_{self._num_names}"


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes as Python values; text is decoded."""
    found = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, list) and value and isinstance(value[0], bytes):
            value = [item.decode() for item in value]
        found[attribute.name] = value
    return found


def operand(node: onnx.NodeProto, position: int) -> str:
    """Name of an input; "" when it is left out."""
    return str(node.input[position]) if position < len(node.input) else ""


def result_name(node: onnx.NodeProto, position: int) -> str:
    """Name of an output; "" when nobody wants it."""
    return str(node.output[position]) if position < len(node.output) else ""


INTEGERS = frozenset(
    {TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64,
     TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64}
)  # fmt: skip
