"""SqueezeNet 1.1.

Source: Iandola et al. 2016, "SqueezeNet", and its authors' version 1.1.
"""

import onnx

from benchmarks.zoo.builder import GraphBuilder

# (squeeze channels, channels of each expand branch); None is a max pool
FIRES = (
    None, (16, 64), (16, 64),
    None, (32, 128), (32, 128),
    None, (48, 192), (48, 192), (64, 256), (64, 256),
)  # fmt: skip


def build(*, input_size: int = 224, num_classes: int = 1000, seed: int = 0) -> onnx.ModelProto:
    """Build the float network; input (1, 3, input_size, input_size), logits out.

    Args:
        input_size: Height and width, at least 32.
        num_classes: Number of logits.
        seed: Seed of the weights.
    """
    g = GraphBuilder("squeezenet1_1", seed)
    x = g.input("image", (1, 3, input_size, input_size))
    x = g.node("Relu", g.conv(x, 64, 3, stride=2, pads=(0,) * 4, bias=True, label="conv1"))
    for index, fire in enumerate(FIRES):
        if fire is None:
            x = g.pool("MaxPool", x, 3, 2, ceil_mode=1)
            continue
        squeeze, expand = fire
        with g.scope(f"fire{index}"):
            x = g.node("Relu", g.conv(x, squeeze, 1, bias=True, label="squeeze"))
            small = g.node("Relu", g.conv(x, expand, 1, bias=True, label="expand1x1"))
            large = g.node("Relu", g.conv(x, expand, 3, bias=True, label="expand3x3"))
            x = g.node("Concat", small, large, axis=1)
    x = g.node("Relu", g.conv(x, num_classes, 1, bias=True, label="conv10"))
    return g.finish(logits=g.node("Flatten", g.node("GlobalAveragePool", x), axis=1))
