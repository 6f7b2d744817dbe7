"""What the metadata of a program says of indices that it is given."""

from collections.abc import Iterable
from typing import Any

from octavo.compiler.example_inputs import METADATA_KEY
from octavo.compiler.lowering.edge_lists import EdgeList


def indices_record(lists: Iterable[EdgeList]) -> dict[str, Any]:
    """Inputs whose numbers name nodes, and how many nodes there are; nothing without any.

    Args:
        lists: Edges of the graph.
    """
    found: dict[tuple[str, int, int | None], int] = {}
    for edges in lists:
        for index, extent in (
            (edges.sources, edges.num_sources),
            (edges.targets, edges.num_nodes),
        ):
            if index is not None and index.origin.is_graph_input():
                found[index.origin.name or "", index.axis, index.row] = extent
    if not found:
        return {}
    entries = [
        {"input": name, "axis": axis, "row": row, "extent": extent}
        for (name, axis, row), extent in found.items()
    ]
    return {METADATA_KEY: entries}
