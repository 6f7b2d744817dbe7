"""Fit a random network to data, so that its activations behave like a trained network's.

The nodes run one after the other on a stack of samples. Each convolution is turned towards
the patches it sees, and each normalization gets the statistics of what reaches it, before the
nodes behind them run: everything is fitted to inputs that are themselves fitted.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from benchmarks.zoo.builder import IR_VERSION, OPSET

FloatArray = NDArray[np.float32]

# Trained filters answer to directions in which their inputs vary (patches alone make good
# filters: Coates and Ng 2012, "Learning Feature Representations with K-means"). Filters that
# do not would pass the rounding noise of INT8 as strongly as the signal, layer after layer.
ALIGNMENT = 0.4  # share of a filter's length that comes from patches
MIN_PLACES = 32
# Pairs of patches whose differences make one filter. Both are from one place in two images:
# the filter learns neither the mean nor where the padding begins, but what tells images apart.
NUM_PAIRS = 2


def fit(
    model: onnx.ModelProto,
    samples: Sequence[dict[str, FloatArray]],
    seed: int = 0,
    *,
    scale_convolutions: bool = False,
) -> None:
    """Fit convolutions and BatchNormalization statistics in place.

    Args:
        model: One float input whose first dimension is the batch.
        samples: One inference each, shapes (1, ...) as the model's input.
        seed: Seed of the patches.
        scale_convolutions: Give each output channel of each Conv its own mean and deviation by
            its weight and bias, as if a BatchNormalization had been folded into it; for
            networks that have none. Every Conv then has a bias.
    """
    rng = np.random.default_rng(seed)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    values: dict[str, NDArray[Any]] = {
        name: numpy_helper.to_array(tensor) for name, tensor in tensors.items()
    }
    source = model.graph.input[0].name
    values[source] = np.concatenate([sample[source] for sample in samples])
    readers = Counter(value for node in model.graph.node for value in node.input)

    def store(name: str, array: FloatArray) -> None:
        values[name] = array.astype(np.float32)
        tensors[name].CopyFrom(numpy_helper.from_array(values[name], name))

    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            x, _, _, mean_name, var_name = node.input
            axes = (0, *range(2, values[x].ndim))
            store(mean_name, values[x].mean(axis=axes))
            store(var_name, values[x].var(axis=axes))
        elif node.op_type == "Conv" and _is_on_a_map(node, values):
            weight = node.input[1]
            store(weight, _align(node, values[node.input[0]], values[weight], rng))
            (y,) = _run(node, values)
            if scale_convolutions:
                bias = node.input[2]
                mean, std = y.mean(axis=(0, 2, 3)), np.sqrt(y.var(axis=(0, 2, 3)) + 1e-5)
                factor = rng.uniform(0.5, 1.5, mean.size) / std
                shift = rng.normal(0, 0.3, mean.size)
                store(bias, shift + (values[bias] - mean) * factor)
                store(weight, values[weight] * factor[:, None, None, None])
            elif len(node.input) == 2:
                # Concatenated maps keep one scale, as nothing may normalize each of them.
                store(weight, values[weight] / y.std())
        values.update(zip(node.output, _run(node, values), strict=True))
        for value in node.input:
            readers[value] -= 1
            if readers[value] == 0:
                values.pop(value, None)


def _is_on_a_map(node: onnx.NodeProto, values: dict[str, NDArray[Any]]) -> bool:
    """Say whether the Conv sees enough places to learn from, not one squeezed vector."""
    samples, _, height, width = values[node.input[0]].shape
    return bool(samples * height * width >= MIN_PLACES and height * width > 1)


def _align(
    node: onnx.NodeProto, x: FloatArray, weight: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Turn each filter towards a difference of patches of its input, keeping its length."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    height, width = weight.shape[2:]
    top, left, bottom, right = attributes["pads"]
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    num_rows, num_columns = padded.shape[2] - height + 1, padded.shape[3] - width + 1
    count = len(weight), 1, 1, 1
    group = np.arange(len(weight)) // (len(weight) // attributes["group"])
    channel = group[:, None] * weight.shape[1] + np.arange(weight.shape[1])
    row_offset, column_offset = np.arange(height)[:, None], np.arange(width)
    direction = np.zeros_like(weight)
    for _ in range(NUM_PAIRS):
        row = rng.integers(num_rows, size=count) + row_offset
        column = rng.integers(num_columns, size=count) + column_offset
        for sign in (1, -1):
            sample = rng.integers(x.shape[0], size=count)
            direction += sign * padded[sample, channel[:, :, None, None], row, column]
    lengths = np.sqrt(np.square(weight).sum(axis=(1, 2, 3), keepdims=True))
    size = np.sqrt(np.square(direction).sum(axis=(1, 2, 3), keepdims=True))
    unit = np.divide(direction, size, out=np.zeros_like(direction), where=size > 0)
    mixed = ALIGNMENT * unit + np.sqrt(1 - ALIGNMENT**2) * weight / lengths
    mixed /= np.sqrt(np.square(mixed).sum(axis=(1, 2, 3), keepdims=True))
    return np.asarray(mixed * lengths, np.float32)


def _run(node: onnx.NodeProto, values: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Run one node on the values it reads and return its outputs."""
    names = list(dict.fromkeys(value for value in node.input if value))
    infos = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(values[name].dtype), values[name].shape
        )
        for name in names
    ]
    outputs = [helper.make_empty_tensor_value_info(value) for value in node.output]
    graph = helper.make_graph([node], "node", infos, outputs)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    return list(session.run(None, {name: values[name] for name in names}))
