"""Which layers read what which others made."""

from collections.abc import Collection

import onnx_ir as ir


def find_neighbours(
    graph: ir.Graph, layers: Collection[str]
) -> tuple[tuple[str, str], ...]:
    """Pairs of layers where one reads what the other made, with no layer in between.

    Args:
        graph: Sorted.
        layers: Names of their nodes.

    Returns:
        Maker and reader, in the order of the readers.
    """
    makers: dict[ir.Value, tuple[str, ...]] = {}
    pairs: dict[tuple[str, str], None] = {}
    for node in graph:
        read = (maker for value in node.inputs if value for maker in makers.get(value, ()))
        behind = tuple(dict.fromkeys(read))
        name = node.name or ""
        if name in layers:
            pairs.update(dict.fromkeys((before, name) for before in behind))
            behind = (name,)
        makers.update(dict.fromkeys(node.outputs, behind))
    return tuple(pairs)
