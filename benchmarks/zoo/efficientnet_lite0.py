"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, ReLU6 for swish.

Source: Tan and Le 2019, "EfficientNet", table 1; the Lite changes as released by its authors
(no SE, ReLU6, stem and head not scaled).
"""

import onnx

from benchmarks.zoo.builder import RESIDUAL_GAIN, GraphBuilder

# (expansion, kernel, stride of the first, channels, repeats)
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def build(*, input_size: int = 224, num_classes: int = 1000, seed: int = 0) -> onnx.ModelProto:
    """Build the float network; input (1, 3, input_size, input_size), logits out.

    Args:
        input_size: Height and width, a multiple of 32.
        num_classes: Number of logits.
        seed: Seed of the weights.
    """
    g = GraphBuilder("efficientnet_lite0", seed)
    x = g.input("image", (1, 3, input_size, input_size))
    with g.scope("stem"):
        x = g.relu6(g.batch_norm(g.conv(x, 32, 3, stride=2)))
    for stage, (expansion, kernel, first_stride, channels, repeats) in enumerate(STAGES):
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            with g.scope(f"blocks.{stage}.{repeat}"):
                x = _block(g, x, expansion, kernel, stride, channels)
    with g.scope("head"):
        x = g.relu6(g.batch_norm(g.conv(x, 1280, 1)))
        return g.finish(logits=g.classifier(x, num_classes))


def _block(
    g: GraphBuilder, x: str, expansion: int, kernel: int, stride: int, channels: int
) -> str:
    entry, in_channels = x, g.shape(x)[1]
    hidden = in_channels * expansion
    if expansion != 1:
        x = g.relu6(g.batch_norm(g.conv(x, hidden, 1, label="expand")))
    x = g.conv(x, hidden, kernel, stride=stride, groups=hidden, label="depthwise")
    x = g.relu6(g.batch_norm(x))
    is_residual = stride == 1 and in_channels == channels
    gain = RESIDUAL_GAIN if is_residual else 1.0
    x = g.batch_norm(g.conv(x, channels, 1, label="project"), gain=gain)
    return g.node("Add", entry, x) if is_residual else x
