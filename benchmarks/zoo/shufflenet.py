"""ShuffleNet: version 2 (x1.0) and version 1 (x1.0, three groups).

Sources: Ma et al. 2018, "ShuffleNet V2", table 5; Zhang et al. 2017, "ShuffleNet", table 1.
"""

import numpy as np
import onnx

from benchmarks.zoo.builder import RESIDUAL_GAIN, GraphBuilder

REPEATS = (4, 8, 4)
V2_CHANNELS = (116, 232, 464)
V1_CHANNELS = (240, 480, 960)  # of three groups
V1_GROUPS = 3


def build(
    *, version: int = 2, input_size: int = 224, num_classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """Build the float network; input (1, 3, input_size, input_size), logits out.

    Args:
        version: 1 (grouped 1x1 convolutions) or 2 (channel split).
        input_size: Height and width, a multiple of 32.
        num_classes: Number of logits.
        seed: Seed of the weights.
    """
    g = GraphBuilder(f"shufflenet_v{version}", seed)
    x = g.input("image", (1, 3, input_size, input_size))
    with g.scope("stem"):
        x = g.pool("MaxPool", _conv_relu(g, x, 24, 3, stride=2), 3, 2, 1)
    unit, widths = (_unit_v2, V2_CHANNELS) if version == 2 else (_unit_v1, V1_CHANNELS)
    for stage, (channels, repeats) in enumerate(zip(widths, REPEATS, strict=True)):
        for repeat in range(repeats):
            with g.scope(f"stage{stage + 2}.{repeat}"):
                x = unit(g, x, channels, 2 if repeat == 0 else 1)
    if version == 2:
        with g.scope("head"):
            x = _conv_relu(g, x, 1024, 1)
    return g.finish(logits=g.classifier(x, num_classes))


def _conv_relu(g: GraphBuilder, x: str, channels: int, kernel: int, stride: int = 1) -> str:
    return g.node("Relu", g.batch_norm(g.conv(x, channels, kernel, stride=stride)))


def _depthwise(g: GraphBuilder, x: str, stride: int) -> str:
    channels = g.shape(x)[1]
    y = g.conv(x, channels, 3, stride=stride, groups=channels, label="depthwise")
    return g.batch_norm(y)


def _shuffle(g: GraphBuilder, x: str, groups: int) -> str:
    _, channels, height, width = g.shape(x)
    y = g.reshape(x, (-1, groups, channels // groups, height, width))
    y = g.node("Transpose", y, perm=[0, 2, 1, 3, 4])
    return g.reshape(y, (-1, channels, height, width))


def _unit_v2(g: GraphBuilder, x: str, channels: int, stride: int) -> str:
    half = channels // 2
    if stride == 1:
        sizes = g.constant(np.array([half, half], np.int64), "split")
        left, right = g.nodes("Split", (x, sizes), 2, axis=1)
    else:
        left, right = _conv_relu(g, _depthwise(g, x, stride), half, 1), x
    right = _depthwise(g, _conv_relu(g, right, half, 1), stride)
    right = _conv_relu(g, right, half, 1)
    return _shuffle(g, g.node("Concat", left, right, axis=1), 2)


def _unit_v1(g: GraphBuilder, x: str, channels: int, stride: int) -> str:
    in_channels = g.shape(x)[1]
    # The first unit sees only 24 channels: its first convolution is not grouped.
    groups = 1 if in_channels == 24 else V1_GROUPS
    y = g.node("Relu", g.batch_norm(g.conv(x, channels // 4, 1, groups=groups, label="conv1")))
    y = _depthwise(g, _shuffle(g, y, V1_GROUPS), stride)
    added = channels - in_channels if stride == 2 else channels
    gain = RESIDUAL_GAIN if stride == 1 else 1.0
    y = g.batch_norm(g.conv(y, added, 1, groups=V1_GROUPS, label="conv2"), gain=gain)
    if stride == 1:
        return g.node("Relu", g.node("Add", x, y))
    pooled = g.pool("AveragePool", x, 3, 2, 1, count_include_pad=1)
    return g.node("Concat", pooled, g.node("Relu", y), axis=1)
