"""Inception v3 without the auxiliary classifier.

Source: Szegedy et al. 2015, "Rethinking the Inception Architecture", in the widely used
variant whose first modules have 5x5 branches and end with 2048 channels.
"""

import onnx

from benchmarks.zoo.builder import GraphBuilder

NO_PADDING = (0, 0, 0, 0)


def build(*, input_size: int = 299, num_classes: int = 1000, seed: int = 0) -> onnx.ModelProto:
    """Build the float network; input (1, 3, input_size, input_size), logits out.

    Args:
        input_size: Height and width, at least 75.
        num_classes: Number of logits.
        seed: Seed of the weights.
    """
    g = GraphBuilder("inception_v3", seed)
    x = g.input("image", (1, 3, input_size, input_size))
    with g.scope("stem"):
        x = _conv(g, x, 32, 3, stride=2, pads=NO_PADDING)
        x = _conv(g, x, 32, 3, pads=NO_PADDING)
        x = g.pool("MaxPool", _conv(g, x, 64, 3), 3, 2)
        x = _conv(g, _conv(g, x, 80, 1), 192, 3, pads=NO_PADDING)
        x = g.pool("MaxPool", x, 3, 2)
    for index, pool_channels in enumerate((32, 64, 64)):
        with g.scope(f"a{index}"):
            x = _module_a(g, x, pool_channels)
    with g.scope("reduce_a"):
        x = _reduction_a(g, x)
    for index, hidden in enumerate((128, 160, 160, 192)):
        with g.scope(f"b{index}"):
            x = _module_b(g, x, hidden)
    with g.scope("reduce_b"):
        x = _reduction_b(g, x)
    for index in range(2):
        with g.scope(f"c{index}"):
            x = _module_c(g, x)
    return g.finish(logits=g.classifier(x, num_classes))


def _conv(
    g: GraphBuilder,
    x: str,
    channels: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    pads: tuple[int, ...] | None = None,
) -> str:
    y = g.conv(x, channels, kernel, stride=stride, pads=pads)
    return g.node("Relu", g.batch_norm(y, epsilon=0.001))


def _pool_branch(g: GraphBuilder, x: str, channels: int) -> str:
    pooled = g.pool("AveragePool", x, 3, 1, 1, count_include_pad=1)
    return _conv(g, pooled, channels, 1)


def _module_a(g: GraphBuilder, x: str, pool_channels: int) -> str:
    one = _conv(g, x, 64, 1)
    five = _conv(g, _conv(g, x, 48, 1), 64, 5)
    double = _conv(g, _conv(g, _conv(g, x, 64, 1), 96, 3), 96, 3)
    return g.node("Concat", one, five, double, _pool_branch(g, x, pool_channels), axis=1)


def _reduction_a(g: GraphBuilder, x: str) -> str:
    three = _conv(g, x, 384, 3, stride=2, pads=NO_PADDING)
    double = _conv(g, _conv(g, x, 64, 1), 96, 3)
    double = _conv(g, double, 96, 3, stride=2, pads=NO_PADDING)
    return g.node("Concat", three, double, g.pool("MaxPool", x, 3, 2), axis=1)


def _module_b(g: GraphBuilder, x: str, hidden: int) -> str:
    one = _conv(g, x, 192, 1)
    seven = _conv(g, _conv(g, x, hidden, 1), hidden, (1, 7))
    seven = _conv(g, seven, 192, (7, 1))
    double = _conv(g, _conv(g, x, hidden, 1), hidden, (7, 1))
    double = _conv(g, _conv(g, double, hidden, (1, 7)), hidden, (7, 1))
    double = _conv(g, double, 192, (1, 7))
    return g.node("Concat", one, seven, double, _pool_branch(g, x, 192), axis=1)


def _reduction_b(g: GraphBuilder, x: str) -> str:
    three = _conv(g, _conv(g, x, 192, 1), 320, 3, stride=2, pads=NO_PADDING)
    seven = _conv(g, _conv(g, x, 192, 1), 192, (1, 7))
    seven = _conv(g, _conv(g, seven, 192, (7, 1)), 192, 3, stride=2, pads=NO_PADDING)
    return g.node("Concat", three, seven, g.pool("MaxPool", x, 3, 2), axis=1)


def _module_c(g: GraphBuilder, x: str) -> str:
    one = _conv(g, x, 320, 1)
    three = _split_3x3(g, _conv(g, x, 384, 1))
    double = _split_3x3(g, _conv(g, _conv(g, x, 448, 1), 384, 3))
    return g.node("Concat", one, three, double, _pool_branch(g, x, 192), axis=1)


def _split_3x3(g: GraphBuilder, x: str) -> str:
    return g.node("Concat", _conv(g, x, 384, (1, 3)), _conv(g, x, 384, (3, 1)), axis=1)
