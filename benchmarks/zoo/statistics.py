"""Fit normalization statistics to data, so that random networks have trained-like activations.

Every BatchNormalization is replaced in a twin of the model by the normalization with the
statistics of its own batch; one run on a stack of samples then gives all of them, each
measured on inputs that the layers before it have already normalized.
"""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from benchmarks.zoo.builder import IR_VERSION, OPSET

FloatArray = NDArray[np.float32]


def fit_batch_norm(model: onnx.ModelProto, samples: Sequence[dict[str, FloatArray]]) -> None:
    """Set the mean and variance of every BatchNormalization to those of the samples.

    Args:
        model: Changed in place; one float input whose first dimension is the batch.
        samples: One inference each, shapes (1, ...) as the model's input.
    """
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    twin = _twin(model, tensors)
    name = model.graph.input[0].name
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(twin.SerializeToString(), options, ["CPUExecutionProvider"])
    measured = session.run(None, {name: np.concatenate([s[name] for s in samples])})
    for norm, mean, var in zip(norms, measured[::2], measured[1::2], strict=True):
        for value, statistic in zip(norm.input[3:5], (mean, var), strict=True):
            array = numpy_helper.from_array(statistic.reshape(-1), value)
            tensors[value].CopyFrom(array)


def fit_convolutions(
    model: onnx.ModelProto, samples: Sequence[dict[str, FloatArray]], seed: int = 0
) -> None:
    """Rescale a network without BatchNormalization as if it had been trained with it.

    After every Conv a BatchNormalization is put, fitted, and folded into weight and bias: the
    graph stays as it is, and each channel gets its own mean and deviation.

    Args:
        model: Changed in place; every Conv has a bias.
        samples: One inference each.
        seed: Seed of the channels' means and deviations.
    """
    normed = _with_norms(model, np.random.default_rng(seed))
    fit_batch_norm(normed, samples)
    arrays = {t.name: numpy_helper.to_array(t) for t in normed.graph.initializer}
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {node.output[0]: node for node in normed.graph.node}
    for norm in normed.graph.node:
        if norm.op_type != "BatchNormalization":
            continue
        _, weight, bias = producers[norm.input[0]].input
        gamma, beta, mean, var = (arrays[value] for value in norm.input[1:5])
        factor = gamma / np.sqrt(var + np.float32(1e-5))
        folded = arrays[weight] * factor[:, None, None, None]
        shifted = beta + (arrays[bias] - mean) * factor
        tensors[weight].CopyFrom(numpy_helper.from_array(folded, weight))
        tensors[bias].CopyFrom(numpy_helper.from_array(shifted, bias))


def _twin(model: onnx.ModelProto, tensors: dict[str, onnx.TensorProto]) -> onnx.ModelProto:
    """Return the model with batch statistics computed in the graph and exposed as outputs."""
    nodes: list[onnx.NodeProto] = []
    outputs: list[onnx.ValueInfoProto] = []
    initializers = list(model.graph.initializer)
    for node in model.graph.node:
        if node.op_type != "BatchNormalization":
            nodes.append(node)
            continue
        x, scale, bias = node.input[:3]
        (epsilon,) = (a.f for a in node.attribute if a.name == "epsilon")
        y = node.output[0]
        channels = tensors[scale].dims[0]
        rank = (1, channels, 1, 1)
        for value in (scale, bias):
            array = numpy_helper.to_array(tensors[value]).reshape(rank)
            initializers.append(numpy_helper.from_array(array, f"{value}:4d"))
        epsilon_tensor = np.array(epsilon, np.float32)
        initializers.append(numpy_helper.from_array(epsilon_tensor, f"{y}:eps"))
        steps: tuple[tuple[str, tuple[str, ...], str, dict[str, list[int]]], ...] = (
            ("ReduceMean", (x,), "mean", {"axes": [0, 2, 3]}),
            ("Sub", (x, f"{y}:mean"), "centered", {}),
            ("Mul", (f"{y}:centered",) * 2, "square", {}),
            ("ReduceMean", (f"{y}:square",), "var", {"axes": [0, 2, 3]}),
            ("Add", (f"{y}:var", f"{y}:eps"), "shifted", {}),
            ("Sqrt", (f"{y}:shifted",), "deviation", {}),
            ("Div", (f"{y}:centered", f"{y}:deviation"), "unit", {}),
            ("Mul", (f"{y}:unit", f"{scale}:4d"), "scaled", {}),
        )
        for op_type, inputs, result, attributes in steps:
            nodes.append(helper.make_node(op_type, inputs, [f"{y}:{result}"], **attributes))
        nodes.append(helper.make_node("Add", [f"{y}:scaled", f"{bias}:4d"], [y]))
        for key in ("mean", "var"):
            float_type = onnx.TensorProto.FLOAT
            outputs.append(helper.make_tensor_value_info(f"{y}:{key}", float_type, rank))
    source = model.graph.input[0]
    tail = [dim.dim_value for dim in source.type.tensor_type.shape.dim][1:]
    batched = helper.make_tensor_value_info(source.name, onnx.TensorProto.FLOAT, ["n", *tail])
    graph = helper.make_graph(nodes, "twin", [batched], outputs, initializers)
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)


def _with_norms(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.ModelProto:
    """Return a copy with a BatchNormalization behind every Conv."""
    normed = onnx.ModelProto()
    normed.CopyFrom(model)
    del normed.graph.node[:]
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        copy = normed.graph.node.add()
        copy.CopyFrom(node)
        if node.op_type != "Conv":
            continue
        y = node.output[0]
        copy.output[0] = f"{y}:conv"
        channels = weights[node.input[1]].dims[0]
        parameters = {
            "scale": rng.uniform(0.5, 1.5, channels),
            "bias": rng.normal(0, 0.3, channels),
            "mean": np.zeros(channels),
            "var": np.ones(channels),
        }
        for key, array in parameters.items():
            tensor = numpy_helper.from_array(array.astype(np.float32), f"{y}:bn.{key}")
            normed.graph.initializer.append(tensor)
        names = [f"{y}:conv", *(f"{y}:bn.{key}" for key in parameters)]
        norm = helper.make_node("BatchNormalization", names, [y], epsilon=1e-5)
        normed.graph.node.append(norm)
    return normed
