"""Operators that write ONNX, as PyTorch Geometric's layers are exported.

The nodes are those that ``octavo.passes.message_passing`` recognizes. Every node that has
widths is noted with its format.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from octavo.compiler.graph_search.forward import network_output
from octavo.compiler.graph_search.layers import LAYER_KINDS, Factors
from octavo.compiler.graph_search.operators import NEGATIVE_SLOPE, GraphOperators
from octavo.compiler.graph_search.space import Architecture, Block
from octavo.passes.layer_format import LayerFormat
from octavo.passes.message_passing.components import Role

OPSET, IR_VERSION = 18, 10
LOWEST = float(np.finfo(np.float32).min)
EIGHT = 8  # bits of coefficients and vectors that have no choice
_ACTIVATIONS = {"relu": "Relu", "leaky_relu": "LeakyRelu", "elu": "Elu", "tanh": "Tanh"}

Array = NDArray[Any]


@dataclass(frozen=True)
class Written:
    """A value of the model: its name and its shape without nodes or edges."""

    name: str
    tail: tuple[int, ...]


def export_network(
    architecture: Architecture, weights: Mapping[str, Array], num_nodes: int, num_edges: int
) -> tuple[onnx.ModelProto, dict[str, LayerFormat]]:
    """Write a network.

    Args:
        architecture: The network.
        weights: By name, as ``Architecture.shapes`` has them.
        num_nodes: N.
        num_edges: E.

    Returns:
        The model of inputs x (N, F), edge_index (2, E) and, where a layer reads it,
        edge_weight (E,), with the output logits (N, classes); and the format of every node
        that has one.
    """
    graph = _Graph(num_nodes, num_edges, dict(weights))
    operators: dict[str, GraphOperators[Written]] = {
        name: OnnxOperators(graph, name, block)
        for name, block in zip(architecture.names, architecture.blocks, strict=True)
    }
    start = Written("x", (architecture.num_features,))
    y = network_output(operators, architecture, start)
    graph.add("Identity", [y.name], "logits")
    float_type = TensorProto.FLOAT
    inputs = [
        helper.make_tensor_value_info("x", float_type, [num_nodes, *start.tail]),
        helper.make_tensor_value_info("edge_index", TensorProto.INT64, [2, num_edges]),
    ]
    if architecture.reads_edge_weight:
        inputs.append(helper.make_tensor_value_info("edge_weight", float_type, [num_edges]))
    output = helper.make_tensor_value_info("logits", float_type, [num_nodes, *y.tail])
    model = helper.make_model(
        helper.make_graph(
            graph.nodes, "graph_network", inputs, [output], graph.initializers()
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model, graph.formats


@dataclass
class _Graph:
    """The nodes so far.

    Attributes:
        num_nodes: N.
        num_edges: E.
        arrays: Weights and constants by name.
        nodes: In order.
        formats: Of the nodes that have widths.
    """

    num_nodes: int
    num_edges: int
    arrays: dict[str, Array]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    formats: dict[str, LayerFormat] = field(default_factory=dict)
    _made: dict[tuple[str, ...], str] = field(default_factory=dict)
    _count: Counter[str] = field(default_factory=Counter)

    def add(self, op_type: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Append a node unless it is there; return the name of the node and its output."""
        key = (op_type, *inputs, repr(sorted(attributes.items())))
        if key not in self._made:
            stem = f"{name}/{op_type}"
            self._count[stem] += 1
            own = "logits" if name == "logits" else f"{stem}_{self._count[stem]}"
            self.nodes.append(helper.make_node(op_type, inputs, [own], own, **attributes))
            self._made[key] = own
        return self._made[key]

    def constant(self, values: Any, dtype: type[np.generic] = np.int64) -> str:
        """The name of a constant; equal ones share it."""
        array = np.asarray(values, dtype)
        for name, known in self.arrays.items():
            same = known.dtype == array.dtype and known.shape == array.shape
            if name.startswith("constant_") and same and np.array_equal(known, array):
                return name
        name = f"constant_{len(self.arrays)}"
        self.arrays[name] = array
        return name

    def ends(self) -> tuple[str, str]:
        """Sources and targets of the edges, (E,)."""
        source, target = (
            self.add("Gather", ["edge_index", self.constant(end)], "edges", axis=0)
            for end in (0, 1)
        )
        return source, target

    def initializers(self) -> list[onnx.TensorProto]:
        """The arrays that a node reads."""
        used = {name for node in self.nodes for name in node.input}
        read = {name: array for name, array in self.arrays.items() if name in used}
        return [numpy_helper.from_array(array, name) for name, array in read.items()]


class OnnxOperators:
    """Writes one layer; ``GraphOperators`` says what each operator is."""

    def __init__(self, graph: _Graph, name: str, block: Block) -> None:
        """Write to a graph.

        Args:
            graph: That is written.
            name: Of the layer.
            block: Its widths.
        """
        self._graph, self._name, self._bits = graph, name, block.bits
        self._has_factors = LAYER_KINDS[block.kind].factors is not Factors.NONE

    def linear(self, x: Written, name: str, site: Role = Role.FEATURES) -> Written:
        names = [x.name, f"{name}.weight"]
        if f"{name}.bias" in self._graph.arrays:
            names.append(f"{name}.bias")
        made = self._graph.add("Gemm", names, name, transB=1)
        chosen = LayerFormat(self._bits[Role.WEIGHTS], self._bits[site])
        self._graph.formats[made] = chosen
        return Written(made, self._graph.arrays[f"{name}.weight"].shape[:1])

    def messages(self, x: Written) -> Written:
        return x

    def coefficients(self, x: Written) -> Written:
        return x

    def edge_weight(self) -> Written:
        column = self._graph.constant([-1, 1])
        return Written(self._add("Reshape", ["edge_weight", column]), (1,))

    def source(self, x: Written) -> Written:
        return self._gathered(x, self._graph.ends()[0])

    def target(self, x: Written) -> Written:
        return self._gathered(x, self._graph.ends()[1])

    def weigh(self, coefficients: Written, messages: Written) -> Written:
        factors = coefficients.name
        if len(messages.tail) > 1:
            factors = self._add("Unsqueeze", [factors, self._graph.constant([-1])])
        return Written(self._add("Mul", [factors, messages.name]), messages.tail)

    def sum(self, messages: Written) -> Written:
        total = self._scatter(self._zeros(messages.tail), messages, "add")
        return self._aggregated(total, messages.tail)

    def mean(self, messages: Written) -> Written:
        ones = self._graph.constant(np.ones(self._graph.num_edges), np.float32)
        degrees = self._scatter(self._zeros(()), Written(ones, ()), "add")
        count = self._add("Max", [degrees, self._graph.constant(1, np.float32)])
        total = self._scatter(self._zeros(messages.tail), messages, "add")
        self._aggregated(total, messages.tail)
        column = self._graph.constant([-1, *[1] * len(messages.tail)])
        full = self._graph.constant([self._graph.num_nodes, *messages.tail])
        count = self._add("Expand", [self._add("Reshape", [count, column]), full])
        return Written(self._add("Div", [total, count]), messages.tail)

    def max(self, messages: Written) -> Written:
        return self._aggregated(self._maximum(messages), messages.tail)

    def softmax(self, scores: Written) -> Written:
        highest = Written(self._maximum(scores), scores.tail)
        shifted = self._add("Sub", [scores.name, self.target(highest).name])
        exps = Written(self._add("Exp", [shifted]), scores.tail)
        total = self._scatter(self._zeros(scores.tail), exps, "add")
        sums = self.target(Written(total, scores.tail))
        return Written(self._add("Div", [exps.name, sums.name]), scores.tail)

    def heads(self, x: Written, num_heads: int) -> Written:
        tail = (num_heads, x.tail[0] // num_heads)
        return self._reshaped(x, tail)

    def join(self, x: Written) -> Written:
        return self._reshaped(x, (x.tail[0] * x.tail[1],))

    def dot(self, x: Written, name: str) -> Written:
        product = self._add("Mul", [x.name, name])
        last = self._graph.constant([-1])
        made = self._add("ReduceSum", [product, last], keepdims=0)
        # One vector for each head: their widths save nothing.
        self._graph.formats[made] = LayerFormat(EIGHT, self._bits[Role.MESSAGES])
        return Written(made, x.tail[:-1])

    def add(self, a: Written, b: Written) -> Written:
        return Written(self._add("Add", [a.name, b.name]), a.tail)

    def biased(self, x: Written, name: str) -> Written:
        return Written(self._add("Add", [x.name, name]), x.tail)

    def scaled(self, x: Written, name: str) -> Written:
        return Written(self._add("Mul", [x.name, name]), x.tail)

    def activation(self, x: Written, kind: str) -> Written:
        if kind == "none":
            return x
        attributes = {"alpha": NEGATIVE_SLOPE} if kind == "leaky_relu" else {}
        return Written(self._add(_ACTIVATIONS[kind], [x.name], **attributes), x.tail)

    def _add(self, op_type: str, inputs: list[str], **attributes: Any) -> str:
        return self._graph.add(op_type, inputs, self._name, **attributes)

    def _reshaped(self, x: Written, tail: tuple[int, ...]) -> Written:
        shape = self._graph.constant([-1, *tail])
        return Written(self._add("Reshape", [x.name, shape], allowzero=1), tail)

    def _gathered(self, x: Written, index: str) -> Written:
        return Written(self._add("Gather", [x.name, index], axis=0), x.tail)

    def _zeros(self, tail: tuple[int, ...]) -> str:
        size = self._graph.constant([self._graph.num_nodes, *tail])
        return self._add("ConstantOfShape", [size])

    def _maximum(self, messages: Written) -> str:
        # The first scatter puts the lowest number where an edge ends, so that 0 is left only
        # where none does: how exporters write include_self=False.
        size = self._graph.constant([self._graph.num_edges, *messages.tail])
        value = numpy_helper.from_array(np.array([LOWEST], np.float32))
        lowest = Written(self._add("ConstantOfShape", [size], value=value), messages.tail)
        start = self._scatter(self._zeros(messages.tail), lowest, "min")
        return self._scatter(start, messages, "max")

    def _scatter(self, base: str, updates: Written, reduction: str) -> str:
        targets = self._graph.ends()[1]
        if updates.tail:
            column = self._graph.constant([-1, *[1] * len(updates.tail)])
            size = self._graph.constant([self._graph.num_edges, *updates.tail])
            targets = self._add("Expand", [self._add("Reshape", [targets, column]), size])
        inputs = [base, targets, updates.name]
        return self._add("ScatterElements", inputs, axis=0, reduction=reduction)

    def _aggregated(self, made: str, tail: tuple[int, ...]) -> Written:
        bits = self._bits[Role.COEFFICIENTS] if self._has_factors else EIGHT
        self._graph.formats[made] = LayerFormat(bits, self._bits[Role.MESSAGES])
        return Written(made, tail)
