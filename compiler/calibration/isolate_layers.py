"""Cut a quantized model into its layers, each fed with the float network's tensors.

What then comes out of a layer differs from the float network by that layer's own error: its
rounded inputs, weights and output.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.passes.constants import NameSource
from octavo.passes.message_passing.counted_axes import (
    CountedAxis,
    counted_axes,
    declare_inputs,
)
from octavo.passes.wiring import is_op


@dataclass(frozen=True, eq=False)
class IsolatedModel:
    """Every layer of a quantized model side by side.

    Attributes:
        model: Its inputs are the float tensors that were cut.
        feeds: Name of each input to the name of the float tensor that it takes.
        outputs: Name of each cut tensor to the value that its layer made.
    """

    model: ir.Model
    feeds: dict[str, str]
    outputs: dict[str, ir.Value]


def isolate_layers(quantized: ir.Model, tensors: Sequence[str]) -> IsolatedModel:
    """Cut a quantized model at tensors of the float model.

    Args:
        quantized: Made by ``InsertQuantizers`` or ``QuantizeWeights``; not changed.
        tensors: Names of layer outputs in the float model.
    """
    model = quantized.clone()
    graph, names = model.graph, NameSource(model.graph)
    made = _values_behind(graph, tensors)
    counted = counted_axes(graph)
    declared: dict[str, CountedAxis] = {}
    feeds: dict[str, str] = {value.name or "": value.name or "" for value in graph.inputs}
    outputs: dict[str, ir.Value] = {}
    for name, value in made.items():
        fed = ir.val(names.fresh(f"{name}_float"), ir.DataType.FLOAT, value.shape)
        for use in list(value.uses()):
            use.node.replace_input_with(use.idx, fed)
        graph.inputs.append(fed)
        if value in counted:
            declared[fed.name or ""] = counted[value]
        feeds[fed.name or ""] = name
        # Readers take the fed tensor through the old pair; the layer's result needs its own.
        pair = [found for use in fed.uses() if (found := _quantizer_behind(use.node))]
        outputs[name] = _rounded(graph, names, value, pair[0], fed) if pair else value
    declare_inputs(graph, declared)
    graph.outputs[:] = list(dict.fromkeys(outputs.values()))
    RemoveUnusedNodesPass()(model)
    _drop_unread_inputs(graph, feeds)
    return IsolatedModel(model, feeds, outputs)


def dequantized_values(graph: ir.Graph) -> dict[str, ir.Value]:
    """What readers of each float tensor see in a quantized graph, by the float name."""
    seen: dict[str, ir.Value] = {}
    for node in graph:
        if not is_op(node, "QuantizeLinear") or node.inputs[0] is None:
            continue
        back = next((u.node for u in node.outputs[0].uses()), None)
        if back is None or not is_op(back, "DequantizeLinear"):
            continue
        output = back.outputs[0]
        # The dequantized value of a model output carries the name of that output.
        name = output.name if output.is_graph_output() else node.inputs[0].name
        seen[name or ""] = output
    for output in list(seen.values()):
        source = _cut_off(output)
        if source is not None:  # the name of the tensor that few bits cannot hold whole
            seen.setdefault(source.name or "", output)
    return seen


def _cut_off(dequantized: ir.Value) -> ir.Value | None:
    """What a Clip in front of the quantizer behind a dequantized value reads, or None."""
    back = dequantized.producer()
    forth = back.inputs[0].producer() if back is not None and back.inputs[0] else None
    clip = forth.inputs[0].producer() if forth is not None and forth.inputs[0] else None
    return clip.inputs[0] if clip is not None and is_op(clip, "Clip") else None


def _quantizer_behind(node: ir.Node) -> ir.Node | None:
    """A QuantizeLinear, or the one behind the Clip that it is given, or None."""
    if is_op(node, "Clip"):
        readers = [use.node for use in node.outputs[0].uses()]
        node = readers[0] if len(readers) == 1 else node
    return node if is_op(node, "QuantizeLinear") else None


def _values_behind(graph: ir.Graph, tensors: Sequence[str]) -> dict[str, ir.Value]:
    """The unrounded value that a layer makes, for each float tensor."""
    seen = dequantized_values(graph)
    computed = {value.name: value for node in graph for value in node.outputs}
    made: dict[str, ir.Value] = {}
    for name in tensors:
        value: ir.Value | None = computed.get(name)
        if name in seen:
            back = seen[name].producer()
            forth = back.inputs[0].producer() if back is not None and back.inputs[0] else None
            value = forth.inputs[0] if forth is not None else None
            source = _cut_off(seen[name])
            if source is not None and source.name == name:
                value = source  # in front of the Clip, which stays with the reader
        if value is not None and value.producer() is not None:
            made[name] = value
    return made


def _rounded(
    graph: ir.Graph, names: NameSource, value: ir.Value, quantizer: ir.Node, fed: ir.Value
) -> ir.Value:
    """The value rounded as ``quantizer`` rounds ``fed``, cut off before where that is."""
    scale, zero_point = quantizer.inputs[1], quantizer.inputs[2]
    base = f"{value.name}_isolated"
    clip = quantizer.inputs[0].producer() if quantizer.inputs[0] else None
    if clip is not None and clip.inputs[0] is fed:
        inside = ir.node("Clip", [value, *clip.inputs[1:]], name=names.fresh(f"{base}_inside"))
        producer = value.producer()
        assert producer is not None
        graph.insert_after(producer, inside)
        value, shape = inside.outputs[0], value.shape
        value.name = names.fresh(f"{inside.name}_out")
        value.dtype, value.shape = ir.DataType.FLOAT, shape
    forth = ir.node("QuantizeLinear", [value, scale, zero_point], name=names.fresh(base))
    back = ir.node(
        "DequantizeLinear",
        [forth.outputs[0], scale, zero_point],
        name=names.fresh(f"{base}_back"),
    )
    for node, dtype in (
        (forth, zero_point.dtype if zero_point else None),
        (back, value.dtype),
    ):
        output = node.outputs[0]
        output.name = names.fresh(f"{node.name}_out")
        output.dtype, output.shape = dtype, value.shape  # type: ignore[assignment]  # or None
    producer = value.producer()
    if producer is None:
        raise ValueError(f"{value.name} is not computed by a layer")
    graph.insert_after(producer, [forth, back])
    return back.outputs[0]


def _drop_unread_inputs(graph: ir.Graph, feeds: dict[str, str]) -> None:
    for value in list(graph.inputs):
        if not value.uses():
            graph.inputs.remove(value)
            del feeds[value.name or ""]
