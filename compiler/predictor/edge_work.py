"""What message passing has to do: operations on the edges of a graph."""

from octavo.compiler.predictor.work_size import Work, item_bytes
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.edge_order import EdgeOrder
from octavo.targets.ops.edge_softmax import EdgeSoftmax
from octavo.targets.ops.index_bounds import IndexBounds
from octavo.targets.ops.index_check import IndexCheck


def aggregation(op: CsrAggregate) -> Work:
    """Messages of every edge folded into its node."""
    edges = op.edges * op.heads * (item_bytes(op.weight_dtype) if op.weight_dtype else 0)
    edges += ((1 + op.by_edge) * op.edges + op.nodes + 1) * item_bytes("int32")
    rows = min(op.edges, op.sources) * op.channels * item_bytes(op.dtype)
    if op.pair is not None:
        rows += op.nodes * op.channels * item_bytes(op.dtype)
    return Work(
        rows=op.nodes,
        columns=op.channels,
        depth=-(-op.edges // op.nodes),
        macs=op.macs,
        read_bytes=rows + (edges if op.is_given else 0),
        weight_bytes=0 if op.is_given else edges,
        written_bytes=op.nodes * op.channels * item_bytes(op.requantize.dtype),
        run=op.channels,
        in_bits=8 * item_bytes(op.dtype),
        out_bits=8 * item_bytes(op.requantize.dtype),
    )


def softmax_over_edges(op: EdgeSoftmax) -> Work:
    """Coefficients of the edges of every node."""
    ends = op.form == "ends"
    scores = (op.sources + op.nodes if ends else op.edges) * op.heads
    places = op.nodes + 1 + (0 if op.form == "sorted" else op.edges)
    return Work(
        rows=op.edges,
        columns=op.heads,
        read_bytes=scores * item_bytes(op.dtype) + places * item_bytes("int32"),
        written_bytes=op.edges * op.heads * item_bytes(op.out_dtype),
        run=op.heads,
        in_bits=8 * item_bytes(op.dtype),
        out_bits=8 * item_bytes(op.out_dtype),
    )


def order_of_edges(op: EdgeOrder) -> Work:
    """Edges sorted by node."""
    arrays = int(op.gathers) + int(op.has_ids)
    weights = 0 if op.weight_dtype is None else op.edges * item_bytes(op.weight_dtype)
    return Work(
        rows=op.nodes,
        columns=1,
        read_bytes=op.edges * item_bytes(op.index_dtype) * (1 + op.gathers) + weights,
        written_bytes=(op.nodes + 1 + arrays * op.places) * item_bytes("int32") + weights,
        run=1,
        in_bits=8 * item_bytes(op.index_dtype),
        out_bits=32,
    )


def check_of_indices(op: IndexCheck) -> Work:
    """Indices compared with the rows that there are."""
    size = op.elements * item_bytes(op.index_dtype)
    return Work(
        rows=op.outer,
        columns=op.rows * op.inner,
        read_bytes=size,
        written_bytes=size if op.clears else 0,
        run=op.rows * op.inner,
        in_bits=8 * item_bytes(op.index_dtype),
        out_bits=8 * item_bytes(op.index_dtype),
    )


def check_of_bounds(op: IndexBounds) -> Work:
    """Indices compared with the axes that they pick from."""
    return Work(
        rows=op.count,
        columns=len(op.limits),
        read_bytes=op.elements * item_bytes(op.index_dtype),
        run=op.elements,
        in_bits=8 * item_bytes(op.index_dtype),
        out_bits=8 * item_bytes(op.index_dtype),
    )
