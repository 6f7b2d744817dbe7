"""Operators that move, cut and join elements, and those that reduce axes."""

from collections.abc import Sequence

import numpy as np

from octavo.compiler.importer.tflite.container import Operator
from octavo.compiler.importer.tflite.elementwise import aligned, shared_layout
from octavo.compiler.importer.tflite.network import Layout, Network
from octavo.errors import ModelError

REDUCTIONS = {
    "MEAN": "ReduceMean",
    "SUM": "ReduceSum",
    "REDUCE_MAX": "ReduceMax",
    "REDUCE_MIN": "ReduceMin",
}
# where each axis of the file's layout is in the other one
_FIRST_AXES = (0, 2, 3, 1)


def reshape(network: Network, operator: Operator) -> None:
    """RESHAPE, SQUEEZE, EXPAND_DIMS -> Reshape to the shape that the file declares."""
    x, output = network.required(operator, 0), operator.outputs[0]
    shape, sizes = network.shape(x), network.shape(output)
    # of a 1x1 image the order of the elements is the same in both layouts
    is_same = len(shape) == 4 and network.lies_first(x) and shape[1] * shape[2] == 1
    value = network.real(x, Layout.CHANNELS_FIRST if is_same else Layout.FILE)
    target = network.ints(sizes, f"{network.names[output]}/shape")
    network.define(output, network.node("Reshape", [value, target], network.hint(output)))


def transpose(network: Network, operator: Operator) -> None:
    """TRANSPOSE -> Transpose; one that makes channels outermost is none at all."""
    x, output = network.required(operator, 0), operator.outputs[0]
    perm = [axis % max(len(network.shape(x)), 1) for axis in network.integers(operator, 1)]
    if sorted(perm) != list(range(len(network.shape(x)))):
        raise ModelError(f"{network.where(operator)}: {perm} is not an order of its axes")
    layout = Layout.FILE
    if network.lies_first(x):
        layout = Layout.CHANNELS_FIRST
        perm = [_FIRST_AXES[axis] for axis in perm]
    value = network.real(x, layout)
    if perm != list(range(len(perm))):
        value = network.node("Transpose", [value], network.hint(output), perm=perm)
    network.define(output, value)


def pad(network: Network, operator: Operator) -> None:
    """PAD, PADV2 -> Pad."""
    x, output = network.required(operator, 0), operator.outputs[0]
    layout = shared_layout(network, operator)
    amounts = np.array(network.integers(operator, 1)).reshape(-1, 2)
    if len(amounts) != len(network.shape(x)) or (amounts < 0).any():
        raise ModelError(f"{network.where(operator)}: wrong amounts of padding")
    if layout is Layout.CHANNELS_FIRST:
        amounts = amounts[list(layout.value)]
    hint = network.hint(output, layout)
    inputs = [
        network.real(x, layout),
        network.ints(amounts.T.reshape(-1).tolist(), f"{hint}/pads"),
    ]
    if operator.kind == "PADV2":
        inputs.append(network.real(network.required(operator, 2)))
    network.define(output, network.node("Pad", inputs, hint), layout)


def concatenation(network: Network, operator: Operator) -> None:
    """CONCATENATION -> Concat."""
    output = operator.outputs[0]
    layout = shared_layout(network, operator)
    axis = axis_in(network, operator, operator.options["axis"], output, layout)
    inputs = [aligned(network, index, layout) for index in operator.inputs if index >= 0]
    value = network.node("Concat", inputs, network.hint(output, layout), axis=axis)
    network.define(output, value, layout, operator.options["fused_activation_function"])


def pack(network: Network, operator: Operator) -> None:
    """PACK -> Concat of what has one more axis."""
    output = operator.outputs[0]
    rank = len(network.shape(output))
    axis = operator.options["axis"] % max(rank, 1)
    parts = []
    for index in operator.inputs:
        shape = list(network.shape(index))
        parts.append(network.reshaped(network.real(index), [*shape[:axis], 1, *shape[axis:]]))
    network.define(output, network.node("Concat", parts, network.hint(output), axis=axis))


def split(network: Network, operator: Operator) -> None:
    """SPLIT (axis, x), SPLIT_V (x, sizes, axis) -> Split into the declared sizes."""
    position, axis_position = (1, 0) if operator.kind == "SPLIT" else (0, 2)
    x = network.required(operator, position)
    layout = Layout.CHANNELS_FIRST if network.lies_first(x) else Layout.FILE
    (number,) = network.integers(operator, axis_position)
    plain = axis_in(network, operator, number, x, Layout.FILE)
    axis = axis_in(network, operator, number, x, layout)
    if any(len(network.shape(i)) != len(network.shape(x)) for i in operator.outputs):
        raise ModelError(f"{network.where(operator)}: its outputs have another rank")
    sizes = [network.shape(index)[plain] for index in operator.outputs]
    name = network.names[operator.outputs[0]]
    inputs = [network.real(x, layout), network.ints(sizes, f"{name}/sizes")]
    hints = [network.hint(index, layout) for index in operator.outputs]
    values = network.nodes("Split", inputs, hints, axis=axis)
    for index, value in zip(operator.outputs, values, strict=True):
        network.define(index, value, layout)


def slice_of(network: Network, operator: Operator) -> None:
    """SLICE (x, begin, size) -> Slice."""
    x = network.required(operator, 0)
    begin, size = network.integers(operator, 1), network.integers(operator, 2)
    shape = network.shape(x)
    if not len(begin) == len(size) == len(shape):
        raise ModelError(f"{network.where(operator)}: begin and size do not fit the input")
    ends = [
        dim if extent < 0 else start + extent
        for start, extent, dim in zip(begin, size, shape, strict=True)
    ]
    _cut(network, operator, begin, ends, [1] * len(shape))


def strided_slice(network: Network, operator: Operator) -> None:
    """STRIDED_SLICE -> Slice, and Reshape where axes are added or dropped."""
    x, options = network.required(operator, 0), operator.options
    shape = network.shape(x)
    begin, end, strides = (network.integers(operator, i) for i in (1, 2, 3))
    if options["ellipsis_mask"] or options["new_axis_mask"] or options["offset"]:
        raise ModelError(f"{network.where(operator)}: ellipsis, new axes or offsets")
    if not len(begin) == len(end) == len(strides) <= len(shape) or 0 in strides:
        raise ModelError(f"{network.where(operator)}: begin, end and strides do not fit")
    starts, ends, steps = [0] * len(shape), list(shape), [1] * len(shape)
    for axis, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        steps[axis], bit = step, 1 << axis
        # Slice cuts what lies outside, so that these mean "to the end" in either direction
        farthest = np.iinfo(np.int32).max
        starts[axis] = first
        ends[axis] = last
        if options["begin_mask"] & bit:
            starts[axis] = 0 if step > 0 else farthest
        if options["end_mask"] & bit:
            ends[axis] = farthest if step > 0 else -farthest
        if options["shrink_axis_mask"] & bit:
            place = first + shape[axis] if first < 0 else first
            starts[axis], ends[axis], steps[axis] = place, place + 1, 1
    _cut(network, operator, starts, ends, steps)


def _cut(
    network: Network,
    operator: Operator,
    starts: Sequence[int],
    ends: Sequence[int],
    steps: Sequence[int],
) -> None:
    x, output = operator.inputs[0], operator.outputs[0]
    rank = len(network.shape(x))
    keeps_rank = len(network.shape(output)) == rank
    layout = Layout.FILE
    if keeps_rank and network.lies_first(x):
        layout = Layout.CHANNELS_FIRST
    axes = [_FIRST_AXES[i] for i in range(4)] if layout is not Layout.FILE else range(rank)
    name = network.names[output]
    operands = (("starts", starts), ("ends", ends), ("axes", axes), ("steps", steps))
    inputs = [network.real(x, layout)]
    inputs += [network.ints(list(values), f"{name}/{part}") for part, values in operands]
    value = network.node("Slice", inputs, network.hint(output, layout))
    if not keeps_rank:
        value = network.reshaped(value, network.shape(output))
    network.define(output, value, layout)


def reduction(network: Network, operator: Operator) -> None:
    """MEAN, SUM, ... -> ReduceMean, ...; the mean of an image is GlobalAveragePool."""
    x, output = network.required(operator, 0), operator.outputs[0]
    axes = network.integers(operator, 1)
    layout = Layout.CHANNELS_FIRST if network.lies_first(x) else Layout.FILE
    is_image = len(network.shape(x)) == 4 and sorted(a % 4 for a in axes) == [1, 2]
    if is_image and operator.kind == "MEAN":
        layout = Layout.CHANNELS_FIRST
    keeps = bool(operator.options["keep_dims"])
    places = sorted({axis_in(network, operator, axis, x, layout) for axis in axes})
    hint = network.hint(output, layout if keeps else Layout.FILE)
    source = network.real(x, layout)
    # where axes are dropped, the others are in the order of the file, but for lines of images
    is_ordered = layout is Layout.FILE or is_image or len(network.shape(output)) <= 1
    if keeps and is_image and operator.kind == "MEAN":
        value = network.node("GlobalAveragePool", [source], hint)
    else:
        inputs = [source, network.ints(places, f"{hint}/axes")]
        drops = not keeps and is_ordered
        value = network.node(REDUCTIONS[operator.kind], inputs, hint, keepdims=int(not drops))
    if keeps or is_ordered:
        network.define(output, value, layout if keeps else Layout.FILE)
        return
    shape = [1 if a in places else size for a, size in enumerate(_first(network.shape(x)))]
    value = network.moved(value, shape, Layout.FILE.value)
    network.define(output, network.reshaped(value, network.shape(output)))


def gather(network: Network, operator: Operator) -> None:
    """GATHER -> Gather."""
    x, indices = (network.required(operator, position) for position in (0, 1))
    output = operator.outputs[0]
    if operator.options["batch_dims"]:
        raise ModelError(f"{network.where(operator)}: batch_dims is not supported")
    axis = axis_in(network, operator, operator.options["axis"], x, Layout.FILE)
    inputs = [network.real(x), network.real(indices)]
    network.define(output, network.node("Gather", inputs, network.hint(output), axis=axis))


def axis_in(
    network: Network, operator: Operator, axis: int, index: int, layout: Layout
) -> int:
    """Return where an axis of a tensor is in a layout, counted from 0.

    Raises:
        ModelError: The tensor has no such axis.
    """
    rank = len(network.shape(index))
    if not -rank <= axis < rank:
        raise ModelError(f"{network.where(operator)}: axis {axis} of a tensor of rank {rank}")
    axis %= rank
    return _FIRST_AXES[axis] if layout is Layout.CHANNELS_FIRST and rank == 4 else axis


def _first(shape: Sequence[int]) -> list[int]:
    return [shape[axis] for axis in Layout.CHANNELS_FIRST.value]
