"""MobileNetV2, width 1.0.

Source: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2.
"""

import onnx

from benchmarks.zoo.builder import RESIDUAL_GAIN, GraphBuilder

# (expansion, channels, repeats, stride of the first)
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def build(*, input_size: int = 224, num_classes: int = 1000, seed: int = 0) -> onnx.ModelProto:
    """Build the float network; input (1, 3, input_size, input_size), logits out.

    Args:
        input_size: Height and width, a multiple of 32.
        num_classes: Number of logits.
        seed: Seed of the weights.
    """
    g = GraphBuilder("mobilenet_v2", seed)
    x = g.input("image", (1, 3, input_size, input_size))
    with g.scope("stem"):
        x = g.relu6(g.batch_norm(g.conv(x, 32, 3, stride=2)))
    index = 0
    for expansion, channels, repeats, first_stride in STAGES:
        for repeat in range(repeats):
            with g.scope(f"block{index}"):
                stride = first_stride if repeat == 0 else 1
                x = _inverted_residual(g, x, channels, stride, expansion)
            index += 1
    with g.scope("head"):
        x = g.relu6(g.batch_norm(g.conv(x, 1280, 1)))
        return g.finish(logits=g.classifier(x, num_classes))


def _inverted_residual(
    g: GraphBuilder, x: str, channels: int, stride: int, expansion: int
) -> str:
    entry, in_channels = x, g.shape(x)[1]
    hidden = in_channels * expansion
    if expansion != 1:
        x = g.relu6(g.batch_norm(g.conv(x, hidden, 1, label="expand")))
    x = g.conv(x, hidden, 3, stride=stride, groups=hidden, label="depthwise")
    x = g.relu6(g.batch_norm(x))
    is_residual = stride == 1 and in_channels == channels
    gain = RESIDUAL_GAIN if is_residual else 1.0
    x = g.batch_norm(
        g.conv(x, channels, 1, label="project"), gain=gain
    )  # linear: no activation
    return g.node("Add", entry, x) if is_residual else x
