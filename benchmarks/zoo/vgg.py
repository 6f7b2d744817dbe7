"""VGG-16 without BatchNormalization.

Source: Simonyan and Zisserman 2014, "Very Deep Convolutional Networks", table 1, column D.
"""

import math

import onnx

from benchmarks.zoo.builder import GraphBuilder

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # (channels, convolutions)
HE_GAIN = math.sqrt(2)  # keeps the second moment through a ReLU


def build(*, input_size: int = 224, num_classes: int = 1000, seed: int = 0) -> onnx.ModelProto:
    """Build the float network; input (1, 3, input_size, input_size), logits out.

    Args:
        input_size: Height and width, a multiple of 32; the first fully connected layer has
            512 * (input_size / 32)^2 inputs.
        num_classes: Number of logits.
        seed: Seed of the weights.
    """
    g = GraphBuilder("vgg16", seed)
    x = g.input("image", (1, 3, input_size, input_size))
    for stage, (channels, repeats) in enumerate(STAGES):
        for repeat in range(repeats):
            label = f"conv{stage + 1}_{repeat + 1}"
            x = g.node("Relu", g.conv(x, channels, 3, bias=True, label=label))
        x = g.pool("MaxPool", x, 2, 2)
    x = g.node("Flatten", x, axis=1)
    for label in ("fc6", "fc7"):
        x = g.node("Relu", g.linear(x, 4096, gain=HE_GAIN, label=label))
    return g.finish(logits=g.linear(x, num_classes, gain=2.0, label="fc8"))
