"""What has to be computed: nodes that nothing reads any more are left out.

A region that computes message passing reads edges where they come from; whatever repeats or
shapes their numbers for the operators that it replaces is not wanted then.
"""

from collections.abc import Mapping

import onnx_ir as ir

from octavo.compiler.lowering.context import Region


def needed_nodes(graph: ir.Graph, last_of: Mapping[ir.Node, Region]) -> set[ir.Node]:
    """Nodes that outputs of the graph depend on.

    Args:
        graph: Topologically sorted.
        last_of: Regions by their last node. One that says what it reads reads nothing else.
    """
    region_of = {node: region for region in last_of.values() for node in region.nodes}
    needed: set[ir.Node] = set()
    pending = list(graph.outputs)
    while pending:
        node = pending.pop().producer()
        if node is None or node in needed:
            continue
        region = region_of.get(node)
        inside = (node,) if region is None else region.nodes
        needed.update(inside)
        if region is not None and region.reads is not None:
            pending += region.reads
        else:
            pending += [value for one in inside for value in one.inputs if value is not None]
    return needed
