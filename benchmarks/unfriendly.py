"""A network that 8 bits do not suit: layers of 1, 3 and 17 channels between wide ones."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 64  # height and width of the image
WIDTHS = (3, 64, 1, 64, 3, 64, 17, 64, 17, 1, 64)
KERNEL = 3
NUM_SAMPLES = 16
SEED = 0


def network() -> onnx.ModelProto:
    """3x3 convolutions with Relu, (1, 3, 64, 64) to (1, 64, 64, 64); random weights."""
    rng = np.random.default_rng(SEED)
    nodes, initializers, source = [], [], "image"
    for index, (inputs, outputs) in enumerate(pairwise(WIDTHS)):
        spread = np.sqrt(2 / (inputs * KERNEL**2))  # keeps the variance through Relu
        weight = rng.normal(0, spread, (outputs, inputs, KERNEL, KERNEL))
        bias = rng.normal(0, 0.1, outputs)
        for name, array in ((f"w{index}", weight), (f"b{index}", bias)):
            initializers.append(numpy_helper.from_array(array.astype(np.float32), name))
        layer = f"conv{index}_{inputs}_{outputs}"
        nodes.append(
            helper.make_node(
                "Conv", [source, f"w{index}", f"b{index}"], [f"c{index}"], layer,
                kernel_shape=[KERNEL] * 2, pads=[KERNEL // 2] * 4,
            )
        )  # fmt: skip
        source = f"r{index}"
        nodes.append(helper.make_node("Relu", [f"c{index}"], [source], f"relu{index}"))
    graph = helper.make_graph(
        nodes,
        "unfriendly",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info(
                source, TensorProto.FLOAT, [1, WIDTHS[-1], SIZE, SIZE]
            )
        ],
        initializers,
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )


def write_network(folder: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """Write the model into a folder.

    Returns:
        The file, and samples: by input, (samples, channels, height, width).
    """
    path = folder / "unfriendly.onnx"
    onnx.save(network(), path)
    shape = (NUM_SAMPLES, 3, SIZE, SIZE)
    images = np.random.default_rng(SEED + 1).normal(size=shape).astype(np.float32)
    return path, {"image": images}
