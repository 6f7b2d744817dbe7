"""An ONNX graph while it is written: nodes with unique value names, and constants."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from octavo.compiler.importer.tflite.container import Quantization


class GraphWriter:
    """Nodes and initializers, in the order in which they are appended."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._taken: set[str] = set()

    def node(self, kind: str, inputs: Sequence[str], hint: str, **attributes: Any) -> str:
        """Append a node with one output; return the output's name, made from ``hint``."""
        return self.nodes(kind, inputs, [hint], **attributes)[0]

    def nodes(
        self, kind: str, inputs: Sequence[str], hints: Sequence[str], **attributes: Any
    ) -> list[str]:
        """Append a node; return the names of its outputs, made from ``hints``."""
        outputs = [self.fresh(hint) for hint in hints]
        name = outputs[0].removesuffix("/real").removesuffix("/nchw")
        if kind == "QuantizeLinear":
            # the tensor's name is that of the operator that computes it
            name = f"{outputs[0]}/quantize"
        self._nodes.append(helper.make_node(kind, inputs, outputs, name, **attributes))
        return outputs

    def note(self, key: str, text: str) -> None:
        """Add to the metadata of the last node."""
        self._nodes[-1].metadata_props.add(key=key, value=text)

    def constant(self, value: NDArray[Any], hint: str) -> str:
        """Store a constant and return its name."""
        name = self.fresh(hint)
        array = np.ascontiguousarray(value).reshape(value.shape)
        self._initializers.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, values: Sequence[int], hint: str) -> str:
        """Store an int64 vector and return its name."""
        return self.constant(np.asarray(values, np.int64).reshape(-1), hint)

    def moved(self, value: str, shape: Sequence[int], perm: Sequence[int]) -> str:
        """Append a Transpose, or a Reshape where no element moves.

        Args:
            value: Of shape ``shape``.
            shape: Before.
            perm: Where each axis of the result comes from.
        """
        order = [axis for axis in perm if shape[axis] != 1]
        if order == sorted(order):
            return self.reshaped(value, [shape[axis] for axis in perm])
        return self.node("Transpose", [value], f"{value}/moved", perm=list(perm))

    def reshaped(self, value: str, shape: Sequence[int]) -> str:
        """Append a Reshape to a static shape."""
        sizes = self.ints(shape, f"{value}/shape")
        return self.node("Reshape", [value, sizes], f"{value}/reshaped")

    def clipped(self, value: str, low: float, high: float, hint: str) -> str:
        """Append a Clip."""
        bounds = [
            self.constant(np.array(bound, np.float32), f"{hint}/{end}")
            for bound, end in ((low, "low"), (high, "high"))
        ]
        return self.node("Clip", [value, *bounds], hint)

    def stored(
        self,
        data: NDArray[Any],
        quantization: Quantization | None,
        axis: int | None,
        name: str,
    ) -> str:
        """Store a constant; return its name, or that of its real value.

        Args:
            data: Integers where it is quantized; floats become float32.
            quantization: None for plain numbers.
            axis: Where the channels of ``quantization`` are in ``data``.
            name: Start of the names.
        """
        if data.dtype.kind == "f" and data.dtype != np.float32:
            return self.constant(data.astype(np.float32), name)
        stored = self.constant(data, name)
        if quantization is None:
            return stored
        inputs = [stored, *self.parameters(quantization, data.dtype, name)]
        if quantization.scale.size == 1:
            axis = None
        attributes = {} if axis is None else {"axis": axis}
        return self.node("DequantizeLinear", inputs, f"{name}/dequantized", **attributes)

    def parameters(self, quantization: Quantization, dtype: Any, name: str) -> list[str]:
        """Store scale and zero point, the latter of a dtype; return their names."""
        scale = quantization.scale.astype(np.float32)
        zero_point = quantization.zero_point.astype(dtype)
        if scale.size == 1:
            scale, zero_point = scale.reshape(()), zero_point.reshape(())
        return [
            self.constant(scale, f"{name}/scale"),
            self.constant(zero_point, f"{name}/zero_point"),
        ]

    def fresh(self, hint: str) -> str:
        """Return a name that no value has, made from ``hint``."""
        name, suffix = hint, 1
        while name in self._taken:
            suffix += 1
            name = f"{hint}_{suffix}"
        self._taken.add(name)
        return name
