"""MobileNetV3-Large: hard-swish and squeeze-and-excitation.

Source: Howard et al. 2019, "Searching for MobileNetV3", table 1.
"""

import onnx

from benchmarks.zoo.builder import RESIDUAL_GAIN, GraphBuilder

# (kernel, expanded channels, channels, squeeze-and-excitation, activation, stride)
BLOCKS = (
    (3, 16, 16, False, "Relu", 1),
    (3, 64, 24, False, "Relu", 2),
    (3, 72, 24, False, "Relu", 1),
    (5, 72, 40, True, "Relu", 2),
    (5, 120, 40, True, "Relu", 1),
    (5, 120, 40, True, "Relu", 1),
    (3, 240, 80, False, "HardSwish", 2),
    (3, 200, 80, False, "HardSwish", 1),
    (3, 184, 80, False, "HardSwish", 1),
    (3, 184, 80, False, "HardSwish", 1),
    (3, 480, 112, True, "HardSwish", 1),
    (3, 672, 112, True, "HardSwish", 1),
    (5, 672, 160, True, "HardSwish", 2),
    (5, 960, 160, True, "HardSwish", 1),
    (5, 960, 160, True, "HardSwish", 1),
)
EPSILON = 0.001
SQUEEZE_FACTOR = 4


def build(*, input_size: int = 224, num_classes: int = 1000, seed: int = 0) -> onnx.ModelProto:
    """Build the float network; input (1, 3, input_size, input_size), logits out.

    Args:
        input_size: Height and width, a multiple of 32.
        num_classes: Number of logits.
        seed: Seed of the weights.
    """
    g = GraphBuilder("mobilenet_v3_large", seed)
    x = g.input("image", (1, 3, input_size, input_size))
    with g.scope("stem"):
        x = g.node("HardSwish", g.batch_norm(g.conv(x, 16, 3, stride=2), epsilon=EPSILON))
    for index, block in enumerate(BLOCKS):
        with g.scope(f"block{index}"):
            x = _block(g, x, *block)
    with g.scope("head"):
        x = g.node("HardSwish", g.batch_norm(g.conv(x, 960, 1), epsilon=EPSILON))
        x = g.node("Flatten", g.node("GlobalAveragePool", x), axis=1)
        x = g.node("HardSwish", g.linear(x, 1280, gain=2.0, label="fc1"))
        return g.finish(logits=g.linear(x, num_classes, gain=2.0, label="fc2"))


def _block(
    g: GraphBuilder,
    x: str,
    kernel: int,
    hidden: int,
    channels: int,
    excite: bool,
    activation: str,
    stride: int,
) -> str:
    entry, in_channels = x, g.shape(x)[1]
    if hidden != in_channels:
        x = g.batch_norm(g.conv(x, hidden, 1, label="expand"), epsilon=EPSILON)
        x = g.node(activation, x)
    x = g.conv(x, hidden, kernel, stride=stride, groups=hidden, label="depthwise")
    x = g.node(activation, g.batch_norm(x, epsilon=EPSILON))
    if excite:
        with g.scope("se"):
            x = _squeeze_excite(g, x)
    is_residual = stride == 1 and in_channels == channels
    gain = RESIDUAL_GAIN if is_residual else 1.0
    x = g.batch_norm(g.conv(x, channels, 1, label="project"), gain=gain, epsilon=EPSILON)
    return g.node("Add", x, entry) if is_residual else x


def _squeeze_excite(g: GraphBuilder, x: str) -> str:
    channels = g.shape(x)[1]
    y = g.node("GlobalAveragePool", x)
    y = g.node(
        "Relu", g.conv(y, _round8(channels / SQUEEZE_FACTOR), 1, bias=True, label="fc1")
    )
    y = g.conv(y, channels, 1, bias=True, label="fc2")
    return g.node("Mul", x, g.node("HardSigmoid", y, alpha=1 / 6, beta=0.5))


def _round8(channels: float) -> int:
    """Round to a multiple of 8, at most 10% down (the rule of the MobileNet papers)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
