"""A TFLite network on its way to ONNX: which value stands for which tensor, in which layout.

TFLite keeps channels innermost, ONNX outermost. A tensor of rank 4 is written as its operator
computes it and transposed where a reader wants the other order; operators of one element
follow their operands, so that between convolutions nothing is transposed.

A quantized tensor is written as ``QuantizeLinear`` with its scale and zero point, and read
through ``DequantizeLinear``.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from octavo.compiler.importer.tflite.container import Operator, Quantization, TfliteModel
from octavo.compiler.importer.tflite.graph_writer import GraphWriter
from octavo.compiler.importer.tflite.schema import Activation
from octavo.errors import ModelError

INT32 = np.iinfo(np.int32)
# Kept as ONNX numbers; everything else that has a scale is a real value.
_COMPUTED = ("INT8", "UINT8", "INT16")
_FLOAT = onnx.TensorProto.FLOAT


class Layout(Enum):
    """Order of the dimensions of a value; the permutation leads there from the other one."""

    FILE = (0, 2, 3, 1)  # as in the file: NHWC where the rank is 4
    CHANNELS_FIRST = (0, 3, 1, 2)  # NCHW


class Network(GraphWriter):
    """The network that is read, and the ONNX graph that is written.

    Attributes:
        tensors: Of the file, by index.
        operators: Of the file, in order.
        producers: The operator that computes each tensor.

    Args:
        model: Checked.
    """

    def __init__(self, model: TfliteModel) -> None:
        super().__init__()
        self.tensors = list(model.tensors)
        self.operators = model.operators
        self.producers = {
            o: operator for operator in model.operators for o in operator.outputs
        }
        self._model = model
        self._real: dict[tuple[int, Layout], str] = {}
        self._integer: dict[tuple[int, Layout], str] = {}
        self._parameter_names: dict[int, list[str]] = {}
        self.names = self._value_names()
        for index in model.inputs:
            self._declare_input(index)

    # What is read.

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the shape of a tensor in the layout of the file."""
        return self.tensors[index].shape

    def where(self, operator: Operator) -> str:
        """Return what messages call an operator: its kind and its first output."""
        return f"{operator.kind} '{self.names[operator.outputs[0]]}'"

    def operand(self, operator: Operator, position: int) -> int | None:
        """Return the tensor of an input, None where it is absent."""
        index = operator.inputs[position] if position < len(operator.inputs) else -1
        return None if index < 0 else index

    def required(self, operator: Operator, position: int) -> int:
        """Return the tensor of an input that must be there.

        Raises:
            ModelError: It is absent.
        """
        index = self.operand(operator, position)
        if index is None:
            raise ModelError(f"{self.where(operator)} lacks input {position}")
        return index

    def integers(self, operator: Operator, position: int) -> list[int]:
        """Return an operand that must be a constant vector of integers, such as axes.

        Raises:
            ModelError: It is computed, or not integers.
        """
        data = self.tensors[self.required(operator, position)].data
        if data is None or data.dtype.kind != "i":
            raise ModelError(
                f"{self.where(operator)}: input {position} must be constant integers"
            )
        return [int(value) for value in data.reshape(-1)]

    def weight(self, operator: Operator, position: int, perm: Sequence[int]) -> str:
        """Write a constant operand with its axes permuted, and return its real value.

        Raises:
            ModelError: It is computed, or of another rank.
        """
        index = self.required(operator, position)
        data, name = self.tensors[index].data, self.names[index]
        if data is None or data.ndim != len(perm):
            raise ModelError(
                f"{self.where(operator)}: '{name}' must be a constant of rank {len(perm)}"
            )
        axis = None
        quantization = self.tensors[index].quantization
        if quantization is not None:
            axis = list(perm).index(quantization.axis)
        return self.stored(np.transpose(data, perm), quantization, axis, name)

    def real(self, index: int, layout: Layout = Layout.FILE) -> str:
        """Return the name of a tensor's value: real where it is quantized.

        Raises:
            ModelError: Nothing computes the tensor.
        """
        if len(self.shape(index)) != 4:
            layout = Layout.FILE
        if (index, layout) in self._real:
            return self._real[index, layout]
        tensor = self.tensors[index]
        other = next(known for known in Layout if known is not layout)
        if tensor.data is not None:
            data = tensor.data
            axis = tensor.quantization.axis if tensor.quantization else 0
            if layout is Layout.CHANNELS_FIRST:
                data = data.transpose(layout.value)
                axis = layout.value.index(axis)
            name = self.stored(data, tensor.quantization, axis, self.names[index])
        elif (index, other) in self._real:
            name = self.moved(self._real[index, other], self._dims(index, other), layout.value)
        else:
            raise ModelError(f"tensor '{self.names[index]}' is read, but nothing computes it")
        self._real[index, layout] = name
        return name

    def lies_first(self, index: int) -> bool:
        """Say whether a tensor was computed with its channels outermost."""
        return (index, Layout.CHANNELS_FIRST) in self._real and (
            index,
            Layout.FILE,
        ) not in self._real

    def bias(
        self, operator: Operator, position: int, scale: NDArray[np.float32]
    ) -> str | None:
        """Return the real value of an int32 bias, or of a float one; None where it is absent.

        Args:
            operator: The one that adds it.
            position: Of the operand.
            scale: Of its integers where the file does not say.
        """
        index = self.operand(operator, position)
        if index is None:
            return None
        tensor = self.tensors[index]
        data, quantization = tensor.data, tensor.quantization
        if data is None or data.ndim != 1:
            raise ModelError(f"{self.where(operator)}: its bias must be a constant vector")
        if data.dtype.kind == "i":
            quantization = quantization or Quantization(
                scale, np.zeros(scale.size, np.int64), 0
            )
            # 16-bit activations come with 64-bit biases, which ONNX does not dequantize
            if data.size and (data.min() < INT32.min or data.max() > INT32.max):
                raise ModelError(f"{self.where(operator)}: its bias does not fit in 32 bits")
            data = data.astype(np.int32)
        return self.stored(data, quantization, 0, self.names[index])

    def product_scale(self, x: int, weight: int) -> NDArray[np.float32]:
        """Return the scales of products of two tensors, 1 for a tensor that has none.

        Raises:
            ModelError: The left one has a scale for each channel, which sums cannot keep.
        """
        one = np.ones(1, np.float32)
        left, right = (
            one if record is None else record.scale
            for record in (self.tensors[x].quantization, self.tensors[weight].quantization)
        )
        if left.size > 1:
            raise ModelError(f"tensor '{self.names[x]}' is multiplied, with scales by channel")
        return left * right

    def are_alike(self, left: int, right: int) -> bool:
        """Say whether equal numbers of two computed tensors stand for equal real values."""
        first, second = (self.tensors[index].quantization for index in (left, right))
        if first is None or second is None:
            return first is second
        return bool(
            first.scale[0] == second.scale[0] and first.zero_point[0] == second.zero_point[0]
        )

    # What is written.

    def hint(self, index: int, layout: Layout = Layout.FILE) -> str:
        """Return what to call the float result that becomes a tensor."""
        name = self.names[index]
        if self._is_integer(index):
            return f"{name}/real"
        return f"{name}/nchw" if layout is Layout.CHANNELS_FIRST else name

    def define(
        self,
        index: int,
        value: str,
        layout: Layout = Layout.FILE,
        activation: int = Activation.NONE,
    ) -> None:
        """Note which real value a tensor has; quantized tensors are quantized here.

        Args:
            index: The tensor.
            value: Before the fused activation.
            layout: Of the value.
            activation: Fused activation.

        Raises:
            ModelError: The activation is not supported.
        """
        value = self.activated(value, activation, index)
        if len(self.shape(index)) != 4:
            layout = Layout.FILE
        if self._is_integer(index):
            quantized = self._quantized(index, value, layout)
            self._integer[index, layout] = quantized
            value = self._dequantized(index, quantized)
        self._real[index, layout] = value

    def rounded(self, index: int, value: str) -> str:
        """Round a real value as a quantized tensor is stored; others are as they are."""
        if not self._is_integer(index):
            return value
        inputs = [value, *self._activation_parameters(index)]
        return self._dequantized(
            index, self.node("QuantizeLinear", inputs, f"{value}/quantized")
        )

    def define_constant(self, index: int, other: int) -> None:
        """Note that a tensor is a constant of the file in another form: a weight can be one.

        Raises:
            ModelError: They have different shapes.
        """
        constant, declared = self.tensors[other], self.tensors[index]
        if constant.shape != declared.shape:
            raise ModelError(
                f"tensor '{self.names[index]}' has shape {list(declared.shape)} in the file, "
                f"but its operator computes {list(constant.shape)}"
            )
        if constant.quantization is None and constant.data is not None:
            self.tensors[index] = replace(declared, data=constant.data.astype(np.float32))
        else:
            self.tensors[index] = replace(constant, name=declared.name)

    def define_as(self, index: int, other: int) -> None:
        """Note that a float tensor is the real value of another one."""
        layout = Layout.CHANNELS_FIRST if self.lies_first(other) else Layout.FILE
        self._real[index, layout] = self.real(other, layout)

    def activated(self, value: str, activation: int, index: int) -> str:
        """Append a fused activation.

        Raises:
            ModelError: It is not supported.
        """
        hint = f"{self.names[index]}/activated"
        if activation == Activation.NONE:
            return value
        if activation == Activation.RELU:
            return self.node("Relu", [value], hint)
        if activation == Activation.TANH:
            return self.node("Tanh", [value], hint)
        limits = {Activation.RELU6: (0, 6), Activation.RELU_N1_TO_1: (-1, 1)}
        if activation not in limits:
            raise ModelError(
                f"'{self.names[index]}': fused activation {activation} is not supported"
            )
        return self.clipped(value, *limits[Activation(activation)], hint)

    def finish(self) -> onnx.GraphProto:
        """Return the graph, with the outputs in the layout of the file."""
        outputs = []
        for place, index in enumerate(self._model.outputs):
            name = self._output_name(index, place)
            outputs.append(self._info(index, name))
        inputs = [self._info(index, self.names[index]) for index in self._model.inputs]
        return helper.make_graph(
            self._nodes,
            self._model.name,
            inputs,
            outputs,
            self._initializers,
            value_info=self._declared(),
        )

    # Parts.

    def _value_names(self) -> list[str]:
        """Names for all tensors; what users feed and read keeps its own first."""
        names = {}
        ends = (*self._model.inputs, *self._model.outputs)
        for index in dict.fromkeys((*ends, *range(len(self.tensors)))):
            name = self._model.signature.get(index) if index in ends else None
            names[index] = self.fresh(name or self.tensors[index].name or f"tensor_{index}")
        self._taken -= set(names.values())  # each is given out once more: to the value itself
        return [names[index] for index in range(len(self.tensors))]

    def _is_integer(self, index: int) -> bool:
        tensor = self.tensors[index]
        return tensor.quantization is not None and tensor.type.name in _COMPUTED

    def _declared(self) -> list[onnx.ValueInfoProto]:
        """The shapes of the file, of what operators compute; ``shape_check`` compares them."""
        infos = []
        for values, is_real in ((self._integer, False), (self._real, True)):
            for (index, layout), name in values.items():
                if index in self.producers:
                    is_float = is_real and self._is_integer(index)
                    dtype = _FLOAT if is_float else self.tensors[index].type.onnx
                    dims = self._dims(index, layout)
                    infos.append(helper.make_tensor_value_info(name, dtype, dims))
        return infos

    def _declare_input(self, index: int) -> None:
        name = self.fresh(self.names[index])
        if self._is_integer(index):
            self._integer[index, Layout.FILE] = name
            name = self._dequantized(index, name)
        self._real[index, Layout.FILE] = name

    def _output_name(self, index: int, place: int) -> str:
        """The name of a graph output; the same tensor may be several of them."""
        value = self.real(index)
        if self._is_integer(index):
            if (index, Layout.FILE) not in self._integer:
                self._integer[index, Layout.FILE] = self._quantized(index, value, Layout.FILE)
            value = self._integer[index, Layout.FILE]
        is_repeated = index in self._model.outputs[:place]
        if value == self.names[index] and not is_repeated and index not in self._model.inputs:
            return value
        return self.node("Identity", [value], self.names[index])

    def _dims(self, index: int, layout: Layout) -> tuple[int, ...]:
        shape = self.shape(index)
        if layout is Layout.FILE:
            return shape
        return tuple(shape[axis] for axis in layout.value)

    def _info(self, index: int, name: str) -> onnx.ValueInfoProto:
        tensor = self.tensors[index]
        return helper.make_tensor_value_info(name, tensor.type.onnx, tensor.shape)

    def _activation_parameters(self, index: int) -> list[str]:
        if index not in self._parameter_names:
            tensor = self.tensors[index]
            assert tensor.quantization is not None
            self._parameter_names[index] = self.parameters(
                tensor.quantization, tensor.type.dtype, self.names[index]
            )
        return self._parameter_names[index]

    def _quantized(self, index: int, value: str, layout: Layout) -> str:
        name = self.names[index]
        hint = name if layout is Layout.FILE else f"{name}/nchw"
        return self.node("QuantizeLinear", [value, *self._activation_parameters(index)], hint)

    def _dequantized(self, index: int, value: str) -> str:
        inputs = [value, *self._activation_parameters(index)]
        return self.node("DequantizeLinear", inputs, f"{value}/dequantized")
