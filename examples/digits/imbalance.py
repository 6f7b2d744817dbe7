"""Unbalance a network's channels without changing what it computes.

Every fourth output channel of a Conv is multiplied by a factor, and the Conv that reads it
divides by the same factor. ReLU commutes with a positive factor, so the function stays; with a
power of two not even a rounding changes. Quantization with one scale for all channels suffers,
which is what cross-layer equalization has to repair.

python examples/digits/imbalance.py digits.onnx out.onnx --factor 128
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

PERIOD = 4  # one channel in four


def unbalance(model: onnx.ModelProto, factor: float) -> onnx.ModelProto:
    """Return a copy with every fourth channel of each Conv-ReLU-Conv chain scaled.

    Where a BatchNormalization stands behind the first Conv, its scale and bias take the
    factor: folding it then multiplies the convolution's weights and bias.

    Args:
        model: Float network, weights in initializers.
        factor: Positive; 128 breaks INT8 with one scale for each activation tensor.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    tensors = {tensor.name: tensor for tensor in result.graph.initializer}
    for index, (producers, consumer) in enumerate(_chains(result)):
        weight = tensors[consumer]
        is_depthwise = weight.dims[1] == 1
        channels = weight.dims[0] if is_depthwise else weight.dims[1]
        # Neighbouring chains scale different channels, so that no tensor is scaled back.
        scaled = np.arange(channels) % PERIOD == index % PERIOD
        factors = np.where(scaled, factor, 1.0).astype(np.float32)
        for name in producers:
            _multiply(tensors[name], factors, axis=0)
        _multiply(weight, 1 / factors, axis=0 if is_depthwise else 1)
    return result


def _chains(model: onnx.ModelProto) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the parameters that scale a chain's channels, and the weight that reads them."""
    outputs = {value.name for value in model.graph.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for value in node.input:
            readers.setdefault(value, []).append(node)
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        producers, last = tuple(node.input[1:3]), node
        while (follower := _only_reader(last, readers, outputs)) is not None:
            if follower.op_type == "BatchNormalization":
                producers = tuple(follower.input[1:3])
            elif follower.op_type == "Conv":
                yield producers, follower.input[1]
                break
            elif follower.op_type != "Relu":
                break
            last = follower


def _only_reader(
    node: onnx.NodeProto, readers: dict[str, list[onnx.NodeProto]], outputs: set[str]
) -> onnx.NodeProto | None:
    """Return the one node that reads ``node``, or None when there are several or none."""
    value = node.output[0]
    found = readers.get(value, [])
    return found[0] if len(found) == 1 and value not in outputs else None


def _multiply(tensor: onnx.TensorProto, factors: NDArray[np.float32], axis: int) -> None:
    array = numpy_helper.to_array(tensor)
    shape = [1] * array.ndim
    shape[axis] = -1
    scaled = numpy_helper.from_array(array * factors.reshape(shape), tensor.name)
    tensor.CopyFrom(scaled)


def main() -> None:
    """Read the command line and write the unbalanced model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--factor", type=float, default=128.0)
    arguments = parser.parse_args()
    onnx.save(unbalance(onnx.load(arguments.model), arguments.factor), arguments.output)


if __name__ == "__main__":
    main()
