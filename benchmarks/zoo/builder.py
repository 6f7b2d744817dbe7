"""Write a network as ONNX, node by node, with shapes known at every step.

Weights are He-initialised from one seeded generator, so a family and a seed name a model.
Reshapes use -1 for the batch: the same graph then also runs on a stack of samples, which
fitting the normalization statistics needs.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference

OPSET = 17
IR_VERSION = 8  # the version that belongs to opset 17
BUMP_NOISE = 0.2  # deviation of a depthwise tap around its smooth profile of height 1
# Training leaves the branch of a residual block weaker than the path around it (its last scale
# is often started at 0), so that many blocks refine one signal instead of replacing it.
RESIDUAL_GAIN = 0.4
MAX_SHAPE_ELEMENTS = 16  # constants up to this size are handed to shape inference


class GraphBuilder:
    """A graph under construction; methods append nodes and return value names.

    Attributes:
        rng: The generator every random weight comes from.
    """

    def __init__(self, name: str, seed: int = 0) -> None:
        """Start an empty graph.

        Args:
            name: Name of the graph.
            seed: Seed of the weights, >= 0.
        """
        self.rng = np.random.default_rng(seed)
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._types: dict[str, onnx.TypeProto] = {}
        self._small_constants: dict[str, onnx.TensorProto] = {}
        self._scopes: list[str] = []
        self._taken: set[str] = set()

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Prefix the names made inside the block with ``name/``."""
        self._scopes.append(name)
        yield
        self._scopes.pop()

    def _unique(self, name: str) -> str:
        path = "/".join([*self._scopes, name])
        unique, count = path, 1
        while unique in self._taken:
            count += 1
            unique = f"{path}_{count}"
        self._taken.add(unique)
        return unique

    def input(self, name: str, shape: Sequence[int], dtype: int = TensorProto.FLOAT) -> str:
        """Declare a graph input."""
        info = helper.make_tensor_value_info(name, dtype, list(shape))
        self._inputs.append(info)
        self._types[name] = info.type
        self._taken.add(name)
        return name

    def constant(self, array: NDArray[Any], name: str) -> str:
        """Store an array as an initializer and return its unique name."""
        unique = self._unique(name)
        tensor = numpy_helper.from_array(np.asarray(array, order="C"), unique)
        self._initializers.append(tensor)
        self._types[unique] = helper.make_tensor_type_proto(tensor.data_type, array.shape)
        if array.size <= MAX_SHAPE_ELEMENTS:
            self._small_constants[unique] = tensor
        return unique

    def nodes(
        self, op_type: str, inputs: Sequence[str], num_outputs: int, **attributes: Any
    ) -> list[str]:
        """Append a node and return the names of its outputs."""
        label = attributes.pop("label", op_type)
        name = self._unique(label)
        outputs = [
            f"{name}:{i}" if num_outputs > 1 else f"{name}:y" for i in range(num_outputs)
        ]
        node = helper.make_node(op_type, list(inputs), outputs, name=name, **attributes)
        self._nodes.append(node)
        used = [value for value in inputs if value]
        self._types.update(
            shape_inference.infer_node_outputs(
                onnx.defs.get_schema(op_type, OPSET, ""),
                node,
                {value: self._types[value] for value in used},
                {v: self._small_constants[v] for v in used if v in self._small_constants},
                opset_imports=[helper.make_opsetid("", OPSET)],
                ir_version=IR_VERSION,
            )
        )
        return outputs

    def node(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Append a node with one output and return the output's name."""
        return self.nodes(op_type, inputs, 1, **attributes)[0]

    def shape(self, value: str) -> tuple[int, ...]:
        """Return the static shape of a value."""
        return tuple(d.dim_value for d in self._types[value].tensor_type.shape.dim)

    def normal(self, shape: Sequence[int], std: float) -> NDArray[np.float32]:
        """Draw float32 weights from N(0, std^2)."""
        return self.rng.standard_normal(tuple(shape), dtype=np.float32) * np.float32(std)

    def conv(
        self,
        x: str,
        out_channels: int,
        kernel: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        pads: Sequence[int] | None = None,
        groups: int = 1,
        bias: bool = False,
        label: str = "conv",
    ) -> str:
        """Append a 2-D convolution with He-initialised weights.

        Args:
            x: Input value, shape (N, C, H, W).
            out_channels: Output channels.
            kernel: Kernel height and width.
            stride: Stride in height and width.
            pads: Top, left, bottom, right; half of the kernel on each side when None.
            groups: Channel groups; C for a depthwise convolution.
            bias: Add a per-channel bias from N(0, 0.05^2).
            label: Name of the node inside the current scope.

        Returns:
            Output value, shape (N, out_channels, H', W').
        """
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        strides = [stride, stride] if isinstance(stride, int) else list(stride)
        if pads is None:
            pads = (height // 2, width // 2) * 2
        fan_in = self.shape(x)[1] // groups * height * width
        shape = (out_channels, self.shape(x)[1] // groups, height, width)
        std = math.sqrt(2 / fan_in)
        is_depthwise = groups == out_channels > 1
        weight = self._bumps(shape, std) if is_depthwise else self.normal(shape, std)
        inputs = [x, self.constant(weight, f"{label}.weight")]
        if bias:
            inputs.append(self.constant(self.normal((out_channels,), 0.05), f"{label}.bias"))
        return self.node(
            "Conv",
            *inputs,
            kernel_shape=[height, width],
            strides=strides,
            pads=list(pads),
            dilations=[1, 1],
            group=groups,
            label=label,
        )

    def _bumps(self, shape: Sequence[int], std: float) -> NDArray[np.float32]:
        """Draw depthwise kernels that are smooth over space, as trained ones are.

        Independent taps would make half of the kernels high-pass filters, which erase the
        smooth maps that photographs cause and let only the rounding noise of INT8 through.
        """
        channels, _, height, width = shape
        row, column = np.mgrid[:height, :width].astype(np.float32)
        offset = self.rng.normal(0, 0.5, (2, channels, 1, 1))
        squares = (row - (height - 1) / 2 - offset[0]) ** 2
        squares = squares + (column - (width - 1) / 2 - offset[1]) ** 2
        radius = self.rng.uniform(0.7, 1.3, (channels, 1, 1))
        sign = self.rng.choice([-1, 1], (channels, 1, 1))
        kernels = sign * np.exp(-squares / (2 * radius**2))
        kernels += self.rng.normal(0, BUMP_NOISE, kernels.shape)
        energy = np.sqrt(np.square(kernels).mean(axis=(1, 2), keepdims=True))
        return np.asarray(kernels / energy * std, np.float32).reshape(tuple(shape))

    def batch_norm(
        self, x: str, *, gain: float = 1.0, epsilon: float = 1e-5, label: str = "bn"
    ) -> str:
        """Append a BatchNormalization; its mean and variance are placeholders to be fitted.

        Args:
            x: Input value, shape (N, C, ...).
            gain: Mean of the channels' scales, which are drawn within half of it.
            epsilon: Added to the variance.
            label: Name of the node inside the current scope.
        """
        channels = self.shape(x)[1]
        scale = (gain * self.rng.uniform(0.5, 1.5, channels)).astype(np.float32)
        parameters = {
            "scale": scale,
            "bias": self.normal((channels,), 0.3 * gain),
            "mean": np.zeros(channels, np.float32),
            "var": np.ones(channels, np.float32),
        }
        names = [self.constant(array, f"{label}.{key}") for key, array in parameters.items()]
        return self.node("BatchNormalization", x, *names, epsilon=epsilon, label=label)

    def relu6(self, x: str) -> str:
        """Append a Clip to [0, 6]."""
        low = self.constant(np.array(0, np.float32), "min")
        high = self.constant(np.array(6, np.float32), "max")
        return self.node("Clip", x, low, high, label="relu6")

    def pool(
        self,
        op_type: str,
        x: str,
        kernel: int,
        stride: int,
        padding: int = 0,
        **attributes: Any,
    ) -> str:
        """Append a MaxPool or AveragePool with a square window."""
        return self.node(
            op_type,
            x,
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[padding] * 4,
            **attributes,
        )

    def linear(
        self, x: str, out_features: int, *, gain: float = 1.0, label: str = "fc"
    ) -> str:
        """Append a Gemm on a (N, F) value, weights from N(0, gain^2 / F)."""
        features = self.shape(x)[1]
        weight = self.normal((out_features, features), gain / math.sqrt(features))
        bias = self.normal((out_features,), 0.05)
        names = [
            self.constant(weight, f"{label}.weight"),
            self.constant(bias, f"{label}.bias"),
        ]
        return self.node("Gemm", x, *names, transB=1, label=label)

    def classifier(self, x: str, num_classes: int) -> str:
        """Append global average pooling and one fully connected layer."""
        pooled = self.node("GlobalAveragePool", x)
        return self.linear(self.node("Flatten", pooled, axis=1), num_classes, gain=2.0)

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """Append a Reshape to a constant shape."""
        return self.node("Reshape", x, self.constant(np.array(shape, np.int64), "shape"))

    def finish(self, **outputs: str) -> onnx.ModelProto:
        """Rename the given values to the output names and return the checked model.

        Args:
            **outputs: Output name to value name.
        """
        renamed = {value: name for name, value in outputs.items()}
        infos = []
        for value, name in renamed.items():
            tensor_type = self._types[value].tensor_type
            dims = self.shape(value)
            infos.append(helper.make_tensor_value_info(name, tensor_type.elem_type, dims))
        for node in self._nodes:
            node.input[:] = [renamed.get(value, value) for value in node.input]
            node.output[:] = [renamed.get(value, value) for value in node.output]
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, infos, self._initializers
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="octavo-zoo",
        )
        onnx.checker.check_model(model)
        return model
