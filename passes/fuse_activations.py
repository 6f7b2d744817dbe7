"""Name activations that were exported as several operators.

``Mul(Mul(x, 0.5), Add(Erf(Div(x, sqrt 2)), 1))`` -> ``Gelu(x)``; the same for tanh-Gelu,
``x * HardSigmoid(x)`` or ``x * Clip(x + 3, 0, 6) / 6`` -> ``HardSwish``,
``x * Tanh(Softplus(x))`` -> ``Mish`` and ``Clip(x + 3, 0, 6) / 6`` -> ``HardSigmoid``.

Exporters write these in many associations, so a candidate is recognized by its values: a
subgraph that is a function of one tensor is evaluated on a grid and compared.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.constants import NameSource
from octavo.passes.elementwise import evaluate, is_elementwise
from octavo.passes.elementwise_chains import computed_inputs, evaluate_chain
from octavo.passes.wiring import is_float, replace_output, static_shape

# What is recognized: operator, attributes, first opset that has it.
_ACTIVATIONS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("Gelu", {}, 20),
    ("Gelu", {"approximate": "tanh"}, 20),
    ("HardSwish", {}, 14),
    ("Mish", {}, 18),
    ("HardSigmoid", {"alpha": 1.0 / 6.0, "beta": 0.5}, 6),
)

_LARGEST_CONE = 10  # tanh-Gelu with explicit powers has 8 operators

# Wide enough to see both tails, and no grid point on a kink of a piecewise function.
_GRID: NDArray[np.float64] = np.linspace(-9.03, 9.01, 247)

# Constants such as sqrt(2) are stored in float32 or to 4-7 digits; erf-Gelu and tanh-Gelu
# differ by up to 5e-4, so this tells them apart.
_TOLERANCE = 2e-5


class FuseActivations(ir.passes.InPlacePass):
    """Replace each recognized subgraph by one operator."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        opset = graph.opset_imports.get("", 0)
        count = 0
        # From the end: the largest subgraph that matches wins over one inside it.
        for node in reversed(list(graph)):
            if node.graph is graph and is_elementwise(node) and is_float(node.outputs[0]):
                count += _fuse(graph, names, node, opset)
        return ir.passes.PassResult(model, modified=count > 0)


def _fuse(graph: ir.Graph, names: NameSource, node: ir.Node, opset: int) -> int:
    for source, cone in _cones(node):
        values = evaluate_chain(cone, source, _GRID)
        for op_type, attributes, since in _ACTIVATIONS:
            if opset < since or not np.isfinite(values).all():
                continue
            expected = _reference(op_type, attributes)(_GRID)
            if np.abs(values - expected).max() <= _TOLERANCE:
                output = node.outputs[0]
                replace_output(graph, names, output, node, op_type, [source], attributes)
                for member in reversed(cone[:-1]):
                    graph.remove(member, safe=True)
                return 1
    return 0


def _reference(
    op_type: str, attributes: dict[str, Any]
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    node = ir.node(op_type, [ir.val("x")], attributes)
    return lambda x: evaluate(node, [x])


def _cones(end: ir.Node) -> Iterator[tuple[ir.Value, list[ir.Node]]]:
    """Subgraphs that end in a node and enter through one tensor, smallest first."""
    cone = [end]
    shape = static_shape(end.outputs[0])
    while len(cone) <= _LARGEST_CONE:
        entries: list[ir.Value] = []
        for member in cone:
            for value in computed_inputs(member):
                if value.producer() not in cone and value not in entries:
                    entries.append(value)
        if len(entries) == 1 and len(cone) > 1 and static_shape(entries[0]) == shape:
            yield entries[0], _in_graph_order(cone)
        # Grow through an entry whose readers are all inside: the others could not be removed.
        grown = [v.producer() for v in entries if _is_inner(v, cone)]
        following = next((node for node in grown if node is not None), None)
        if following is None:
            return
        cone.append(following)


def _is_inner(value: ir.Value, cone: list[ir.Node]) -> bool:
    producer = value.producer()
    return (
        producer is not None
        and is_elementwise(producer)
        and not value.is_graph_output()
        and all(use.node in cone for use in value.uses())
    )


def _in_graph_order(cone: list[ir.Node]) -> list[ir.Node]:
    # Every producer was appended after its readers, but two branches may interleave.
    ordered: list[ir.Node] = []
    pending = list(reversed(cone))
    while pending:
        for node in pending:
            producers = [value.producer() for value in computed_inputs(node)]
            if not any(producer in pending for producer in producers):
                ordered.append(node)
                pending.remove(node)
                break
    return ordered
