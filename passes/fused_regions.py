"""Group nodes into regions that one integer kernel computes: no quantizers inside.

``Conv|Gemm|MatMul -> [Add bias] -> [Add residual] -> [Relu | Clip(0, c)]`` is one region, and
so are an elementwise chain, an ``Add|Sub|Mul -> [Relu | Clip(0, c)]``, and every other
operator of the table alone. Attention from its scores to the mixed values is one region, see
``attention``, and message passing from what is gathered to what nodes receive, see
``message_regions``.

With float normalization, a LayerNormalization ends the region in front of it: the sum that it
reads has outliers in few channels, and 8 bits for all of them would lose the others. It and
the residual sums on its way are computed in float32 between integer products.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import onnx_ir as ir

from octavo.passes.attention import match_attention
from octavo.passes.constants import constant_array, float_constant
from octavo.passes.elementwise import is_zero_clip
from octavo.passes.elementwise_chains import find_chains
from octavo.passes.message_passing.forms import Form, Kind
from octavo.passes.message_passing.segments import Aggregation
from octavo.passes.message_regions import MessagePlan, plan_messages
from octavo.passes.quantizable_operators import (
    UNIT_RANGE_OP_TYPES,
    OutputScale,
    activation_inputs,
    quantized_outputs,
    rule_of,
    why_not_quantizable,
)
from octavo.passes.wiring import is_op, only_consumer, static_shape


@dataclass(frozen=True, eq=False)
class Region:
    """Nodes that become one kernel.

    Attributes:
        head: The node that names the region.
        nodes: All of them, in graph order.
        inputs: Activations that are read, in order of first use; constants too.
        outputs: Tensors that are quantized; the first is the layer's output.
        output_scale: Where the outputs' parameters come from.
        bias_add: The Add whose constant operand is the int32 bias of a MatMul, or None.
        absorbed: A Relu or Clip that the saturation of the output computes: not in the result.
        moves_data: Only rearranges integers.
        made_in_float: The last node computes in float32, so float readers see its output
            before rounding.
        form: The message passing that the region computes, or None.
    """

    head: ir.Node
    nodes: tuple[ir.Node, ...]
    inputs: tuple[ir.Value, ...]
    outputs: tuple[ir.Value, ...]
    output_scale: OutputScale
    bias_add: ir.Node | None = None
    absorbed: ir.Node | None = None
    moves_data: bool = False
    made_in_float: bool = False
    form: Form | None = None


def find_regions(
    graph: ir.Graph,
    excluded: Collection[ir.Node],
    *,
    float_normalization: bool = True,
    messages: MessagePlan | None = None,
) -> list[Region]:
    """Every region of a graph, in the graph order of their last nodes.

    Args:
        graph: Topologically sorted, static shapes, prepared by ``prepare``.
        excluded: Nodes kept in float; a layer kept in float takes what would have been fused
            behind it along.
        float_normalization: Compute LayerNormalization and the sum in front of it in float32.
        messages: From ``plan_messages`` of this graph; None: planned here.
    """
    plan = messages if messages is not None else plan_messages(graph)
    excluded = plan.extend(excluded)
    regions = [*_message_regions(plan, excluded), *_attention_regions(graph, excluded)]
    regions += _linear_regions(
        graph,
        excluded,
        {node for region in regions for node in region.nodes},
        float_normalization=float_normalization,
    )
    taken = {node for region in regions for node in region.nodes}
    regions = [region for region in regions if region.head not in excluded]
    for chain in find_chains(graph, taken | set(excluded)):
        last = chain.nodes[-1]
        unit = is_op(last, *UNIT_RANGE_OP_TYPES)
        scale = OutputScale.UNIT if unit else OutputScale.OWN
        regions.append(Region(last, chain.nodes, (chain.source,), (chain.output,), scale))
        taken.update(chain.nodes)
    for node in graph:
        if node not in taken and node not in excluded and not why_not_quantizable(node):
            regions.append(_single(node))
    order = {node: index for index, node in enumerate(graph)}
    regions.sort(key=lambda region: order[region.nodes[-1]])
    regions = _float_scores(regions, plan.scores)
    merged = _merge_followers(regions, float_normalization=float_normalization)
    return _float_residuals(merged) if float_normalization else merged


def _message_regions(plan: MessagePlan, excluded: Collection[ir.Node]) -> list[Region]:
    regions = []
    for planned in plan.regions:
        form = planned.form
        if form.head in excluded:
            continue
        # The matrix of a product is a weight, written with the region.
        coefficients = None if form.kind is Kind.PRODUCT else form.coefficients
        operands = (*form.features, *((coefficients,) if coefficients is not None else ()))
        selects = (
            form.aggregation in (Aggregation.MAX, Aggregation.MIN)
            and planned.output is form.output
        )
        regions.append(
            Region(
                form.head,
                planned.nodes,
                tuple(dict.fromkeys(operands)),
                (planned.output,),
                OutputScale.SAME if selects else OutputScale.OWN,
                form=form,
            )
        )
    return regions


def _float_scores(regions: list[Region], scores: Collection[ir.Value]) -> list[Region]:
    """Leave attention scores as products make them: the softmax computes in float."""
    aggregating = {node for r in regions if r.form is not None for node in r.nodes}

    def is_score(region: Region) -> bool:
        output = region.outputs[0]
        is_product = region.form is None and is_op(region.head, "Gemm", "MatMul")
        if not is_product or output not in scores or output.is_graph_output():
            return False
        return all(use.node in aggregating for use in output.uses())

    return [replace(r, made_in_float=True) if is_score(r) else r for r in regions]


def _attention_regions(graph: ir.Graph, excluded: Collection[ir.Node]) -> list[Region]:
    regions = []
    for node in graph:
        found = match_attention(node)
        if found is None or any(member in excluded for member in found.nodes):
            continue
        operands = (found.query, found.key, found.mask, found.value)
        inputs = tuple(dict.fromkeys(value for value in operands if value is not None))
        outputs = (found.nodes[-1].outputs[0],)
        regions.append(Region(node, found.nodes, inputs, outputs, OutputScale.OWN))
    return regions


def _linear_regions(
    graph: ir.Graph,
    excluded: Collection[ir.Node],
    attention: Collection[ir.Node],
    *,
    float_normalization: bool,
) -> list[Region]:
    heads = [
        node
        for node in graph
        if is_op(node, "Conv", "ConvTranspose", "Gemm", "MatMul")
        and node not in attention
        and not why_not_quantizable(node)
    ]
    order = {node: index for index, node in enumerate(graph)}
    taken: set[ir.Node] = set(attention)
    regions = []
    # From the end: of two layers that meet in an Add, the later one runs the Add, because the
    # other operand is ready by then.
    for head in reversed(heads):
        stops = excluded if head not in excluded else ()
        region = _grow(head, taken, stops, order, float_normalization=float_normalization)
        taken.update(region.nodes)
        regions.append(region)
    return regions[::-1]


def _grow(
    head: ir.Node,
    taken: Collection[ir.Node],
    excluded: Collection[ir.Node],
    order: dict[ir.Node, int],
    *,
    float_normalization: bool,
) -> Region:
    nodes, inputs, bias_add = [head], activation_inputs(head), None

    def following() -> ir.Node | None:
        node = only_consumer(nodes[-1].outputs[0])
        return node if node not in taken and node not in excluded else None

    node = following()
    if node is not None and is_op(head, "MatMul") and _is_bias_add(node, head.outputs[0]):
        nodes.append(node)
        bias_add = node
        node = following()
    if node is not None and not is_op(head, "ConvTranspose"):
        other = _residual(node, nodes[-1].outputs[0])
        # An operand that is made later would make the region wait: the layer that makes it
        # was visited first and has the Add, unless it is no linear layer.
        if other is not None and not _is_made_after(other, node, order):
            nodes.append(node)
            inputs.append(other)
            node = following()
    made_in_float = node is not None and float_normalization and _is_normalization(node)
    if node is not None and (is_zero_clip(node) or made_in_float):
        nodes.append(node)
    unique = tuple(dict.fromkeys(inputs))
    outputs = (nodes[-1].outputs[0],)
    return Region(
        head,
        tuple(nodes),
        unique,
        outputs,
        OutputScale.OWN,
        bias_add,
        made_in_float=made_in_float,
    )


def _is_normalization(node: ir.Node) -> bool:
    return is_op(node, "LayerNormalization") and not why_not_quantizable(node)


def _is_bias_add(node: ir.Node, product: ir.Value) -> bool:
    if not is_op(node, "Add") or static_shape(node.outputs[0]) != static_shape(product):
        return False
    shape = static_shape(product)
    other = node.inputs[1] if node.inputs[0] is product else node.inputs[0]
    bias = float_constant(other)
    return bool(shape) and bias is not None and bias.shape == shape[-1:]  # type: ignore[index]


def _residual(node: ir.Node, value: ir.Value) -> ir.Value | None:
    if not is_op(node, "Add"):
        return None
    other = node.inputs[1] if node.inputs[0] is value else node.inputs[0]
    if other is None or static_shape(other) != static_shape(value):
        return None
    return other if constant_array(other) is None else None


def _is_made_after(value: ir.Value, node: ir.Node, order: dict[ir.Node, int]) -> bool:
    producer = value.producer()
    return producer is not None and order.get(producer, -1) > order[node]


def _single(node: ir.Node) -> Region:
    rule = rule_of(node)
    if rule is None:
        raise ValueError(f"{node.op_type} has no rule")
    inputs = tuple(dict.fromkeys(activation_inputs(node)))
    outputs = tuple(quantized_outputs(node))
    return Region(node, (node,), inputs, outputs, rule.output, moves_data=rule.moves_data)


def _merge_followers(regions: list[Region], *, float_normalization: bool) -> list[Region]:
    """Merge ``Add|Sub|Mul`` with what alone reads it: Relu or Clip(0, c), or a normalization.

    Rounding to 8 bits saturates: when the smallest representable value is 0 and the largest is
    the clipped tensor's maximum, it already is that clipping.
    """
    by_first = {region.nodes[0]: region for region in regions if len(region.nodes) == 1}
    merged: dict[Region, Region] = {}
    dropped: set[Region] = set()
    for region in regions:
        if len(region.nodes) != 1 or not is_op(region.head, "Add", "Sub", "Mul"):
            continue
        reader = only_consumer(region.outputs[0])
        follower = by_first.get(reader) if reader is not None else None
        if follower is None or reader is None:
            continue
        normalizes = float_normalization and _is_normalization(reader)
        if not is_zero_clip(reader) and not normalizes:
            continue
        dropped.add(region)
        merged[follower] = Region(
            region.head,
            (*region.nodes, reader),
            region.inputs,
            follower.outputs,
            OutputScale.OWN,
            absorbed=None if normalizes else reader,
            made_in_float=normalizes,
        )
    return [merged.get(region, region) for region in regions if region not in dropped]


def _float_residuals(regions: list[Region]) -> list[Region]:
    """Let sums that are computed in float32 read float tensors as they are."""
    streams = _float_streams(regions)
    floats = {value for region in regions if region.made_in_float for value in region.outputs}
    floats |= streams
    result = []
    for region in regions:
        made = region.made_in_float or region.outputs[0] in streams
        if is_op(region.head, "LayerNormalization") and region.inputs[0] in streams:
            result.append(replace(region, inputs=(), made_in_float=True))
        elif made:
            linear = is_op(region.head, "Conv", "ConvTranspose", "Gemm", "MatMul")
            products = activation_inputs(region.head) if linear else []
            inputs = tuple(
                v
                for v in region.inputs
                if v in products or (v not in floats and constant_array(v) is None)
            )
            result.append(replace(region, inputs=inputs, made_in_float=True))
        else:
            result.append(region)
    return result


def _float_streams(regions: list[Region]) -> set[ir.Value]:
    """Sums that only normalizations and float sums read: a transformer's residual stream.

    ``x -> LayerNormalization -> ... -> Add(x, .) -> LayerNormalization -> ...``, and in front
    of it a convolution that embeds patches, with what only moves its result.
    """
    region_of = {node: region for region in regions for node in region.nodes}
    streams = {region.outputs[0] for region in regions if _may_start_stream(region)}

    def is_float_reader(node: ir.Node) -> bool:
        region = region_of.get(node)
        if region is None:
            return False
        is_sum = is_op(node, "Add")
        is_float = region.made_in_float or region.outputs[0] in streams
        moves = region.moves_data and region.outputs[0] in streams
        return moves or (is_sum and is_float) or _is_normalization(node)

    # Whatever has another reader drops out, which can drop what it was added to.
    while True:
        dropped = {
            value
            for value in streams
            if value.is_graph_output()
            or not all(is_float_reader(use.node) for use in value.uses())
        }
        if not dropped:
            return streams
        streams -= dropped


def _may_start_stream(region: Region) -> bool:
    """Whether the output of a region can be float32 without another kernel or copy."""
    if region.moves_data:
        return len(region.outputs) == 1
    if is_op(region.head, "Conv"):
        return len(region.nodes) == 1
    last = region.nodes[-1]
    return all(is_op(node, "Add", "Gemm", "MatMul") for node in (region.head, last))
