"""The most bytes of activations that are alive at one time, by the widths that they have.

Steps are regions and the nodes outside of them, in graph order; a tensor lives from the step
that makes it to the last one that reads it. Inputs and outputs of the model are the caller's,
indices of edges are the same in every format: neither is counted. Tensors count by their bits:
integers of fewer than 8 take a byte each in a program, so its memory may be larger.
"""

import math
from collections.abc import Iterable, Mapping

import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.fused_regions import Region
from octavo.passes.wiring import is_float, is_op, static_shape

FLOAT_BITS, BYTE = 32, 8
_RESHAPES = ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")


def largest_live_bytes(
    graph: ir.Graph, regions: Iterable[Region], num_bits: Mapping[ir.Value, int]
) -> int:
    """The largest sum of what is alive at one step.

    Args:
        graph: Topologically sorted, static shapes.
        regions: What one kernel computes; tensors inside are nowhere in memory.
        num_bits: Width of each quantized tensor; the others are float32.
    """
    steps = _steps(graph, regions)
    births: dict[ir.Value, int] = {}
    deaths: dict[ir.Value, int] = {}
    for number, (reads, writes) in enumerate(steps):
        for value in map(_root, (*reads, *writes)):
            if _is_stored(value, num_bits):
                births.setdefault(value, number)
                deaths[value] = number
    change = [0.0] * (len(steps) + 1)
    for value, first in births.items():
        size = math.prod(static_shape(value) or ()) * num_bits.get(value, FLOAT_BITS) / BYTE
        change[first] += size
        change[deaths[value] + 1] -= size
    alive, largest = 0.0, 0.0
    for amount in change:
        alive += amount
        largest = max(largest, alive)
    return math.ceil(largest)


def _steps(
    graph: ir.Graph, regions: Iterable[Region]
) -> list[tuple[tuple[ir.Value, ...], tuple[ir.Value, ...]]]:
    """What each step reads and makes, in order.

    What no step reads is left out: a kernel that computes a mean counts edges itself, and the
    nodes that count them have no reader.
    """
    last = {region.nodes[-1]: region for region in regions}
    inside = {node for region in last.values() for node in region.nodes}
    wanted = set(map(_root, graph.outputs))
    steps = []
    for node in reversed(graph):
        if node in last:
            reads, writes = last[node].inputs, last[node].outputs
        elif node not in inside and not is_op(node, *_RESHAPES):
            reads = tuple(value for value in node.inputs if value is not None)
            writes = tuple(node.outputs)
        else:
            continue
        if any(_root(value) in wanted for value in writes):
            wanted.update(map(_root, reads))
            steps.append((reads, writes))
    return steps[::-1]


def _root(value: ir.Value) -> ir.Value:
    """The tensor whose memory this is, seen in another shape."""
    node = value.producer()
    while node is not None and is_op(node, *_RESHAPES) and node.inputs[0] is not None:
        value = node.inputs[0]
        node = value.producer()
    return value


def _is_stored(value: ir.Value, num_bits: Mapping[ir.Value, int]) -> bool:
    if constant_array(value) is not None or not is_float(value):
        return False
    # The caller's own float tensors; what is made of them in integers is ours.
    is_outside = value.producer() is None or value.is_graph_output()
    return value in num_bits or not is_outside
