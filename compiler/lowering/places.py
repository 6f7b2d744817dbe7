"""Concatenations of channels whose inputs are computed where they belong: no copies.

A value that a Concat along the channels reads has a *place* in the concatenated tensor when
its integers mean the same there, and when everything else that reads it can read a slice.
Whoever computes such a value may write it there, and the Concat finds it in place.
Concatenations nest: the features of a dense block grow in one tensor.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from octavo.compiler.lowering.qdq_graph import (
    QuantParams,
    int_attribute,
    only_consumer,
    quantize_params,
    shape_of,
)
from octavo.compiler.lowering.view import QdqView

CHANNEL_AXIS = 1
# Their kernels read slices of the channels.
SLICE_READERS = frozenset({"AveragePool", "Concat", "Conv", "ConvTranspose", "MaxPool"})
SAME_ELEMENTS = frozenset({"DequantizeLinear", "QuantizeLinear"})


@dataclass(frozen=True, eq=False)
class Place:
    """Channels of a concatenated tensor that one value takes.

    Attributes:
        whole: The concatenated value, as it is stored.
        params: Quantization of ``whole``; None for float.
        start: First channel.
        is_exact: The value is stored as it is; else whoever writes it rounds it once more, to
            ``params``, and nobody but the Concat reads it.
    """

    whole: ir.Value
    params: QuantParams | None
    start: int
    is_exact: bool = True


def find_places(graph: ir.Graph, view: QdqView) -> dict[ir.Value, Place]:
    """Places by the value that is written there; a value has one place at most."""
    places: dict[ir.Value, Place] = {}
    for node in graph:
        if node.op_type != "Concat" or not _joins_channels(node):
            continue
        params = concat_params(node, view)
        whole = node.outputs[0]
        if params is not None:
            whole = next(iter(whole.uses())).node.outputs[0]
        elif whole.dtype != ir.DataType.FLOAT:
            continue
        start = 0
        for value in node.inputs:
            assert value is not None
            if _has_same_meaning(value, params, view):
                for stored in _stored(value, view):
                    places.setdefault(stored, Place(whole, params, start))
            elif (only := _read_by_concat_only(value)) is not None and params is not None:
                places.setdefault(only, Place(whole, params, start, is_exact=False))
            start += shape_of(value)[CHANNEL_AXIS]
    return places


def concat_params(node: ir.Node, view: QdqView) -> QuantParams | None:
    """Quantization of DQ... -> Concat -> Q; None where the Concat is not of integers."""
    consumer = only_consumer(node.outputs[0])
    if consumer is None or consumer.op_type != "QuantizeLinear":
        return None
    values = [v for v in node.inputs if v is not None]
    if not all(view.is_dequantized(v) or view.scalar_params(v) for v in values):
        return None
    return quantize_params(consumer)


def _joins_channels(node: ir.Node) -> bool:
    if any(v is None or v.shape is None for v in (*node.inputs, *node.outputs)):
        return False
    rank = len(shape_of(node.outputs[0]))
    is_empty = any(v is not None and 0 in shape_of(v) for v in node.inputs)
    axis = int_attribute(node, "axis", 0)
    return rank in (3, 4) and not is_empty and axis % rank == CHANNEL_AXIS


def _has_same_meaning(value: ir.Value, params: QuantParams | None, view: QdqView) -> bool:
    """Whether a stored number stands for the same real one before and after the Concat."""
    if params is None:
        return view.is_float_tensor(value)
    found = view.params(value)
    return found is not None and found.is_same_as(params)


def _stored(value: ir.Value, view: QdqView) -> Iterator[ir.Value]:
    """Values, of the same elements as ``value``, that a kernel may be about to write."""
    current: ir.Value | None = value
    while current is not None:
        if not _is_read_as_slice(current):
            return
        yield current
        producer = current.producer()
        if producer is None:
            return
        source = producer.inputs[0] if producer.inputs else None
        if producer.op_type == "DequantizeLinear":
            current = source
        elif producer.op_type == "QuantizeLinear" and source is not None:
            # Quantized again by the same parameters: nothing happens.
            before, after = view.params(source), quantize_params(producer)
            is_same = before is not None and after is not None and before.is_same_as(after)
            current = source if is_same else None
        else:
            return


def _read_by_concat_only(value: ir.Value) -> ir.Value | None:
    """The stored integers behind a dequantized value that one Concat reads, once."""
    producer = value.producer()
    if producer is None or producer.op_type != "DequantizeLinear":
        return None
    stored = producer.inputs[0]
    if stored is None or only_consumer(value) is None or only_consumer(stored) is None:
        return None
    return stored


def _is_read_as_slice(value: ir.Value) -> bool:
    """Whether nobody who reads a value would have to copy a slice of channels."""
    if value.is_graph_output() or value.is_graph_input():
        return False
    return all(_reads_slice(use.node, use.idx) for use in value.uses())


def _reads_slice(node: ir.Node, slot: int) -> bool:
    if node.op_type in SAME_ELEMENTS:
        return _is_read_as_slice(node.outputs[0])
    return node.op_type == "Concat" or (slot == 0 and node.op_type in SLICE_READERS)
