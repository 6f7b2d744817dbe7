"""Which region computes which nodes: every node is taken by the first matcher that fits."""

from collections.abc import Sequence

import onnx_ir as ir

from octavo.compiler.lowering.context import Region
from octavo.compiler.lowering.qdq_graph import shape_of
from octavo.compiler.lowering.regions import (
    EMPTY_MATCHERS,
    FLOAT_MATCHERS,
    INTEGER_MATCHERS,
    Matcher,
)
from octavo.compiler.lowering.regions.message_passing import match_aggregations
from octavo.compiler.lowering.view import QdqView


def match_regions(graph: ir.Graph, view: QdqView) -> dict[ir.Node, Region]:
    """Regions by their last node; their nodes become claimed."""
    # Message passing first: its operators would be taken one by one.
    integers, floats = match_aggregations(view)
    # No integer region may take what is to be computed in float.
    waiting = view.float_nodes - view.claimed
    view.claimed |= waiting
    found = {**integers, **floats, **_match(INTEGER_MATCHERS, graph, view)}
    view.claimed -= waiting
    found.update(_match(FLOAT_MATCHERS, graph, view))
    return found


def match_integer_regions(graph: ir.Graph, view: QdqView) -> dict[ir.Node, Region]:
    """Those of them that integers can compute."""
    integers, _ = match_aggregations(view)
    return {**integers, **_match(INTEGER_MATCHERS, graph, view)}


def _match(
    matchers: Sequence[Matcher], graph: ir.Graph, view: QdqView
) -> dict[ir.Node, Region]:
    last_of: dict[ir.Node, Region] = {}
    for node in graph:
        if node in view.claimed:
            continue
        fitting = EMPTY_MATCHERS if _is_empty(node) else matchers
        found = (match(node, view) for match in fitting)
        free = (r for r in found if r is not None and view.claimed.isdisjoint(r.nodes))
        region = next(free, None)
        if region is not None:
            last_of[region.nodes[-1]] = region
            view.claimed.update(region.nodes)
    return last_of


def _is_empty(node: ir.Node) -> bool:
    """Whether a node reads or makes a tensor without elements: kernels take none."""
    read = [v for v in node.inputs if v is not None and v.const_value is None]
    # an output that nobody wants has no shape
    known = [value for value in (*read, *node.outputs) if value.shape is not None]
    return any(0 in shape_of(value) for value in known)
