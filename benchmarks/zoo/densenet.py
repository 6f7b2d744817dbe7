"""DenseNet-121: BatchNormalization comes before the convolution.

Source: Huang et al. 2016, "Densely Connected Convolutional Networks", table 1.
"""

import onnx

from benchmarks.zoo.builder import GraphBuilder

BLOCKS = (6, 12, 24, 16)
GROWTH = 32
BOTTLENECK = 4 * GROWTH


def build(*, input_size: int = 224, num_classes: int = 1000, seed: int = 0) -> onnx.ModelProto:
    """Build the float network; input (1, 3, input_size, input_size), logits out.

    Args:
        input_size: Height and width, a multiple of 32.
        num_classes: Number of logits.
        seed: Seed of the weights.
    """
    g = GraphBuilder("densenet121", seed)
    x = g.input("image", (1, 3, input_size, input_size))
    with g.scope("stem"):
        x = g.node("Relu", g.batch_norm(g.conv(x, 2 * GROWTH, 7, stride=2)))
        x = g.pool("MaxPool", x, 3, 2, 1)
    for block, num_layers in enumerate(BLOCKS):
        for layer in range(num_layers):
            with g.scope(f"block{block + 1}.{layer}"):
                y = g.conv(_norm_relu(g, x), BOTTLENECK, 1, label="conv1")
                y = g.conv(_norm_relu(g, y), GROWTH, 3, label="conv2")
                x = g.node("Concat", x, y, axis=1)
        if block < len(BLOCKS) - 1:
            with g.scope(f"transition{block + 1}"):
                x = g.conv(_norm_relu(g, x), g.shape(x)[1] // 2, 1)
                x = g.pool("AveragePool", x, 2, 2)
    return g.finish(logits=g.classifier(_norm_relu(g, x), num_classes))


def _norm_relu(g: GraphBuilder, x: str) -> str:
    return g.node("Relu", g.batch_norm(x))
