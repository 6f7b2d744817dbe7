"""Convolutions, pools and resizing: channels innermost -> channels outermost."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from octavo.compiler.importer.tflite.container import Operator
from octavo.compiler.importer.tflite.network import Layout, Network
from octavo.compiler.importer.tflite.schema import Padding
from octavo.errors import ModelError

FIRST = Layout.CHANNELS_FIRST
OHWI_TO_OIHW = (0, 3, 1, 2)
DEPTHWISE_TO_OIHW = (3, 0, 1, 2)  # (1, kH, kW, C * multiplier)


def conv(network: Network, operator: Operator) -> None:
    """CONV_2D -> Conv; channels of the input beyond the weight's are groups."""
    x, weight = (image(network, operator, position) for position in (0, 1))
    _, height, width, in_channels = network.shape(weight)
    channels = network.shape(x)[3]
    if in_channels == 0 or channels % in_channels:
        raise ModelError(f"{network.where(operator)}: {channels} channels, {in_channels} used")
    stored = network.weight(operator, 1, OHWI_TO_OIHW)
    _convolve(network, operator, stored, (height, width), channels // in_channels)


def depthwise_conv(network: Network, operator: Operator) -> None:
    """DEPTHWISE_CONV_2D -> Conv with a group for each channel."""
    x, weight = (image(network, operator, position) for position in (0, 1))
    one, height, width, out_channels = network.shape(weight)
    channels = network.shape(x)[3]
    if one != 1 or channels == 0 or out_channels % channels:
        raise ModelError(
            f"{network.where(operator)}: weights {list(network.shape(weight))} for "
            f"{channels} channels"
        )
    stored = network.weight(operator, 1, DEPTHWISE_TO_OIHW)
    _convolve(network, operator, stored, (height, width), channels)


def _convolve(
    network: Network, operator: Operator, weight: str, kernel: Sequence[int], group: int
) -> None:
    options, output = operator.options, operator.outputs[0]
    x, margins = _unpadded(network, operator)
    dilations = positive(
        network, operator, [options["dilation_h_factor"], options["dilation_w_factor"]]
    )
    extent = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    inputs = [network.real(x, FIRST), weight]
    scale = network.product_scale(x, operator.inputs[1])
    bias = network.bias(operator, 2, scale)
    window = _window(network, operator, extent)
    window["pads"] = [a + b for a, b in zip(window["pads"], margins, strict=True)]
    value = network.node(
        "Conv",
        inputs if bias is None else [*inputs, bias],
        network.hint(output, FIRST),
        group=group,
        kernel_shape=list(kernel),
        dilations=dilations,
        **window,
    )
    network.define(output, value, FIRST, options["fused_activation_function"])


def _unpadded(network: Network, operator: Operator) -> tuple[int, list[int]]:
    """Return what a convolution reads and its pads; a PAD with zeros becomes such pads."""
    x, none = operator.inputs[0], [0, 0, 0, 0]
    producer = network.producers.get(x)
    if (
        producer is None
        or producer.kind != "PAD"
        or operator.options["padding"] == Padding.SAME
        or not network.are_alike(x, network.required(producer, 0))
    ):
        return x, none
    amounts = np.array(network.integers(producer, 1)).reshape(-1, 2)
    if amounts.shape != (4, 2) or amounts[[0, 3]].any() or (amounts < 0).any():
        return x, none
    return producer.inputs[0], [int(size) for size in amounts[1:3].T.reshape(-1)]


def transpose_conv(network: Network, operator: Operator) -> None:
    """TRANSPOSE_CONV (shape, weight, x, bias) -> ConvTranspose."""
    x, weight = (image(network, operator, position) for position in (2, 1))
    output = operator.outputs[0]
    _, height, width, _ = network.shape(weight)
    stored = network.weight(operator, 1, (3, 0, 1, 2))  # OHWI to IOHW
    options = operator.options
    strides = positive(network, operator, [options["stride_h"], options["stride_w"]])
    _, *out_size, _ = network.shape(image_output(network, operator))
    before, after = [], []
    for axis in range(2):
        # what the product of each input place writes, cut to the size of the output
        full = (network.shape(x)[1 + axis] - 1) * strides[axis] + (height, width)[axis]
        cut = max(full - out_size[axis], 0)
        before.append(cut // 2 if options["padding"] == Padding.SAME else 0)
        after.append(full - out_size[axis] - before[-1])
    inputs = [network.real(x, FIRST), stored]
    bias = network.bias(operator, 3, network.product_scale(x, weight))
    value = network.node(
        "ConvTranspose",
        inputs if bias is None else [*inputs, bias],
        network.hint(output, FIRST),
        kernel_shape=[height, width],
        strides=strides,
        pads=[*before, *(max(size, 0) for size in after)],
        output_padding=[max(-size, 0) for size in after],
    )
    network.define(output, value, FIRST, options["fused_activation_function"])


def pool(network: Network, operator: Operator) -> None:
    """AVERAGE_POOL_2D, MAX_POOL_2D -> AveragePool, MaxPool; padding is never counted."""
    options, output = operator.options, operator.outputs[0]
    x = image(network, operator, 0)
    kernel = positive(network, operator, [options["filter_height"], options["filter_width"]])
    attributes: dict[str, Any] = _window(network, operator, kernel)
    kind = "MaxPool"
    if operator.kind == "AVERAGE_POOL_2D":
        kind, attributes["count_include_pad"] = "AveragePool", 0
    value = network.node(
        kind,
        [network.real(x, FIRST)],
        network.hint(output, FIRST),
        kernel_shape=kernel,
        **attributes,
    )
    network.define(output, value, FIRST, options["fused_activation_function"])


def resize(network: Network, operator: Operator) -> None:
    """RESIZE_BILINEAR, RESIZE_NEAREST_NEIGHBOR -> Resize."""
    x, output = image(network, operator, 0), operator.outputs[0]
    size = network.integers(operator, 1)
    batch, _, _, channels = network.shape(x)
    is_half, is_aligned = (
        bool(operator.options[name]) for name in ("half_pixel_centers", "align_corners")
    )
    mode = "linear" if operator.kind == "RESIZE_BILINEAR" else "nearest"
    places = "half_pixel" if is_half else "align_corners" if is_aligned else "asymmetric"
    attributes = {"mode": mode, "coordinate_transformation_mode": places}
    if mode == "nearest":
        # LiteRT: round(x) with align_corners; floor(x + 0.5) of the half pixel's left edge
        attributes["nearest_mode"] = "round_prefer_ceil" if is_aligned or is_half else "floor"
    sizes = network.ints([batch, channels, *size], f"{network.names[output]}/sizes")
    inputs = [network.real(x, FIRST), "", "", sizes]
    value = network.node("Resize", inputs, network.hint(output, FIRST), **attributes)
    network.define(output, value, FIRST)


def image(network: Network, operator: Operator, position: int) -> int:
    """Return an operand that must have rank 4.

    Raises:
        ModelError: It has another rank, or is absent.
    """
    index = network.required(operator, position)
    return _ranked(network, operator, index)


def image_output(network: Network, operator: Operator) -> int:
    """Return the first output, which must have rank 4."""
    return _ranked(network, operator, operator.outputs[0])


def _ranked(network: Network, operator: Operator, index: int) -> int:
    shape = network.shape(index)
    if len(shape) != 4:
        raise ModelError(
            f"{network.where(operator)}: '{network.names[index]}' has shape {list(shape)}; "
            "rank 4 is needed"
        )
    return index


def positive(network: Network, operator: Operator, values: Sequence[int]) -> list[int]:
    """Return sizes, which must be above 0.

    Raises:
        ModelError: One is not.
    """
    if min(values) <= 0:
        raise ModelError(f"{network.where(operator)}: sizes {list(values)} must be above 0")
    return [int(value) for value in values]


def _window(network: Network, operator: Operator, extent: Sequence[int]) -> dict[str, Any]:
    """Strides and pads of a window over height and width, ``extent`` places large."""
    options = operator.options
    strides = positive(network, operator, [options["stride_h"], options["stride_w"]])
    pads = [0, 0, 0, 0]
    if options["padding"] == Padding.SAME:
        size = np.array(network.shape(operator.inputs[0])[1:3])
        # Source: TensorFlow, "Notes on padding": SAME puts the odd row at the end.
        total = np.maximum((-(-size // strides) - 1) * strides + extent - size, 0)
        pads = [int(value) for value in (*(total // 2), *(total - total // 2))]
    return {"strides": strides, "pads": pads}
