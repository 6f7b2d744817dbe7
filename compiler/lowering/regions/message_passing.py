"""Message passing -> one kernel for each aggregation, behind the order of edges.

    Gather, [Mul by coefficients | Add, Relu], ScatterElements, [Div] -> [Add] -> [Relu] -> [Q]

What ``octavo.passes.message_passing.forms`` names is read as it lies in memory; nothing of an
edge is stored.
"""

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from octavo.compiler.lowering.aggregation_tail import (
    float_aggregation_tail,
    float_bias,
    has_limits,
    integer_aggregation_tail,
    integer_bias,
)
from octavo.compiler.lowering.builder import Origin
from octavo.compiler.lowering.context import Context, Region, origin_of
from octavo.compiler.lowering.edge_attention import attention_tensor, scores_read
from octavo.compiler.lowering.edge_factors import EdgeFactors, factor_tensor, integer_factors
from octavo.compiler.lowering.edge_lists import Coefficients, EdgeList
from octavo.compiler.lowering.edge_tensors import edge_tensors
from octavo.compiler.lowering.fusion import Tail, epilogue
from octavo.compiler.lowering.needed import needed_nodes
from octavo.compiler.lowering.qdq_graph import QuantParams, shape_of
from octavo.compiler.lowering.regions.adjacency_product import (
    float_product,
    integer_product,
)
from octavo.compiler.lowering.tensor import Tensor, identity
from octavo.compiler.lowering.view import QdqView
from octavo.passes.message_passing.forms import Form, Kind
from octavo.passes.message_passing.segments import Aggregation
from octavo.targets.ops.aggregation import LARGEST_SUM, LARGEST_WEIGHT
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.node_order import with_order
from octavo.targets.ops.requantize import Requantize

KINDS = {
    Aggregation.ADD: "sum",
    Aggregation.MEAN: "mean",
    Aggregation.MAX: "max",
    Aggregation.MIN: "min",
}
Regions = dict[ir.Node, Region]


def match_aggregations(view: QdqView) -> tuple[Regions, Regions]:
    """Regions of all message passing by their last node: of integers, and of floats."""
    integers: Regions = {}
    floats: Regions = {}
    means = [form for form in view.forms if form.aggregation is Aggregation.MEAN]
    for form in means:
        _take(form, view, integers, floats)
    # Their kernels count edges: the scatters that did it may not be wanted any more.
    needed = needed_nodes(view.graph, {**integers, **floats})
    for form in view.forms:
        if form.head in needed and form not in means:
            _take(form, view, integers, floats)
    return integers, floats


def _take(form: Form, view: QdqView, integers: Regions, floats: Regions) -> None:
    region = None if form.head in view.float_nodes else _integer(form, view)
    found = integers if region is not None else floats
    region = region or _float(form, view)
    if region is not None and view.claimed.isdisjoint(region.nodes):
        found[region.nodes[-1]] = region
        view.claimed.update(region.nodes)


def _integer(form: Form, view: QdqView) -> Region | None:
    """DQ -> messages -> aggregation -> [tail] -> [Q]."""
    first = _common_params(form, view)
    if first is None:
        return None
    if form.kind is Kind.PRODUCT:
        return integer_product(form, view, first)
    factors = None
    if form.coefficients is not None:
        factors = integer_factors(form, view)
        if factors is None:
            return None
    edges = view.edge_lists.of(form)
    if edges is None:
        return None
    acc_scale = np.float64(first.scale) * np.float64(1.0 if factors is None else factors.scale)
    tail = integer_aggregation_tail(form, view, float(acc_scale))
    channels = _channels(form)
    bias = integer_bias(tail, channels, np.array([acc_scale]))
    limit = _degree_limit(form, factors, int(np.abs(bias.astype(np.int64)).max(initial=0)))
    if edges.is_constant and edges.constant().max_degree > limit:
        return None
    if form.aggregation in (Aggregation.ADD, Aggregation.MEAN):
        edges.limit_degree(limit)
    _want_ids(form, edges, factors)
    nodes = _nodes(form, tail, view)

    def emit(ctx: Context) -> None:
        origin = _origin(form, nodes)
        x = [_features(ctx, value, origin) for value in form.features]
        rank = len(shape_of(tail.result))
        if tail.params is None:
            output = ctx.new_float(tail.result, identity(rank))
        else:
            output = ctx.new_quantized(tail.result, tail.params, identity(rank))
        record, arrays = epilogue(tail, ctx.mode, np.array([acc_scale]), output, None)
        arrays["zero_point"] = np.array([x[0].zero_point], np.int32)
        if tail.biases:
            arrays["bias"] = bias
        op = replace(
            _record(form, edges, x[0].dtype, record),
            weight_dtype=None if factors is None else factors.dtype,
            has_bias=bool(tail.biases),
        )
        if factors is not None and form.scores is not None:
            op = replace(op, weight_dtype="uint8")  # none is negative
        _call(ctx, view, form, edges, op, x, arrays, output, origin, factors)

    return Region(nodes, emit, _reads(form, edges))


def _common_params(form: Form, view: QdqView) -> QuantParams | None:
    """The 8-bit quantization that all features have, or None."""
    first, *others = (view.params(value) for value in form.features)
    if first is None or first.is_word:
        return None
    same = all(p is not None and not p.is_word and p.is_same_as(first) for p in others)
    return first if same else None


def _float(form: Form, view: QdqView) -> Region | None:
    """Messages -> aggregation -> [Add] -> [Relu], in float."""
    if form.kind is Kind.PRODUCT:
        return float_product(form, view)
    edges = view.edge_lists.of(form)
    if edges is None:
        return None
    _want_ids(form, edges, None)
    tail = float_aggregation_tail(form, view)
    nodes = _nodes(form, tail, view)

    def emit(ctx: Context) -> None:
        origin = replace(_origin(form, nodes), reason=view.float_reason(form.head))
        x = [ctx.float_tensor(v, identity(len(shape_of(v)))) for v in form.features]
        output = ctx.new_float(tail.result, identity(len(shape_of(tail.result))))
        arrays = {"multiplier": np.ones(1, np.float32)}
        if tail.biases:
            arrays["bias"] = float_bias(tail, _channels(form))
        if has_limits(tail):
            arrays["limits"] = np.array([tail.low, tail.high], np.float32)
        op = replace(
            _record(form, edges, "float32", Requantize(dtype="float32")),
            weight_dtype=None if form.coefficients is None else "float32",
            has_bias=bool(tail.biases),
            has_limits=has_limits(tail),
        )
        _call(ctx, view, form, edges, op, x, arrays, output, origin, None)

    return Region(nodes, emit, _reads(form, edges))


def _call(
    ctx: Context,
    view: QdqView,
    form: Form,
    edges: EdgeList,
    op: CsrAggregate,
    x: list[Tensor],
    arrays: dict[str, np.ndarray],
    output: Tensor,
    origin: Origin,
    factors: EdgeFactors | None,
) -> None:
    """Emit the aggregation, with its edges and coefficients as inputs or as constants."""
    inputs = x[::-1]  # rows of the sources first
    placement = "float32" if op.dtype == "float32" else "int8"
    stored = None
    if form.coefficients is not None:
        stored = _constant_factors(form, view, factors)
    if edges.is_constant and (form.coefficients is None or stored is not None):
        known = edges.constant()
        places = known.ids if form.kind is Kind.MESSAGES else known.places
        assert places is not None
        arrays |= {"offsets": known.offsets, "places": places}
        if stored is not None:
            arrays["weight"] = stored.reshape(form.num_edges, form.heads)[known.ids]
        op, constants = with_order(op, arrays)
        ctx.builder.call(op, inputs, constants, [output], origin, placement)
        return
    coefficients = _by_edge(form, factors)
    carried = weight = None
    if coefficients is not None and coefficients not in edges.ordered:
        weight = factor_tensor(ctx, form, edges, factors)
        if form.heads == 1:
            carried = coefficients, weight
    order = edge_tensors(ctx, edges, carried)
    given = order.ids if form.kind is Kind.MESSAGES else order.places
    assert given is not None
    inputs += [order.offsets, given]
    by_edge = coefficients is not None and coefficients not in edges.ordered
    if form.scores is not None:
        inputs.append(attention_tensor(ctx, view, form, edges, order, factors))
    elif by_edge:
        assert weight is not None
        assert order.ids is not None
        inputs += [weight, order.ids]
    elif coefficients is not None:
        inputs.append(edges.ordered[coefficients])
    most = edges.constant().max_degree if edges.is_constant else edges.max_degree
    op = replace(op, is_given=True, by_edge=by_edge, max_degree=most)
    ctx.builder.call(op, inputs, arrays, [output], origin, placement)


def _record(form: Form, edges: EdgeList, dtype: str, record: Requantize) -> CsrAggregate:
    pair = None
    if form.kind is Kind.PAIRS:
        pair = "relu" if form.has_relu else "sum"
    return CsrAggregate(
        kind=KINDS[form.aggregation],
        nodes=form.num_nodes,
        sources=form.num_sources,
        edges=edges.num_edges,
        channels=_channels(form),
        dtype=dtype,
        heads=form.heads,
        pair=pair,
        from_zero=form.from_zero,
        requantize=record,
    )


def _constant_factors(
    form: Form, view: QdqView, factors: EdgeFactors | None
) -> np.ndarray | None:
    """Coefficients that are stored in the model; None where they are computed."""
    if factors is not None:
        return factors.constant
    return view.constant_float(form.coefficients)


def _degree_limit(form: Form, factors: EdgeFactors | None, bias: int) -> int:
    """Edges into one node whose sum fits 32 bits whatever the numbers are."""
    if form.aggregation not in (Aggregation.ADD, Aggregation.MEAN):
        return LARGEST_SUM
    dtype = None if factors is None else factors.dtype
    if form.scores is not None:
        dtype = "uint8"
    message = 255 * (2 if form.kind is Kind.PAIRS else 1) * LARGEST_WEIGHT[dtype]
    return (LARGEST_SUM - bias) // message


def _want_ids(form: Form, edges: EdgeList, factors: EdgeFactors | None) -> None:
    of_edges = form.scores is not None and form.scores.of_edges is not None
    if of_edges or form.kind is Kind.MESSAGES:
        edges.has_ids = True
    coefficients = _by_edge(form, factors)
    if coefficients is not None:
        edges.by_edge.add(coefficients)


def _by_edge(form: Form, factors: EdgeFactors | None) -> Coefficients | None:
    """Coefficients by the number of the edge, and the type that they are read as."""
    if form.coefficients is None or form.scores is not None:
        return None
    return form.coefficients, "float32" if factors is None else factors.dtype


def _features(ctx: Context, value: ir.Value, origin: Origin) -> Tensor:
    return ctx.dense(ctx.tensor(value), identity(len(shape_of(value))), origin)


def _channels(form: Form) -> int:
    return int(np.prod(shape_of(form.output)[1:], dtype=np.int64))


def _nodes(form: Form, tail: Tail, view: QdqView) -> tuple[ir.Node, ...]:
    """What the region computes, in graph order; what others have taken is left to them."""
    free = [node for node in form.nodes if node not in view.claimed]
    return tuple(sorted((*free, *tail.nodes), key=view.order.__getitem__))


def _reads(form: Form, edges: EdgeList) -> tuple[ir.Value, ...]:
    indices = (edges.targets, edges.sources)
    origins = [index.origin for index in indices if index is not None]
    read = [*form.features, *origins]
    if edges.count is not None:
        read.append(edges.count)
    if form.scores is not None:
        read += scores_read(form.scores)
    elif form.coefficients is not None:
        read.append(form.coefficients)
    return tuple(read)


def _origin(form: Form, nodes: tuple[ir.Node, ...]) -> Origin:
    """Named after the node that aggregates; attention is a step of its own."""
    apart = set() if form.scores is None else set(form.scores.nodes)
    told = origin_of(tuple(node for node in nodes if node not in apart))
    return replace(told, name=form.head.name or form.head.op_type)
