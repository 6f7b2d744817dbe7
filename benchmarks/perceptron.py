"""Perceptrons that scikit-learn trains in seconds, as ONNX: layers linear0, linear1, ..."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import helper, numpy_helper

INPUT, OUTPUT = "image", "logits"
OPSET = 21

Array = NDArray[np.floating]


class Perceptron:
    """Nodes and constants of a network that grows from its input to its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, op_type: str, inputs: Sequence[str], name: str, **attributes: int) -> str:
        """Append a node; return the name of what it makes."""
        made = f"{name}_out"
        self.nodes.append(helper.make_node(op_type, inputs, [made], name, **attributes))
        return made

    def constant(self, array: Array, name: str) -> str:
        """Append a constant, as float32."""
        self.constants.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def linear(self, x: str, weight: Array, bias: Array, name: str) -> str:
        """Append y = x W + b, W (inputs, outputs)."""
        names = [self.constant(weight, f"{name}.weight"), self.constant(bias, f"{name}.bias")]
        return self.node("Gemm", [x, *names], name)

    def layers(self, x: str, weights: Sequence[Array], biases: Sequence[Array]) -> str:
        """Append linear layers with ReLU between them."""
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            y = self.linear(x, weight, bias, f"linear{i}")
            last = i == len(weights) - 1
            x = y if last else self.node("Relu", [y], f"relu{i}")
        return x

    def model(self, logits: str, num_inputs: int, num_outputs: int) -> ir.Model:
        """The network from (1, num_inputs) to (1, num_outputs)."""
        self.nodes[-1].output[0] = OUTPUT
        assert logits == f"{self.nodes[-1].name}_out"
        float_type = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "perceptron",
            [helper.make_tensor_value_info(INPUT, float_type, [1, num_inputs])],
            [helper.make_tensor_value_info(OUTPUT, float_type, [1, num_outputs])],
            self.constants,
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
        return ir.from_proto(onnx.shape_inference.infer_shapes(model))


def perceptron(weights: Sequence[Array], biases: Sequence[Array]) -> ir.Model:
    """The network of trained weights (inputs, outputs) and biases."""
    network = Perceptron()
    logits = network.layers(INPUT, weights, biases)
    return network.model(logits, weights[0].shape[0], weights[-1].shape[1])
