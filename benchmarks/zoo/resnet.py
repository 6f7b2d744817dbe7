"""ResNet-18, -34, -50 and -101 (v1.5: the stride sits in the 3x3 convolution).

Source: He et al. 2015, "Deep Residual Learning for Image Recognition", table 1.
"""

import onnx

from benchmarks.zoo.builder import RESIDUAL_GAIN, GraphBuilder

REPEATS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
BASIC_DEPTHS = (18, 34)  # two 3x3 convolutions in a block; deeper ones have bottlenecks
WIDTHS = (64, 128, 256, 512)
BOTTLENECK_EXPANSION = 4


def build(
    *, depth: int = 50, input_size: int = 224, num_classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """Build the float network; input (1, 3, input_size, input_size), logits out.

    Args:
        depth: 18, 34, 50 or 101.
        input_size: Height and width, a multiple of 32.
        num_classes: Number of logits.
        seed: Seed of the weights.
    """
    block = _basic if depth in BASIC_DEPTHS else _bottleneck
    g = GraphBuilder(f"resnet{depth}", seed)
    x = g.input("image", (1, 3, input_size, input_size))
    with g.scope("stem"):
        x = g.node("Relu", g.batch_norm(g.conv(x, 64, 7, stride=2)))
        x = g.pool("MaxPool", x, 3, 2, 1)
    for stage, (width, repeats) in enumerate(zip(WIDTHS, REPEATS[depth], strict=True)):
        for repeat in range(repeats):
            stride = 2 if stage > 0 and repeat == 0 else 1
            with g.scope(f"layer{stage + 1}.{repeat}"):
                x = block(g, x, width, stride)
    return g.finish(logits=g.classifier(x, num_classes))


def _basic(g: GraphBuilder, x: str, width: int, stride: int) -> str:
    y = g.node("Relu", g.batch_norm(g.conv(x, width, 3, stride=stride, label="conv1")))
    y = g.batch_norm(g.conv(y, width, 3, label="conv2"), gain=RESIDUAL_GAIN)
    return g.node("Relu", g.node("Add", y, _shortcut(g, x, width, stride)))


def _bottleneck(g: GraphBuilder, x: str, width: int, stride: int) -> str:
    channels = width * BOTTLENECK_EXPANSION
    y = g.node("Relu", g.batch_norm(g.conv(x, width, 1, label="conv1")))
    y = g.node("Relu", g.batch_norm(g.conv(y, width, 3, stride=stride, label="conv2")))
    y = g.batch_norm(g.conv(y, channels, 1, label="conv3"), gain=RESIDUAL_GAIN)
    return g.node("Relu", g.node("Add", y, _shortcut(g, x, channels, stride)))


def _shortcut(g: GraphBuilder, x: str, channels: int, stride: int) -> str:
    if stride == 1 and g.shape(x)[1] == channels:
        return x
    return g.batch_norm(g.conv(x, channels, 1, stride=stride, label="downsample"))
