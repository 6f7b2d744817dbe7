"""What the lowering of one region may ask for: tensors, copies, kernel calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.builder import Origin, ProgramBuilder
from octavo.compiler.lowering.places import CHANNEL_AXIS, Place
from octavo.compiler.lowering.program import Buffer, Storage
from octavo.compiler.lowering.qdq_graph import (
    QuantParams,
    constant,
    dtype_of,
    quantized_constant,
    shape_of,
)
from octavo.compiler.lowering.tensor import (
    Order,
    Tensor,
    channels_last,
    dense_strides,
    identity,
    real_value,
)
from octavo.errors import LoweringError
from octavo.targets.ops.move import Move
from octavo.targets.ops.word_conv import WORD

SIGN_BIT = 0x80
INTEGER_BYTES = {1, 2}  # of an activation


@dataclass(frozen=True)
class Region:
    """Nodes that one kernel, or one view, computes.

    Attributes:
        nodes: Steps are emitted when the walk through the graph reaches the last one.
        emit: Appends the steps and defines the results.
        reads: Values that it computes them of; None for what its nodes read.
    """

    nodes: tuple[ir.Node, ...]
    emit: "Callable[[Context], None]"
    reads: tuple[ir.Value, ...] | None = None

    def origin(self, reason: str = "") -> Origin:
        """Name the region after its nodes; Q and DQ are not worth a mention."""
        return origin_of(self.nodes, reason)


def origin_of(nodes: tuple[ir.Node, ...], reason: str = "") -> Origin:
    """Name a step after the nodes that it computes."""
    told = [n for n in nodes if n.op_type not in ("QuantizeLinear", "DequantizeLinear")]
    told = told or list(nodes)
    op_types = tuple(n.op_type for n in told)
    name = told[0].name or op_types[0]
    return Origin(name, op_types, tuple(n.name or "" for n in told), reason)


def conversion_of(value: ir.Value, what: str, op_type: str) -> Origin:
    """Name a step that only brings a value into another form, after the node that made it."""
    producer = value.producer()
    made_by = "" if producer is None else producer.name or ""
    return Origin(f"{value.name}.{what}", (op_type,), (made_by,))


class Context:
    """Tensors by ONNX value, and the program under construction.

    Attributes:
        builder: Where steps go.
        mode: Rounding contract, "float32" or "dyadic".
        ports: Buffers that the caller of the program reads or writes.
        places: Values that belong into a slice of a concatenated tensor.
        products: Numbers that float layers multiply, by node: "float32" or "bfloat16".
    """

    def __init__(self, builder: ProgramBuilder, mode: str) -> None:
        self.builder = builder
        self.mode = mode
        self.activation_dtype = builder.target.activation_dtype
        self.before_read: Callable[[ir.Value], None] = lambda value: None
        self.ports: list[Buffer] = []
        self.places: Mapping[ir.Value, Place] = {}
        self.products: Mapping[str, str] = {}
        self._wholes: dict[ir.Value, Tensor] = {}
        self._tensors: dict[ir.Value, Tensor] = {}
        self._floats: dict[ir.Value, Tensor] = {}

    # -- tensors of values -------------------------------------------------------------------

    def define(self, value: ir.Value, tensor: Tensor) -> None:
        """Say where a value is."""
        if tensor.shape != shape_of(value):
            raise AssertionError(f"{value.name}: {tensor.shape} is not {shape_of(value)}")
        self._tensors[value] = tensor

    def tensor(self, value: ir.Value) -> Tensor:
        """The tensor that stands for a value: quantized if it is dequantized in the model."""
        found = self._tensors.get(value)
        if found is None:
            self.before_read(value)
            found = self._tensors.get(value)
        if found is None:
            found = self._constant(value)
            self._tensors[value] = found
        return found

    def _constant(self, value: ir.Value) -> Tensor:
        quantized = quantized_constant(value)
        if (
            quantized is not None
            and quantized.scale.size == 1
            and (quantized.values.dtype.name in ("int8", "uint8"))
        ):
            params = QuantParams(
                quantized.values.dtype.name,
                float(quantized.scale.reshape(-1)[0]),
                int(quantized.zero_point.reshape(-1)[0]),
            ).stored_as(self.activation_dtype)
            stored = quantized.values
            if stored.dtype.name != params.dtype:
                stored = (stored.view(np.uint8) ^ SIGN_BIT).view(params.dtype)
            return replace(
                self.constant(value.name or "constant", stored),
                scale=params.scale,
                zero_point=params.zero_point,
            )
        array = quantized.real() if quantized is not None else constant(value)
        if array is None:
            raise LoweringError(f"value {value.name!r} is never computed")
        return self.constant(value.name or "constant", array)

    def constant(self, name: str, array: NDArray[Any]) -> Tensor:
        """A constant tensor in the weight blob."""
        buffer = self.builder.weights(name, array)
        return Tensor(
            buffer,
            array.dtype.name,
            array.shape,
            dense_strides(array.shape, identity(array.ndim)),
        )

    def new(self, name: str, dtype: str, shape: tuple[int, ...], order: Order) -> Tensor:
        """Reserve a dense tensor."""
        num_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        buffer = self.builder.arena(name, num_bytes)
        return Tensor(buffer, dtype, shape, dense_strides(shape, order))

    def new_quantized(self, value: ir.Value, params: QuantParams, order: Order) -> Tensor:
        """Reserve the dense tensor of a quantized value, and define the value."""
        tensor = self._quantized(value, params, order)
        self.define(value, tensor)
        return tensor

    def stored(self, params: QuantParams) -> QuantParams:
        """The same real values as tensors of this program hold them."""
        return params.stored_as(WORD if params.is_word else self.activation_dtype)

    def _quantized(self, value: ir.Value, params: QuantParams, order: Order) -> Tensor:
        stored = self.stored(params)
        return replace(
            self.new(value.name or "q", stored.dtype, shape_of(value), order),
            scale=stored.scale,
            zero_point=stored.zero_point,
        )

    def new_float(self, value: ir.Value, order: Order) -> Tensor:
        """Reserve the dense tensor of a float value, and define the value."""
        tensor = self.new(value.name or "f", "float32", shape_of(value), order)
        self.define(value, tensor)
        return tensor

    def new_pixels(self, value: ir.Value, params: QuantParams | None) -> Tensor:
        """Take the place of a value whose channels come last, and define the value.

        Args:
            value: What will be written.
            params: Its quantization; None for float.

        Returns:
            A slice of the tensor that the value is concatenated to, if it is; else a tensor of
            its own. It has a ``pixel_stride`` and is addressed directly. Its quantization may
            be another one, to which the integers are to be rounded once more.
        """
        order = channels_last(len(shape_of(value)))
        tensor = self.place_of(value, is_exact=False)
        if tensor is not None and tensor.is_quantized == (params is not None):
            self.define(value, tensor)
        elif params is None:
            tensor = self.new_float(value, order)
        else:
            tensor = self.new_quantized(value, params, order)
        return tensor.addressed_directly()

    def place_of(self, value: ir.Value, *, is_exact: bool = True) -> Tensor | None:
        """The slice of a concatenated tensor where a value belongs, or None.

        Args:
            value: What will be written.
            is_exact: The writer cannot round its result once more.
        """
        place = self.places.get(value)
        if place is None or (is_exact and not place.is_exact):
            return None
        whole = self.whole(place.whole, place.params)
        count = shape_of(value)[CHANNEL_AXIS]
        return whole.sliced(CHANNEL_AXIS, place.start, count)

    def whole(self, value: ir.Value, params: QuantParams | None) -> Tensor:
        """The tensor of a concatenated value, reserved before the value is defined."""
        known = self._wholes.get(value)
        if known is None:
            order = channels_last(len(shape_of(value)))
            known = self.place_of(value)
            if known is None and params is not None:
                known = self._quantized(value, params, order)
            elif known is None:
                known = self.new(value.name or "f", "float32", shape_of(value), order)
            self._wholes[value] = known
        return known

    def has_whole(self, value: ir.Value) -> bool:
        """Whether parts of a concatenated value are in place."""
        return value in self._wholes

    # -- copies ------------------------------------------------------------------------------

    def dense(self, tensor: Tensor, order: Order, origin: Origin) -> Tensor:
        """The tensor without gaps in an order of axes, copied only if it must be."""
        if tensor.is_dense(order):
            return tensor
        copied = replace(
            self.new(f"{origin.name}.copy", tensor.dtype, tensor.shape, order),
            scale=tensor.scale,
            zero_point=tensor.zero_point,
        )
        self.move(tensor, copied, {}, "copy", origin)
        return copied

    def pixels(self, tensor: Tensor, origin: Origin) -> Tensor:
        """The tensor with a ``pixel_stride``, addressed directly; copied if it must be."""
        if tensor.pixel_stride is None:
            return self.dense(tensor, channels_last(tensor.rank), origin)
        return tensor.addressed_directly()

    def float_view(self, value: ir.Value) -> Tensor:
        """A value as float32 numbers, dequantized if it must be, wherever they lie."""
        tensor = self.tensor(value)
        return self.float_tensor(value) if tensor.is_quantized else tensor

    def float_pixels(self, value: ir.Value) -> Tensor:
        """As ``pixels``, of a value as float32 numbers."""
        tensor = self.tensor(value)
        if tensor.is_quantized:
            tensor = self.float_tensor(value, channels_last(tensor.rank))
        return self.pixels(tensor, conversion_of(value, "layout", "Transpose"))

    def float_tensor(self, value: ir.Value, order: Order | None = None) -> Tensor:
        """A value as float32 numbers, dequantized if it must be.

        Args:
            value: Any float value of the model.
            order: Wanted order of axes; None for whatever order it has.
        """
        tensor = self.tensor(value)
        if tensor.is_quantized and tensor.buffer.storage is Storage.WEIGHTS:
            tensor = self._real_constant(value, tensor)
        elif tensor.is_quantized:
            origin = conversion_of(value, "dequantize", "DequantizeLinear")
            known = self._floats.get(value)
            if known is None:
                known = self.new(
                    f"{value.name}.float", "float32", tensor.shape, order or tensor.order
                )
                self.dequantize(tensor, known, origin)
                self._floats[value] = known
            tensor = known
        copied = conversion_of(value, "layout", "Transpose")
        return self.dense(tensor, order or tensor.order, copied)

    def _real_constant(self, value: ir.Value, tensor: Tensor) -> Tensor:
        known = self._floats.get(value)
        if known is None:
            assert tensor.buffer.data is not None
            assert tensor.scale is not None
            stored = tensor.buffer.data.reshape(-1)
            real = real_value(stored, tensor.scale, tensor.zero_point)
            buffer = self.builder.weights(value.name or "constant", real)
            known = replace(tensor, buffer=buffer, dtype="float32", scale=None, zero_point=0)
            self._floats[value] = known
        return known

    def plain(self, value: ir.Value, order: Order) -> Tensor:
        """A value as the model declares it, element type included."""
        declared = dtype_of(value)
        tensor = self.tensor(value)
        if declared == "float32" and tensor.is_quantized:
            return self.float_tensor(value, order)
        origin = conversion_of(value, "copy", "Identity")
        if {declared, tensor.dtype} == {"int8", "uint8"}:
            flipped = self.new(f"{value.name}.plain", declared, tensor.shape, order)
            self.flip_signs(tensor, flipped, origin)
            return flipped
        return self.dense(tensor, order, origin)

    def stored_as(self, tensor: Tensor, dtype: str, origin: Origin) -> Tensor:
        """The same real numbers as the other type of 8 bits, moved only if they must be."""
        if tensor.dtype == dtype:
            return tensor
        shift = SIGN_BIT if dtype == "uint8" else -SIGN_BIT
        flipped = replace(
            self.new(f"{origin.name}.{dtype}", dtype, tensor.shape, tensor.order),
            scale=tensor.scale,
            zero_point=tensor.zero_point + shift,
        )
        self.flip_signs(tensor, flipped, origin)
        return flipped

    def flip_signs(self, source: Tensor, destination: Tensor, origin: Origin) -> None:
        """Emit q + 128 or q - 128, between int8 and uint8."""
        table = (np.arange(256, dtype=np.uint8) ^ SIGN_BIT).view(destination.dtype)
        self.move(source, destination, {"table": table}, "table", origin)

    def dequantize(self, source: Tensor, destination: Tensor, origin: Origin) -> None:
        """Emit (q - zero_point) * scale."""
        self.move(
            source,
            destination,
            {
                "scale": np.array([source.scale], np.float32),
                "zero_point": np.array([source.zero_point], np.int32),
            },
            "dequantize",
            origin,
        )

    def quantize(self, source: Tensor, destination: Tensor, origin: Origin) -> None:
        """Emit saturate(round(x / scale) + zero_point)."""
        self.move(
            source,
            destination,
            {
                "scale": np.array([destination.scale], np.float32),
                "zero_point": np.array([destination.zero_point], np.int32),
            },
            "quantize",
            origin,
        )

    def move(
        self,
        source: Tensor,
        destination: Tensor,
        arrays: dict[str, NDArray[Any]],
        convert: str,
        origin: Origin,
        fill: float | int | None = None,
    ) -> None:
        """Emit an elementwise copy between two views of the same shape.

        Args:
            source: Read.
            destination: Written.
            arrays: Constants of the conversion.
            convert: "copy", "table", "quantize" or "dequantize".
            origin: The ONNX nodes.
            fill: Value of the destination's elements that are not copied to, or None.
        """
        if fill is None and source.num_elements == 0:
            return
        if fill is not None:
            arrays = {**arrays, "fill": np.array([fill], destination.dtype)}
        # The axes are visited in the order of the destination, so that writes are contiguous.
        order = destination.order
        op = Move(
            shape=tuple(source.shape[a] for a in order),
            src_strides=tuple(source.strides[a] for a in order),
            dst_strides=tuple(destination.strides[a] for a in order),
            src_elements=source.buffer_elements,
            dst_elements=destination.buffer_elements,
            src_offset=source.offset,
            dst_offset=destination.offset,
            dtype=source.dtype,
            convert=convert,
            out_dtype=destination.dtype,
            fills=fill is not None,
        )
        is_integer = INTEGER_BYTES & {source.itemsize, destination.itemsize}
        placement = "int8" if is_integer else "float32"
        self.builder.call(op, [source], arrays, [destination], origin, placement)
