"""A reading of the whole graph: which values have integers behind them, and by what scale."""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.edge_lists import EdgeLists
from octavo.compiler.lowering.qdq_graph import (
    SIXTEEN_BITS,
    QuantParams,
    constant,
    int_attribute,
    operand,
    quantize_params,
    quantized_constant,
    shape_of,
    string_attribute,
)
from octavo.compiler.lowering.weights import integer_weights, why_float
from octavo.passes.message_passing.counted_axes import count_of_index, counted_axes
from octavo.passes.message_passing.forms import Form, aggregation_forms
from octavo.passes.message_passing.node_index import NodeIndex

# Operators whose result has the same integers, scale and zero point as their data input:
# moving or choosing elements commutes with dequantization. Of these, views move no bytes.
VIEWS = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
MOVES_ELEMENTS = frozenset(
    {
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "MaxPool",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)


WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
NO_WORDS = "integer kernels read 8"
# Operators with kernels that read 16 bits.
TAKE_WORDS = frozenset(
    {
        "Add",
        "Conv",
        "Gemm",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "MatMul",
        "Max",
        "MaxPool",
        "Min",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceSum",
        "Sub",
    }
)


class QdqView:
    """Facts about the values of one graph, known before anything is emitted.

    Attributes:
        graph: The graph.
        order: Place of each node in the graph.
        claimed: Nodes that a region has taken; no other one may.
        float_nodes: Nodes that are to be computed in float though integers would do.
        reasons: Why a node is in float, by name, where the quantizer knows.
        no_words: Why activations of 16 bits are computed in float, or "".
    """

    def __init__(
        self,
        graph: ir.Graph,
        reasons: Mapping[str, str],
        float_nodes: Collection[str] = frozenset(),
        no_words: str = NO_WORDS,
    ) -> None:
        self.graph = graph
        self.order = {node: index for index, node in enumerate(graph)}
        self.reasons = reasons
        self.float_nodes = {node for node in graph if node.name in float_nodes}
        self.claimed: set[ir.Node] = set()
        self.no_words = no_words
        self._params: dict[ir.Value, QuantParams] = {}
        self._words: dict[ir.Value, QuantParams] = {}
        for node in graph:
            self._read(node)
            if not no_words:
                self._read_words(node)

    @cached_property
    def forms(self) -> tuple[Form, ...]:
        """What kernels compute of message passing, in graph order of their heads."""
        return aggregation_forms(self.graph)

    @cached_property
    def edge_lists(self) -> EdgeLists:
        """Edges that message passing follows."""
        counted = counted_axes(self.graph)
        inputs = {value.name: value for value in self.graph.inputs}

        def count_input(index: NodeIndex) -> ir.Value | None:
            count = count_of_index(index, counted)
            return None if count is None else inputs[count.input]

        return EdgeLists(count_input)

    def _read(self, node: ir.Node) -> None:
        if node.op_type == "DequantizeLinear":
            params = quantize_params(node)
        elif node in self.float_nodes:
            params = None
        elif moves_elements(node) and (source := operand(node, 0)) is not None:
            params = self.params(source)
        else:
            params = None
        if params is not None:
            self._params.update((output, params) for output in node.outputs)

    def _read_words(self, node: ir.Node) -> None:
        source = operand(node, 0)
        if source is None:
            return
        if node.op_type == "DequantizeLinear":
            producer = source.producer()
            params = None if producer is None else self.word_quantizer(producer)
        elif node.op_type in VIEWS and node not in self.float_nodes:
            params = self._words.get(source)
        else:
            params = None
        if params is not None:
            self._words.update((output, params) for output in node.outputs)

    def word_quantizer(self, node: ir.Node) -> QuantParams | None:
        """Parameters of a QuantizeLinear to 16 bits that kernels of words take, or None.

        Nothing but DequantizeLinear by the same parameters reads it.
        """
        if self.no_words or node.op_type != "QuantizeLinear":
            return None
        stored, source = node.outputs[0], operand(node, 0)
        params = quantize_params(node, SIXTEEN_BITS)
        if params is None or stored.is_graph_output() or constant(source) is not None:
            return None
        readers = [use.node for use in stored.uses()]
        is_plain = all(
            reader.op_type == "DequantizeLinear"
            and quantize_params(reader, SIXTEEN_BITS) == params
            for reader in readers
        )
        return params if is_plain else None

    def is_word(self, value: ir.Value) -> bool:
        """Whether a float value has integers of 16 bits behind it that kernels read."""
        return value in self._words

    def has_integers(self, value: ir.Value) -> bool:
        """Whether a float value has integers of 8 or 16 bits behind it."""
        return value in self._params or value in self._words

    def params(self, value: ir.Value) -> QuantParams | None:
        """Quantization behind a float value, or None."""
        return self._params.get(value)

    def is_dequantized(self, value: ir.Value) -> bool:
        """Whether a float value has integers behind it."""
        return value in self._params

    def scalar_params(self, value: ir.Value) -> bool:
        """Whether a value is an 8-bit constant with one scale."""
        found = quantized_constant(value)
        return (
            found is not None
            and found.scale.size == 1
            and (found.values.dtype.name in ("int8", "uint8"))
        )

    def is_float_tensor(self, value: ir.Value) -> bool:
        """Whether a value is computed in float and not constant."""
        return self.constant_float(value) is None and not self.is_dequantized(value)

    def constant_float(self, value: ir.Value | None) -> NDArray[np.float32] | None:
        """A float constant, given as such or as DequantizeLinear of a constant."""
        quantized = quantized_constant(value)
        array = quantized.real() if quantized is not None else constant(value)
        return array if array is not None and array.dtype == np.float32 else None

    def float_reason(self, node: ir.Node) -> str:
        """Say why a node is computed in float."""
        known = self.reasons.get(node.name or "")
        if known:
            return known
        read = [v for v in node.inputs if v is not None]
        if any(_has_16_bits(v) for v in read) and (
            self.no_words or node.op_type not in TAKE_WORDS
        ):
            why = self.no_words or f"integer kernels of {node.op_type} read 8"
            return f"its input has 16 bits; {why}"
        if not any(self.has_integers(v) for v in read):
            return "its input is not quantized"
        weight = quantized_constant(operand(node, 1)) if node.op_type in WEIGHTED else None
        if weight is not None and integer_weights(weight, channel_axis(node)) is None:
            return why_float(weight)
        if any(out.dtype == ir.DataType.FLOAT for out in node.outputs) and not any(
            use.node.op_type == "QuantizeLinear" for out in node.outputs for use in out.uses()
        ):
            return "its output is not quantized"
        bias = operand(node, 2)
        if node.op_type in WEIGHTED and bias is not None and self.constant_float(bias) is None:
            return "its bias is computed, not stored"
        if node.op_type in WEIGHTED and self.constant_float(operand(node, 1)) is not None:
            return "its weights are not symmetric int8 with one scale for each output channel"
        return f"no integer kernel for this form of {node.op_type}"

    def island_reason(self, nodes: Sequence[ir.Node]) -> str:
        """Say why connected nodes are left to TVM: the reason of the first that computes."""
        for node in nodes:
            if any(v is not None and v.dtype == ir.DataType.FLOAT for v in node.inputs):
                return self.float_reason(node)
        return "integers or booleans that are not quantized numbers"


def channel_axis(node: ir.Node) -> int:
    """Axis of the output channels in the weight of a weighted node."""
    if node.op_type == "Gemm":
        return 0 if int_attribute(node, "transB", 0) else 1
    weight = operand(node, 1)
    if node.op_type == "MatMul" and weight is not None and weight.shape is not None:
        return len(weight.shape) - 1
    return 0 if node.op_type == "Conv" else 1


def _has_16_bits(value: ir.Value) -> bool:
    node = value.producer()
    stored = None
    if node is not None and node.op_type == "DequantizeLinear":
        stored = operand(node, 0)
    return stored is not None and stored.dtype in SIXTEEN_BITS and constant(stored) is None


def moves_elements(node: ir.Node) -> bool:
    """Whether a result has the integers, scale and zero point of the first operand."""
    if node.op_type == "Resize":
        return string_attribute(node, "mode", "nearest") == "nearest"
    if node.op_type == "MaxPool" and len(node.outputs) > 1:
        return False
    return node.op_type in MOVES_ELEMENTS or gathers_rows(node)


def gathers_rows(node: ir.Node) -> bool:
    """Whether a GatherND picks along the first axis alone: Gather, with one axis more."""
    indices = operand(node, 1) if node.op_type == "GatherND" else None
    if indices is None or int_attribute(node, "batch_dims", 0):
        return False
    shape = shape_of(indices)
    return len(shape) > 0 and shape[-1] == 1
