"""Nodes that are wanted for one region only."""

from collections.abc import Collection

import onnx_ir as ir


def read_only_inside(nodes: Collection[ir.Node], root: ir.Node) -> set[ir.Node]:
    """Nodes whose outputs nothing outside of them reads.

    Args:
        nodes: Of a region.
        root: The one that makes the output of the region.
    """
    kept = set(nodes)
    while True:
        dropped = {
            node
            for node in kept
            if node is not root
            for value in node.outputs
            if value.is_graph_output() or any(use.node not in kept for use in value.uses())
        }
        if not dropped:
            return kept
        kept -= dropped
