"""A small U-Net for segmentation: four scales, skip connections by concatenation.

Source: Ronneberger et al. 2015, "U-Net", figure 1, with a quarter of the channels and same
padding.
"""

import math

import numpy as np
import onnx

from benchmarks.zoo.builder import GraphBuilder

BASE_CHANNELS = 16
NUM_SCALES = 4


def build(
    *,
    input_size: int = 128,
    num_classes: int = 4,
    upsampling: str = "transpose",
    seed: int = 0,
) -> onnx.ModelProto:
    """Build the float network; input (1, 3, input_size, input_size), per-pixel logits out.

    Args:
        input_size: Height and width, a multiple of 16.
        num_classes: Channels of the output.
        upsampling: "transpose" (ConvTranspose 2x2) or "resize" (nearest, then a 1x1 Conv).
        seed: Seed of the weights.
    """
    g = GraphBuilder("unet", seed)
    x = g.input("image", (1, 3, input_size, input_size))
    skips = []
    for scale in range(NUM_SCALES):
        with g.scope(f"down{scale}"):
            x = _double_conv(g, x, BASE_CHANNELS << scale)
            skips.append(x)
            x = g.pool("MaxPool", x, 2, 2)
    with g.scope("bottom"):
        x = _double_conv(g, x, BASE_CHANNELS << NUM_SCALES)
    for scale in reversed(range(NUM_SCALES)):
        with g.scope(f"up{scale}"):
            x = (_transpose if upsampling == "transpose" else _resize)(g, x)
            x = g.node("Concat", skips[scale], x, axis=1)
            x = _double_conv(g, x, BASE_CHANNELS << scale)
    return g.finish(logits=g.conv(x, num_classes, 1, bias=True, label="head"))


def _double_conv(g: GraphBuilder, x: str, channels: int) -> str:
    for label in ("conv1", "conv2"):
        x = g.node("Relu", g.batch_norm(g.conv(x, channels, 3, label=label)))
    return x


def _transpose(g: GraphBuilder, x: str) -> str:
    channels = g.shape(x)[1]
    # Kernel 2 with stride 2 does not overlap: each output sums over the input channels once.
    weight = g.normal((channels, channels // 2, 2, 2), math.sqrt(2 / channels))
    bias = g.normal((channels // 2,), 0.05)
    parameters = g.constant(weight, "up.weight"), g.constant(bias, "up.bias")
    return g.node(
        "ConvTranspose", x, *parameters, kernel_shape=[2, 2], strides=[2, 2], label="up"
    )


def _resize(g: GraphBuilder, x: str) -> str:
    scales = g.constant(np.array([1, 1, 2, 2], np.float32), "scales")
    y = g.node(
        "Resize",
        x,
        "",
        scales,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return g.conv(y, g.shape(x)[1] // 2, 1, bias=True, label="up")
