"""Write a TensorFlow Lite file, operator by operator."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
ABSENT = -1  # index of an optional input that is not there
TENSOR_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
}


class TfliteWriter:
    """A file under construction; methods append tensors and operators, return tensor indices.

    Attributes:
        shapes: Shape of each tensor, by index.
        dtypes: Element type of each tensor, by index.
    """

    def __init__(self) -> None:
        """Start an empty network."""
        self.shapes: list[tuple[int, ...]] = []
        self.dtypes: list[np.dtype[Any]] = []
        self._tensors: list[schema.TensorT] = []
        self._operators: list[schema.OperatorT] = []
        self._codes: list[int] = []
        self._buffers = [schema.BufferT()]  # the first one is empty by convention
        self._names: Counter[str] = Counter()

    def tensor(
        self, name: str, shape: Sequence[int], dtype: Any = np.float32, *, state: bool = False
    ) -> int:
        """Declare a tensor without data.

        Args:
            name: Name in the file.
            shape: Static shape.
            dtype: float32 or int32.
            state: Keeps its value from one run to the next, starting from zero.
        """
        tensor = schema.TensorT()
        # The quantizer finds tensors by name.
        self._names[name] += 1
        count = self._names[name]
        tensor.name = name if count == 1 else f"{name}#{count}"
        tensor.shape = np.array(shape, np.int32)
        tensor.type, tensor.buffer = TENSOR_TYPES[np.dtype(dtype)], 0
        tensor.isVariable = state
        self._tensors.append(tensor)
        self.shapes.append(tuple(shape))
        self.dtypes.append(np.dtype(dtype))
        return len(self._tensors) - 1

    def constant(self, array: NDArray[Any], name: str) -> int:
        """Store an array, float32 or int32."""
        index = self.tensor(name, array.shape, array.dtype)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        self._tensors[index].buffer = len(self._buffers)
        self._buffers.append(buffer)
        return index

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None
    ) -> None:
        """Append an operator.

        Args:
            kind: Name in ``schema.BuiltinOperator``.
            inputs: Tensor indices; `ABSENT` for an optional one.
            outputs: Tensor indices.
            options: The options table of the operator, where it has one.
        """
        code = getattr(schema.BuiltinOperator, kind)
        if code not in self._codes:
            self._codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.index(code)
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array(outputs, np.int32)
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(
                schema.BuiltinOptions, type(options).__name__.removesuffix("T")
            )
        self._operators.append(operator)

    def finish(self, inputs: dict[str, int], outputs: dict[str, int]) -> bytes:
        """Return the file.

        Args:
            inputs: Name to tensor index, in order.
            outputs: Name to tensor index, in order.
        """
        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = "main", self._tensors, self._operators
        graph.inputs = np.array(list(inputs.values()), np.int32)
        graph.outputs = np.array(list(outputs.values()), np.int32)
        model = schema.ModelT()
        model.version, model.description = SCHEMA_VERSION, "octavo-benchmarks"
        model.subgraphs, model.buffers = [graph], self._buffers
        model.operatorCodes = [_operator_code(code) for code in self._codes]
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs = [_tensor_map(*item) for item in inputs.items()]
        signature.outputs = [_tensor_map(*item) for item in outputs.items()]
        model.signatureDefs = [signature]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
        return bytes(builder.Output())


def _operator_code(code: int) -> schema.OperatorCodeT:
    record = schema.OperatorCodeT()
    # Readers take the larger of the two fields; the old one is a single byte.
    record.builtinCode, record.deprecatedBuiltinCode = code, min(code, 127)
    record.version = 1
    return record


def _tensor_map(name: str, index: int) -> schema.TensorMapT:
    record = schema.TensorMapT()
    record.name, record.tensorIndex = name, index
    return record
