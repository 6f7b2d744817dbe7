"""Dimensions whose size is known only at run time: a largest size, an input with the count.

A graph has static shapes throughout; such a dimension has its largest size there. How many
rows are in use is an input of the model, int64 (1,). What lies behind them has no influence on
the others. The graph's metadata remembers all that, so that it stays with a model wherever
passes take it.
"""

import json
from dataclasses import asdict, dataclass, field

import onnx_ir as ir

METADATA_KEY = "octavo.counts"


@dataclass(frozen=True)
class Count:
    """One dimension that is counted at run time.

    Attributes:
        dimension: Its name.
        input: Name of the graph input with the number of rows in use, int64 (1,).
        maximum: The largest number, and the size everywhere in the graph.
        inputs: Where it is in graph inputs: the axis by name.
        outputs: The same of graph outputs; they are cut to the count.
        constants: The same of constants, and of values that are computed of what has not the
            dimension: one row that is repeated.
    """

    dimension: str
    input: str
    maximum: int
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)


def declare_counts(graph: ir.Graph, counts: tuple[Count, ...]) -> None:
    """Remember the counted dimensions of a graph; forget those that it had."""
    if counts:
        graph.metadata_props[METADATA_KEY] = json.dumps([asdict(count) for count in counts])
    else:
        graph.metadata_props.pop(METADATA_KEY, None)


def counts_of(graph: ir.Graph) -> tuple[Count, ...]:
    """The counted dimensions of a graph, in the order in which they were declared."""
    text = graph.metadata_props.get(METADATA_KEY)
    return tuple(Count(**entry) for entry in json.loads(text)) if text else ()
