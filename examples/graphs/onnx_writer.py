"""Writes ONNX node by node, with the weights as initializers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET = 18
Array = NDArray[Any]
ONNX_TYPES = {"edge_index": onnx.TensorProto.INT64, "batch": onnx.TensorProto.INT64}


def stored_weights(model: onnx.ModelProto) -> dict[str, Array]:
    """Return the weights of a model that Writer made: to build it anew for other graphs."""
    arrays = {array.name: numpy_helper.to_array(array) for array in model.graph.initializer}
    return {name: array for name, array in arrays.items() if not _is_constant(name)}


def _is_constant(name: str) -> bool:
    return name.startswith("constant_")


class Writer:
    """Collects nodes; each makes one value, named after its layer and operator.

    Attributes:
        weights: By name; what a layer calls "weight" is stored as "<layer>.weight".
    """

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self.weights = dict(weights)
        self._constants: dict[str, Array] = {}
        self._keys: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._made: dict[tuple[str, ...], list[str]] = {}
        self._count: Counter[str] = Counter()

    def add(self, op_type: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Append a node to layer ``name``; return its output's name."""
        return self.add_outputs(op_type, inputs, name, 1, **attributes)[0]

    def add_outputs(
        self, op_type: str, inputs: Sequence[str], name: str, count: int, **attributes: Any
    ) -> list[str]:
        """Append a node with ``count`` outputs; return their names.

        A node that is there already is not written again: exporters merge equal nodes.
        """
        key = (op_type, *inputs, repr(sorted(attributes.items())))
        if key in self._made:
            return self._made[key]
        stem = f"{name}/{op_type}"
        self._count[stem] += 1
        node_name = f"{stem}_{self._count[stem]}"
        outputs = [node_name, *(f"{node_name}_{k}" for k in range(1, count))]
        self._nodes.append(
            helper.make_node(op_type, list(inputs), outputs, node_name, **attributes)
        )
        self._made[key] = outputs
        return outputs

    def constant(self, array: Any, dtype: type[np.generic] = np.int64) -> str:
        """Return the name of a constant; equal ones share it."""
        values = np.asarray(array, dtype)
        key = (values.dtype.str, values.shape, values.tobytes())
        name = self._keys.setdefault(key, f"constant_{len(self._keys)}")
        self._constants[name] = values
        return name

    def linear(self, x: str, name: str) -> str:
        """Append x W' + b, as torch.nn.Linear is exported; no b if there is no such weight.

        Args:
            x: Shape (..., C_in).
            name: Of the layer whose weight (C_out, C_in) and bias (C_out,) are used.
        """
        names = [x, f"{name}.weight"]
        if f"{name}.bias" in self.weights:
            names.append(f"{name}.bias")
        return self.add("Gemm", names, name, transB=1)

    def reshape(self, x: str, shape: Sequence[int], name: str) -> str:
        """Append a Reshape to a constant shape."""
        return self.add("Reshape", [x, self.constant(shape)], name, allowzero=1)

    def sizes(self, first: int | None, of: str, rest: Sequence[int], name: str) -> str:
        """Return the value that holds (first, *rest).

        Args:
            first: A number, or None for the rows of ``of``, known at run time.
            of: A value whose first axis is that long.
            rest: The other numbers.
            name: Of the layer.
        """
        if first is not None:
            return self.constant([first, *rest])
        length = self.add("Shape", [of], name, start=0, end=1)
        return (
            self.add("Concat", [length, self.constant(rest)], name, axis=0) if rest else length
        )

    def model(
        self,
        inputs: Mapping[str, Sequence[int | str]],
        output: str,
        shape: Sequence[int | str],
    ) -> onnx.ModelProto:
        """Return the checked model; the last value is renamed to ``logits``.

        Args:
            inputs: Shape of each input; a name stands for a number known at run time.
            output: The value to return.
            shape: Its shape.
        """
        self._nodes.append(helper.make_node("Identity", [output], ["logits"], "logits"))
        used = {name for node in self._nodes for name in node.input}
        arrays = {**self._constants, **self.weights}
        infos = [
            helper.make_tensor_value_info(
                name, ONNX_TYPES.get(name, onnx.TensorProto.FLOAT), list(dims)
            )
            for name, dims in inputs.items()
        ]
        graph = helper.make_graph(
            self._nodes,
            "graph_network",
            infos,
            [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, list(shape))],
            [numpy_helper.from_array(a, name) for name, a in arrays.items() if name in used],
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        return model
