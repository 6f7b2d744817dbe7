"""DS-CNN for keyword spotting: depthwise-separable convolutions over 49 frames of 10 MFCCs.

Source: Zhang et al. 2017, "Hello Edge: Keyword Spotting on Microcontrollers", DS-CNN small.
"""

import onnx

from benchmarks.zoo.builder import GraphBuilder

NUM_FRAMES, NUM_COEFFICIENTS = 49, 10
CHANNELS = 64
NUM_BLOCKS = 4
STEM_PADS = (4, 1, 5, 1)  # "same" for 49x10, kernel 10x4, stride 2: 25x5 out


def build(*, num_classes: int = 12, seed: int = 0) -> onnx.ModelProto:
    """Build the float network; input (1, 1, 49, 10), logits out.

    Args:
        num_classes: Number of logits.
        seed: Seed of the weights.
    """
    g = GraphBuilder("ds_cnn", seed)
    x = g.input("mfcc", (1, 1, NUM_FRAMES, NUM_COEFFICIENTS))
    with g.scope("stem"):
        x = g.conv(x, CHANNELS, (10, 4), stride=2, pads=STEM_PADS)
        x = g.node("Relu", g.batch_norm(x))
    for block in range(NUM_BLOCKS):
        with g.scope(f"block{block}"):
            x = g.conv(x, CHANNELS, 3, groups=CHANNELS, label="depthwise")
            x = g.node("Relu", g.batch_norm(x))
            x = g.node("Relu", g.batch_norm(g.conv(x, CHANNELS, 1, label="pointwise")))
    return g.finish(logits=g.classifier(x, num_classes))
