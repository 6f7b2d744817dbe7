"""Write the quantized model: ``x -> op -> y`` becomes ``x -> Q -> DQ -> op -> Q -> DQ -> y``.

Q and DQ go around regions, never inside one. Inputs and outputs of the model stay float32.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from octavo.passes.choose_parameters import Parameters, choose_parameters, representable
from octavo.passes.constants import NameSource, add_constant, float_constant
from octavo.passes.fused_regions import Region
from octavo.passes.layer_format import FLOAT_BITS
from octavo.passes.message_passing.forms import Kind
from octavo.passes.narrow_ranges import Range, narrow_masks
from octavo.passes.placement import Placement, plan_placement
from octavo.passes.quant_math import QuantParams, quantize
from octavo.passes.quantizable_operators import OutputScale, why_not_quantizable
from octavo.passes.quantize_weights import (
    LAYERS_WITH_WEIGHTS,
    WeightFormat,
    WeightWriter,
    write_layer_constants,
)
from octavo.passes.quantizer_options import BYTE_BITS, QuantizerOptions
from octavo.passes.round_attention import round_weights
from octavo.passes.wiring import bypass, is_op

MIN_OPSET = 21  # 8-bit and 16-bit zero points, any axis


class InsertQuantizers(ir.passes.InPlacePass):
    """Quantize weights, biases and activations of every region with an integer kernel."""

    def __init__(self, ranges: Mapping[str, Range], options: QuantizerOptions) -> None:
        """Take the calibration result.

        Args:
            ranges: ``(low, high)`` of each tensor that ``plan_placement`` names.
            options: What to quantize and how.
        """
        super().__init__()
        self.ranges = dict(ranges)
        self.options = options

    def requires(self, model: ir.Model) -> None:
        opset = model.graph.opset_imports.get("", 0)
        if opset < MIN_OPSET:
            raise ir.passes.PreconditionError(
                f"quantizers need opset {MIN_OPSET}, the model has {opset}"
            )

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph = model.graph
        if any(is_op(node, "QuantizeLinear") for node in graph):
            return ir.passes.PassResult(model, modified=False)
        placement = place_with_ranges(graph, self.options, self.ranges)
        parameters = choose_parameters(placement, self.ranges, self.options)
        _write(graph, placement, parameters, self.options)
        return ir.passes.PassResult(model, modified=bool(placement.regions))


def place_with_ranges(
    graph: ir.Graph, options: QuantizerOptions, ranges: Mapping[str, Range]
) -> Placement:
    """Plan where quantizers go, leaving out tensors without a range that 8 bits can hold."""
    unfit: dict[ir.Value, str] = {}
    while True:
        placement = plan_placement(graph, options, unfit)
        found = _unfit(placement, ranges)
        # Leaving a layer out can expose a tensor inside it, which was never observed.
        if not found.keys() - unfit.keys():
            return placement
        unfit.update(found)


def _unfit(placement: Placement, ranges: Mapping[str, Range]) -> dict[ir.Value, str]:
    """Why each tensor that cannot be quantized cannot."""
    known = [value for value in placement.tensors if value.name in ranges]
    limits = {value: ranges[value.name or ""] for value in known}
    for value in placement.constants:
        array = float_constant(value)
        if array is not None and array.size:
            limits[value] = float(array.min()), float(array.max())
    # A mask of the lowest float32 is cut to what makes a difference.
    limits.update(narrow_masks(placement.regions, limits))
    reasons = {}
    for kind, values in (("tensor", placement.tensors), ("constant", placement.constants)):
        for value in values:
            missing = "it was not calibrated" if kind == "tensor" else "it is empty"
            why = representable(*limits[value]) if value in limits else missing
            if why:
                reasons[value] = f"{kind} {value.name!r}: {why}"
    return reasons


def _write(
    graph: ir.Graph, placement: Placement, parameters: Parameters, options: QuantizerOptions
) -> None:
    names = NameSource(graph)
    writer = WeightWriter(graph, names)
    for region in placement.regions:
        _write_constants(writer, region, parameters, options)
    _write_float_layers(graph, writer, placement, options)
    making = placement.region_making()
    readers = {
        (use.node, use.idx)
        for region in placement.regions
        for value in region.inputs
        for use in value.uses()
        if use.node in region.nodes and not _is_float_sum(region, use.node, making.get(value))
    }
    shared = _SharedScales(graph, names, parameters)
    for value in (*placement.constants, *placement.tensors):
        _write_pair(graph, names, shared, value, readers, making.get(value), options)
    for region in placement.regions:
        if is_op(region.head, "MatMul") and is_op(region.nodes[-1], "MatMul"):
            _round_attention(graph, names, region)
        if region.absorbed is not None:
            # The quantizer behind it saturates at 0 and at the same upper end.
            bypass(graph, region.absorbed, region.nodes[0].outputs[0])


def _write_float_layers(
    graph: ir.Graph, writer: WeightWriter, placement: Placement, options: QuantizerOptions
) -> None:
    """Store the weights of layers that were asked to read float, narrower than float."""
    heads = {region.head for region in placement.regions}
    for node in list(graph):
        if node in heads or not is_op(node, *LAYERS_WITH_WEIGHTS):
            continue
        reads_float = options.layer_format(node).activation_bits == FLOAT_BITS
        if (
            reads_float
            and not options.keeps_float_weight(node)
            and not why_not_quantizable(node)
        ):
            writer.write_float_layer(node, options)


def _round_attention(graph: ir.Graph, names: NameSource, region: Region) -> None:
    if len(region.nodes) > 1:
        softmax, mix = region.nodes[-2:]
        round_weights(graph, names, softmax, mix)


def _is_float_sum(region: Region, node: ir.Node, source: Region | None) -> bool:
    """Whether a node adds in float32 what was made in float32, so that nothing is rounded."""
    added = is_op(node, "Add") and region.made_in_float
    return added and source is not None and source.made_in_float


def _write_constants(
    writer: WeightWriter, region: Region, parameters: Parameters, options: QuantizerOptions
) -> None:
    if region.form is not None:
        if region.form.kind is Kind.PRODUCT:
            _write_adjacency(writer, region, parameters, options)
        return
    operands = [value for value in region.head.inputs if value in parameters.of]
    if not operands:
        return
    scales = [parameters.of[value].scale for value in operands if value is not None]
    layout = WeightFormat.of(region.head, options)
    has_wide_input = any(parameters.of[v].num_bits > BYTE_BITS for v in operands if v)
    scale_b = scales[-1] if is_op(region.head, "MatMul") and len(scales) > 1 else None
    write_layer_constants(
        writer,
        region.head,
        region.bias_add,
        scales[0],
        layout,
        scale_b,
        has_wide_input=has_wide_input,
    )


def _write_adjacency(
    writer: WeightWriter, region: Region, parameters: Parameters, options: QuantizerOptions
) -> None:
    """Store the matrix of a product with one scale for each node that receives."""
    form = region.form
    assert form is not None  # _write_constants looked
    head, (features,) = region.head, form.features
    position = list(head.inputs).index(form.coefficients)
    # Rows of the matrix are targets on the left of the features, columns on the right.
    axis = 0 if position == 0 else 1
    num_bits = options.factor_bits(head)
    layout = replace(WeightFormat.of(head, options), num_bits=num_bits, block_size=0)
    writer.write(head, position, axis, layout, parameters.of[features].scale, None)


def _write_pair(
    graph: ir.Graph,
    names: NameSource,
    shared: "_SharedScales",
    value: ir.Value,
    readers: set[tuple[ir.Node, int]],
    region: Region | None,
    options: QuantizerOptions,
) -> None:
    # What an integer kernel makes exists in integers only, so float readers get it
    # dequantized; what is made in float they read as it is.
    is_integer = region is not None and not region.made_in_float
    uses = [use for use in value.uses() if is_integer or (use.node, use.idx) in readers]
    is_output = value.is_graph_output() and is_integer
    if is_output and options.float_output and not uses:
        return
    base = value.name or "tensor"
    scale, zero_point = shared.of(value)
    params = shared.params(value)
    array = float_constant(value)
    if array is not None:
        stored = quantize(
            array, params.scale, params.zero_point, params.dtype, num_bits=params.num_bits
        )
        quantized = add_constant(graph, names, f"{base}_quantized", stored)
        after: ir.Node | None = None
    else:
        inside, before = value, value.producer()
        if params.is_narrow and not (region and region.output_scale is OutputScale.SAME):
            before = _clip(graph, names, value, params)
            inside = before.outputs[0]
        node = ir.node(
            "QuantizeLinear", [inside, scale, zero_point], name=names.fresh(f"{base}_quantize")
        )
        quantized = node.outputs[0]
        quantized.name = names.fresh(f"{base}_quantized")
        quantized.type, quantized.shape = zero_point.type, value.shape
        _insert_behind(graph, before, node)
        after = node
    back = ir.node(
        "DequantizeLinear",
        [quantized, scale, zero_point],
        name=names.fresh(f"{base}_dequantize"),
    )
    result = back.outputs[0]
    result.name = names.fresh(f"{base}_dequantized")
    result.dtype, result.shape = ir.DataType.FLOAT, value.shape
    _insert_behind(graph, after, back)
    for use in uses:
        use.node.replace_input_with(use.idx, result)
    if is_output and not options.float_output:
        _take_over_output(graph, names, value, result)


def _clip(graph: ir.Graph, names: NameSource, value: ir.Value, params: QuantParams) -> ir.Node:
    """Saturate where integers of fewer bits than their type end: QuantizeLinear does not."""
    base = value.name or "tensor"
    limits = [
        add_constant(graph, names, f"{base}_{end}", np.asarray(limit, np.float32))
        for end, limit in (("low", params.low), ("high", params.high))
    ]
    node = ir.node("Clip", [value, *limits], name=names.fresh(f"{base}_saturate"))
    result = node.outputs[0]
    result.name = names.fresh(f"{base}_saturated")
    result.dtype, result.shape = ir.DataType.FLOAT, value.shape
    _insert_behind(graph, value.producer(), node)
    return node


def _insert_behind(graph: ir.Graph, after: ir.Node | None, node: ir.Node) -> None:
    if after is not None:
        graph.insert_after(after, node)
    else:
        graph.insert_before(graph[0], node)


def _take_over_output(
    graph: ir.Graph, names: NameSource, value: ir.Value, result: ir.Value
) -> None:
    output_name = value.name
    for index, output in enumerate(graph.outputs):
        if output is value:
            graph.outputs[index] = result
    value.name = names.fresh(f"{output_name}_unquantized")
    result.name = output_name


class _SharedScales:
    """One scale and zero-point constant for each group of tensors."""

    def __init__(self, graph: ir.Graph, names: NameSource, parameters: Parameters) -> None:
        self._graph, self._names, self._parameters = graph, names, parameters
        self._written: dict[ir.Value, tuple[ir.Value, ir.Value]] = {}

    def params(self, value: ir.Value) -> QuantParams:
        return self._parameters.of[value]

    def of(self, value: ir.Value) -> tuple[ir.Value, ir.Value]:
        owner = self._parameters.owner[value]
        if owner not in self._written:
            params = self._parameters.of[value]
            base = owner.name or "tensor"
            scale = np.asarray(params.scale, np.float32)
            zero_point = np.asarray(params.zero_point, np.dtype(params.dtype))
            self._written[owner] = (
                add_constant(self._graph, self._names, f"{base}_scale", scale),
                add_constant(self._graph, self._names, f"{base}_zero_point", zero_point),
            )
        return self._written[owner]
