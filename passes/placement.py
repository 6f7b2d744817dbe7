"""Decide where quantizers go: which regions run in integers and which tensors they share.

A region is active when it runs in integers. Regions that only move data follow their
neighbours. Everything else that makes a float tensor is listed with the reason.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.fused_regions import Region, find_regions
from octavo.passes.integer_functions import mask_nodes
from octavo.passes.layer_format import FLOAT_BITS
from octavo.passes.message_regions import plan_messages
from octavo.passes.quantizable_operators import stored_int8_weight, why_not_quantizable
from octavo.passes.quantizer_options import QuantizerOptions
from octavo.passes.wiring import is_float


@dataclass(frozen=True, eq=False)
class Placement:
    """Where quantizers go.

    Attributes:
        regions: Active regions in graph order.
        tensors: Activations to quantize, in graph order; no constants.
        constants: Constant activations to quantize.
        float_nodes: Name of each node that computes in float32, with the reason.
    """

    regions: tuple[Region, ...]
    tensors: tuple[ir.Value, ...]
    constants: tuple[ir.Value, ...]
    float_nodes: Mapping[str, str]

    def region_making(self) -> dict[ir.Value, Region]:
        """The active region that makes each quantized tensor."""
        return {output: region for region in self.regions for output in region.outputs}


def plan_placement(
    graph: ir.Graph,
    options: QuantizerOptions,
    not_quantizable: Mapping[ir.Value, str] | None = None,
) -> Placement:
    """Plan where quantizers go in a prepared float graph.

    Args:
        graph: Topologically sorted, static shapes.
        options: What to keep in float.
        not_quantizable: Tensors that 8 bits cannot represent, with the reason, such as ones
            that held infinity during calibration; the nodes around them stay in float.
    """
    messages = plan_messages(graph)
    reasons = {
        **messages.float_nodes,
        **dict.fromkeys(mask_nodes(graph), "a mask, which is rounded once: where it is read"),
        **{node: "kept in float by request" for node in graph if options.keeps_float(node)},
        **{
            region.form.head: "its factors are kept in float by request"
            for region in messages.regions
            if region.form.coefficients is not None
            and options.factor_bits(region.form.head) == FLOAT_BITS
        },
    }
    while True:
        regions = find_regions(
            graph,
            reasons,
            float_normalization=options.float_normalization,
            messages=messages,
        )
        touched = [
            (node, why)
            for value, why in (not_quantizable or {}).items()
            for region in regions
            if value in region.inputs or value in region.outputs
            for node in region.nodes
        ]
        if not touched:
            break
        reasons.update(touched)
    active = _active(regions)
    return Placement(
        tuple(active),
        tuple(_tensors(graph, active)),
        tuple(dict.fromkeys(v for r in active for v in r.inputs if _is_constant(v))),
        _float_nodes(graph, active, regions, reasons),
    )


def _active(regions: list[Region]) -> list[Region]:
    active = [region for region in regions if not region.moves_data]
    idle = [region for region in regions if region.moves_data]
    made = {value for region in active for value in region.outputs}
    read = {value for region in active for value in region.inputs}
    while True:
        joining = [
            region
            for region in idle
            if any(value in made for value in region.inputs)
            or any(value in read for value in region.outputs)
        ]
        if not joining:
            break
        active.extend(joining)
        made.update(value for region in joining for value in region.outputs)
        read.update(value for region in joining for value in region.inputs)
        idle = [region for region in idle if region not in joining]
    members = set(active)
    return [region for region in regions if region in members]


def _tensors(graph: ir.Graph, active: list[Region]) -> list[ir.Value]:
    # What is made in float is rounded only for readers in integers.
    made = {v for r in active if not r.made_in_float for v in r.outputs}
    wanted = made | {v for r in active for v in r.inputs if not _is_constant(v)}
    computed = (value for node in graph for value in node.outputs)
    return [value for value in (*graph.inputs, *computed) if value in wanted]


def _is_constant(value: ir.Value) -> bool:
    return constant_array(value) is not None


def _float_nodes(
    graph: ir.Graph,
    active: list[Region],
    regions: Collection[Region],
    reasons: Mapping[ir.Node, str],
) -> dict[str, str]:
    integer = {node for region in active for node in region.nodes}
    idle = {node for region in regions for node in region.nodes} - integer
    listed = {}
    for node in graph:
        if node in integer or not any(is_float(value) for value in node.outputs):
            continue
        if stored_int8_weight(node.outputs[0]) is not None:
            continue
        if node in reasons:
            reason = reasons[node]
        elif node in idle:
            reason = "only moves float data"
        else:
            reason = why_not_quantizable(node) or "fused with a layer that is kept in float"
        listed[node.name or node.op_type] = reason
    return listed
