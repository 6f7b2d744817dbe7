"""A network that 8 bits do not suit: layers of 1, 3 and 17 channels between wide ones."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIZE = 64  # height and width of the image
# Output channels, height and width of the kernel, groups.
LAYERS = (
    (64, 3, 1), (1, 1, 1), (1, 3, 1), (1, 7, 1), (3, 1, 1), (3, 3, 3), (3, 3, 1), (17, 1, 1),
    (17, 3, 17), (17, 1, 1), (17, 5, 17), (64, 1, 1), (1, 3, 1), (64, 3, 1), (64, 3, 64),
    (17, 1, 1), (1, 1, 1),
)  # fmt: skip
INPUT_CHANNELS = 3
NUM_SAMPLES = 16
SEED = 0


def network() -> onnx.ModelProto:
    """Convolutions with Relu, (1, 3, 64, 64) to (1, 1, 64, 64); random weights."""
    rng = np.random.default_rng(SEED)
    nodes, initializers, source = [], [], "image"
    widths = (INPUT_CHANNELS, *(outputs for outputs, _, _ in LAYERS))
    for index, ((inputs, outputs), layer) in enumerate(
        zip(pairwise(widths), LAYERS, strict=True)
    ):
        _, kernel, groups = layer
        fan_in = inputs // groups * kernel**2
        weight = rng.normal(
            0, np.sqrt(2 / fan_in), (outputs, inputs // groups, kernel, kernel)
        )  # keeps the variance through Relu
        bias = rng.normal(0, 0.1, outputs)
        for name, array in ((f"w{index}", weight), (f"b{index}", bias)):
            initializers.append(numpy_helper.from_array(array.astype(np.float32), name))
        nodes.append(
            helper.make_node(
                "Conv", [source, f"w{index}", f"b{index}"], [f"c{index}"],
                f"conv{index}_{inputs}_{outputs}",
                kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4, group=groups,
            )
        )  # fmt: skip
        source = f"r{index}"
        nodes.append(helper.make_node("Relu", [f"c{index}"], [source], f"relu{index}"))

    def image(name: str, channels: int) -> onnx.ValueInfoProto:
        shape = [1, channels, SIZE, SIZE]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes, "unfriendly", [image("image", INPUT_CHANNELS)], [image(source, widths[-1])],
        initializers,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def write_network(folder: Path) -> tuple[Path, dict[str, NDArray[np.float32]]]:
    """Write the model into a folder.

    Returns:
        The file, and samples: by input, (samples, channels, height, width).
    """
    path = folder / "unfriendly.onnx"
    onnx.save(network(), path)
    shape = (NUM_SAMPLES, INPUT_CHANNELS, SIZE, SIZE)
    images = np.random.default_rng(SEED + 1).normal(size=shape).astype(np.float32)
    return path, {"image": images}
