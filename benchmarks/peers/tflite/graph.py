"""An ONNX network on its way to TensorFlow Lite: who reads what, and in which layout."""

from collections import Counter
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

from benchmarks.peers.tflite.writer import TfliteWriter

NCHW_TO_NHWC, NHWC_TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
Activation = schema.ActivationFunctionType


class UnsupportedError(Exception):
    """The network has something that is not converted; the message names it."""


class Graph:
    """The network that is read, and the one that is written.

    Attributes:
        nodes: ONNX nodes in order.
        writer: What has been written so far.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        """Read a network; its inputs of rank 4 become channels last.

        Args:
            model: Static shapes, float32.
        """
        graph = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
        self.writer = TfliteWriter()
        self.nodes = list(graph.node)
        self._arrays = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self._shapes = {
            info.name: tuple(d.dim_value for d in info.type.tensor_type.shape.dim)
            for info in (*graph.value_info, *graph.input, *graph.output)
        }
        self._plain: dict[str, int] = {}
        self._channels_last: dict[str, int] = {}
        self._done: set[str] = set()
        self._outputs = [info.name for info in graph.output]
        self._num_uses = Counter(name for node in self.nodes for name in node.input if name)
        self._num_uses.update(self._outputs)
        self._inputs = {info.name: self._declare(info) for info in graph.input}

    def _declare(self, info: onnx.ValueInfoProto) -> int:
        is_float = info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        shape, dtype = self._shapes[info.name], np.float32 if is_float else np.int32
        if len(shape) == len(NCHW_TO_NHWC):
            shape = tuple(shape[axis] for axis in NCHW_TO_NHWC)
            index = self._channels_last[info.name] = self.writer.tensor(
                info.name, shape, dtype
            )
        else:
            index = self._plain[info.name] = self.writer.tensor(info.name, shape, dtype)
        return index

    def finish(self) -> bytes:
        """Return the file, outputs in the layout of ONNX."""
        return self.writer.finish(
            self._inputs, {name: self.plain(name) for name in self._outputs}
        )

    # What is read.

    def array(self, name: str) -> NDArray[Any] | None:
        """Return a constant's value; None for what is computed."""
        return self._arrays.get(name)

    def constant(self, name: str) -> NDArray[Any]:
        """Return the value of what must be a constant."""
        if name not in self._arrays:
            raise UnsupportedError(f"{name!r} is not a constant")
        return self._arrays[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a value's shape in the layout of ONNX."""
        return self._arrays[name].shape if name in self._arrays else self._shapes[name]

    def reader(self, name: str) -> onnx.NodeProto | None:
        """Return the only node that reads a value; None when more do, or the user does."""
        readers = [node for node in self.nodes if name in node.input]
        return readers[0] if self._num_uses[name] == 1 and readers else None

    def is_read(self, name: str) -> bool:
        """Say whether anybody wants a value."""
        return bool(name) and self._num_uses[name] > 0

    def maker(self, name: str) -> onnx.NodeProto | None:
        """Return the node that computes a value; None for inputs and constants."""
        return next((node for node in self.nodes if name in node.output), None)

    def skip(self, node: onnx.NodeProto) -> None:
        """Note that a node is part of what another one became."""
        self._done.add(node.output[0])

    def is_done(self, node: onnx.NodeProto) -> bool:
        """Say whether a node was skipped."""
        return node.output[0] in self._done

    def fused_activation(self, name: str) -> tuple[int, str]:
        """Return the activation that alone reads a value, and the name of its output."""
        node = self.reader(name)
        if node is None or node.op_type not in ("Relu", "Clip"):
            return Activation.NONE, name
        if node.op_type == "Clip" and not is_relu6(self, node):
            return Activation.NONE, name
        self.skip(node)
        kind = Activation.RELU if node.op_type == "Relu" else Activation.RELU6
        return kind, node.output[0]

    # What is written.

    def plain(self, name: str) -> int:
        """Return a value's tensor in the layout of ONNX."""
        if name not in self._plain:
            if name in self._arrays:
                self._plain[name] = self.stored(self._arrays[name], name)
            else:
                index = self._channels_last[name]
                self._plain[name] = self.transposed(index, NHWC_TO_NCHW, f"{name}/nchw")
        return self._plain[name]

    def channels_last(self, name: str) -> int:
        """Return a value's tensor, rank 4, with the channels innermost."""
        if name not in self._channels_last:
            if name in self._arrays:
                array = self._arrays[name]
                array = array.transpose(NCHW_TO_NHWC) if array.ndim == 4 else array
                self._channels_last[name] = self.stored(array, f"{name}/nhwc")
            else:
                index = self._plain[name]
                self._channels_last[name] = self.transposed(
                    index, NCHW_TO_NHWC, f"{name}/nhwc"
                )
        return self._channels_last[name]

    def lies_channels_last(self, name: str) -> bool:
        """Say whether a value was written with the channels innermost."""
        return name in self._channels_last and name not in self._plain

    def set(self, name: str, index: int, *, channels_last: bool = False) -> None:
        """Note the tensor of a value."""
        (self._channels_last if channels_last else self._plain)[name] = index

    def stored(self, array: NDArray[Any], name: str) -> int:
        """Store a constant as float32 or int32."""
        dtype = np.float32 if array.dtype.kind == "f" else np.int32
        return self.writer.constant(np.asarray(array, dtype), name)

    def emit(
        self,
        kind: str,
        inputs: list[int],
        shape: tuple[int, ...],
        name: str,
        options: Any = None,
        dtype: Any = np.float32,
    ) -> int:
        """Append an operator with one output and return its tensor."""
        output = self.writer.tensor(name, shape, dtype)
        self.writer.operator(kind, inputs, [output], options)
        return output

    def transposed(self, index: int, perm: tuple[int, ...], name: str) -> int:
        """Append a TRANSPOSE; a RESHAPE where nothing moves."""
        old = self.writer.shapes[index]
        shape = tuple(old[axis] for axis in perm)
        moving = [axis for axis in perm if old[axis] != 1]
        if moving == sorted(moving):
            return self.reshaped(index, shape, name)
        axes = self.stored(np.array(perm), f"{name}/perm")
        dtype = self.writer.dtypes[index]
        return self.emit(
            "TRANSPOSE", [index, axes], shape, name, schema.TransposeOptionsT(), dtype
        )

    def reshaped(self, index: int, shape: tuple[int, ...], name: str) -> int:
        """Append a RESHAPE, unless the shape is the same."""
        if self.writer.shapes[index] == shape:
            return index
        options = schema.ReshapeOptionsT()
        options.newShape = np.array(shape, np.int32)
        sizes = self.stored(np.array(shape), f"{name}/shape")
        dtype = self.writer.dtypes[index]
        return self.emit("RESHAPE", [index, sizes], shape, name, options, dtype)

    def sliced(
        self, index: int, begin: tuple[int, ...], shape: tuple[int, ...], name: str
    ) -> int:
        """Append a SLICE."""
        ends = [self.stored(np.array(v), f"{name}/slice") for v in (begin, shape)]
        return self.emit("SLICE", [index, *ends], shape, name, schema.SliceOptionsT())


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def is_relu6(graph: Graph, node: onnx.NodeProto) -> bool:
    """Say whether a Clip is to [0, 6]."""
    bounds = [graph.array(name) for name in node.input[1:]]
    return len(bounds) == 2 and all(
        bound is not None and float(bound) == limit
        for bound, limit in zip(bounds, (0, 6), strict=True)
    )
