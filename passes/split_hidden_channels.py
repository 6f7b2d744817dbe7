"""Give the outlier channels between two linear layers a scale of their own.

``act(x W1 + b1) W2`` -> ``act(x W1a + b1a) W2a + act(x W1b + b1b) W2b`` where b are the few
channels with the largest values. Exact in float32 up to the order of sums. It is meant for
activation functions such as GELU, which do not commute with a factor; every part is an integer
product or a table, and as many products of single numbers are computed as before.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.channel_noise import (
    ChannelStatistics,
    FormatOf,
    eight_bits,
    outlier_group,
)
from octavo.passes.constants import NameSource, add_constant, float_constant
from octavo.passes.elementwise import is_elementwise
from octavo.passes.elementwise_chains import computed_inputs
from octavo.passes.linear_layers import linear_weight, output_axis
from octavo.passes.wiring import int_attribute, is_op, only_consumer, static_shape

GROUP_SIZES = (16, 32, 64)  # whole vectors of the product kernels
MAX_GROUP_SHARE = 1 / 8
MIN_GAIN_DB = 3.0  # half a bit pays for two more kernels

Matrix = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Hidden:
    """Two linear layers with elementwise functions between them.

    Attributes:
        first: Gemm or MatMul.
        bias_add: The Add behind a MatMul that is its bias, or None.
        functions: Operators of one computed tensor, in order; at least one.
        second: Gemm or MatMul that alone reads the last of them.
    """

    first: ir.Node
    bias_add: ir.Node | None
    functions: tuple[ir.Node, ...]
    second: ir.Node

    @property
    def branch(self) -> tuple[ir.Node, ...]:
        """The first layer and the functions, in graph order."""
        bias_adds = () if self.bias_add is None else (self.bias_add,)
        return (self.first, *bias_adds, *self.functions)

    @property
    def nodes(self) -> tuple[ir.Node, ...]:
        """All of them, in graph order."""
        return (*self.branch, self.second)

    @property
    def tensor(self) -> ir.Value:
        """What the second layer reads."""
        return self.functions[-1].outputs[0]


class SplitHiddenChannels(ir.passes.InPlacePass):
    """Split every hidden tensor whose statistics promise a gain.

    Attributes:
        origins: After a run, for each node that was added the node that it is a part of.
    """

    def __init__(
        self,
        statistics: Mapping[str, ChannelStatistics],
        *,
        format_of: FormatOf = eight_bits,
    ) -> None:
        """Take what calibration measured.

        Args:
            statistics: Of the tensors that ``hidden_tensors`` names; others are left.
            format_of: Widths of each layer.
        """
        super().__init__()
        self.statistics = dict(statistics)
        self.format_of = format_of
        self.origins: dict[str, str] = {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        self.origins = {}
        for hidden in _find(graph):
            statistics = self.statistics.get(hidden.tensor.name or "")
            if statistics is None:
                continue
            weight = _matrix(hidden.second).astype(np.float64)
            most = weight.shape[0] * MAX_GROUP_SHARE
            sizes = [size for size in GROUP_SIZES if size <= most]
            group, gain_db = outlier_group(
                statistics, weight, sizes, self.format_of(hidden.second)
            )
            if gain_db >= MIN_GAIN_DB:
                self.origins |= _split(graph, names, hidden, group)
        return ir.passes.PassResult(model, modified=bool(self.origins))


def hidden_tensors(graph: ir.Graph, excluded: Collection[ir.Node] = ()) -> list[ir.Value]:
    """The tensors whose statistics ``SplitHiddenChannels`` wants, in graph order.

    Args:
        graph: Prepared float graph.
        excluded: Nodes that are not worth a split, such as those kept in float.
    """
    return [h.tensor for h in _find(graph) if not set(excluded).intersection(h.nodes)]


def _find(graph: ir.Graph) -> list[_Hidden]:
    candidates = (_examine(node) for node in graph if _is_layer(node))
    return [hidden for hidden in candidates if hidden is not None]


def _is_layer(node: ir.Node) -> bool:
    return is_op(node, "Gemm", "MatMul") and linear_weight(node) is not None


def _examine(first: ir.Node) -> _Hidden | None:
    shape = static_shape(first.outputs[0])
    if not shape or (is_op(first, "Gemm") and _bias(first) is None and len(first.inputs) > 2):
        return None
    bias_add: ir.Node | None = None
    functions: list[ir.Node] = []
    node = only_consumer(first.outputs[0])
    if node is not None and _adds_row(node, shape[-1]):
        bias_add, node = node, only_consumer(node.outputs[0])
    while node is not None and is_elementwise(node) and len(computed_inputs(node)) == 1:
        if static_shape(node.outputs[0]) != shape:
            return None
        functions.append(node)
        node = only_consumer(node.outputs[0])
    if not functions or node is None or not _is_layer(node):
        return None
    if node.inputs[0] is not functions[-1].outputs[0] or int_attribute(node, "transA", 0):
        return None
    return _Hidden(first, bias_add, tuple(functions), node)


def _adds_row(node: ir.Node, size: int) -> bool:
    """Whether a node adds a (size,) constant."""
    if not is_op(node, "Add") or size < 2:
        return False
    rows = [float_constant(value) for value in node.inputs]
    return any(row is not None and row.shape == (size,) for row in rows)


def _bias(node: ir.Node) -> Matrix | None:
    bias = float_constant(node.inputs[2]) if len(node.inputs) > 2 else None
    return bias if bias is not None and bias.ndim == 1 else None


def _matrix(node: ir.Node) -> Matrix:
    """The weight as (inputs, outputs)."""
    weight = linear_weight(node)
    if weight is None:
        raise ValueError(f"{node.name!r} lost its weight")
    return weight if output_axis(node) == 1 else weight.T


def _split(
    graph: ir.Graph, names: NameSource, hidden: _Hidden, group: NDArray[np.intp]
) -> dict[str, str]:
    """Split one; the name of each new node with that of the node it is a part of."""
    matrix = _matrix(hidden.second)
    rest = np.setdiff1d(np.arange(len(matrix)), group)
    copies = _copy(graph, names, hidden)
    for channels, part in ((group, copies), (rest, {node: node for node in hidden.nodes})):
        bias_add = part[hidden.bias_add] if hidden.bias_add is not None else None
        _keep_outputs(graph, names, part[hidden.first], bias_add, channels)
        _store_matrix(graph, names, part[hidden.second], matrix[channels])
        for node in hidden.branch:
            shape = static_shape(node.outputs[0]) or ()
            part[node].outputs[0].shape = ir.Shape((*shape[:-1], channels.size))
    total = _add_behind(graph, names, hidden.second, copies[hidden.second].outputs[0])
    origins = {new.name or "": old.name or "" for old, new in copies.items()}
    return origins | {total.name or "": hidden.second.name or ""}


def _copy(graph: ir.Graph, names: NameSource, hidden: _Hidden) -> dict[ir.Node, ir.Node]:
    """Copies of all nodes with the same constants; a bias of the second layer is left out."""
    copies: dict[ir.Node, ir.Node] = {}
    made: dict[ir.Value, ir.Value] = {}
    after = hidden.functions[-1]
    for node in hidden.nodes:
        inputs = [made.get(v, v) if v is not None else None for v in node.inputs]
        kept = inputs[:2] if node is hidden.second else inputs
        name = names.fresh(f"{node.name or node.op_type}_outliers")
        copy = ir.node(node.op_type, kept, node.attributes, name=name)
        _append(graph, names, after, copy, static_shape(node.outputs[0]) or ())
        copies[node], made[node.outputs[0]] = copy, copy.outputs[0]
        after = copy
    return copies


def _add_behind(
    graph: ir.Graph, names: NameSource, layer: ir.Node, other: ir.Value
) -> ir.Node:
    """Add a tensor to a layer's output behind the Add that is its bias; the new Add."""
    size = (static_shape(layer.outputs[0]) or (0,))[-1]
    end = only_consumer(layer.outputs[0])
    if end is None or not is_op(layer, "MatMul") or not _adds_row(end, size):
        end = layer
    result = end.outputs[0]
    uses = list(result.uses())
    name = names.fresh(f"{layer.name or layer.op_type}_total")
    total = ir.node("Add", [result, other], name=name)
    _append(graph, names, end, total, static_shape(result) or ())
    for use in uses:
        use.node.replace_input_with(use.idx, total.outputs[0])
    for index, output in enumerate(graph.outputs):
        if output is result:
            output_name = result.name
            graph.outputs[index] = total.outputs[0]
            result.name, total.outputs[0].name = (
                names.fresh(f"{output_name}_rest"),
                output_name,
            )
    return total


def _append(
    graph: ir.Graph, names: NameSource, after: ir.Node, node: ir.Node, shape: tuple[int, ...]
) -> None:
    output = node.outputs[0]
    output.name = names.fresh(f"{node.name}_out")
    output.dtype, output.shape = ir.DataType.FLOAT, ir.Shape(shape)
    graph.insert_after(after, node)


def _keep_outputs(
    graph: ir.Graph,
    names: NameSource,
    first: ir.Node,
    bias_add: ir.Node | None,
    channels: NDArray[np.intp],
) -> None:
    """Let a layer with its bias compute some of its outputs only."""
    _store_matrix(graph, names, first, _matrix(first)[:, channels])
    bias = _bias(first)
    if bias is not None:
        _store(graph, names, first, 2, bias[channels])
    for position, value in enumerate(bias_add.inputs if bias_add is not None else ()):
        row = float_constant(value)
        if row is not None and bias_add is not None:
            _store(graph, names, bias_add, position, row[channels])


def _store_matrix(graph: ir.Graph, names: NameSource, node: ir.Node, matrix: Matrix) -> None:
    stored = matrix if output_axis(node) == 1 else matrix.T
    _store(graph, names, node, 1, np.ascontiguousarray(stored))


def _store(
    graph: ir.Graph, names: NameSource, node: ir.Node, position: int, array: Matrix
) -> None:
    old = node.inputs[position]
    base = old.name if old is not None and old.name else node.name or "layer"
    node.replace_input_with(position, add_constant(graph, names, f"{base}_part", array))
