"""QOperator and com.microsoft operators against ONNX Runtime's own kernels.

Quantized results may differ by one step where a float sum lands on the other side of a
rounding boundary; at least 99 % of the values must be equal.
"""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

MIN_EQUAL = 0.99


def build(
    node: onnx.NodeProto, inputs: dict[str, np.ndarray], constants: dict[str, np.ndarray]
) -> onnx.ModelProto:
    """Make a model of one node whose output shape and type are left open."""
    infos = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in inputs.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph([node], "g", infos, outputs, initializers)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


class Operands:
    """Collects the inputs of a node, named in order."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.names: list[str] = []
        self.inputs: dict[str, np.ndarray] = {}
        self.constants: dict[str, np.ndarray] = {}

    def data(self, shape: tuple[int, ...], dtype: type = np.uint8) -> "Operands":
        info = np.iinfo(dtype)
        array = self.rng.integers(info.min, info.max + 1, shape).astype(dtype)
        return self._add(self.inputs, array)

    def weight(self, shape: tuple[int, ...], dtype: type = np.int8) -> "Operands":
        return self._add(self.constants, self.rng.integers(-127, 128, shape).astype(dtype))

    def constant(self, value: object, dtype: type) -> "Operands":
        return self._add(self.constants, np.asarray(value, dtype=dtype))

    def scale(self, value: object) -> "Operands":
        return self.constant(value, np.float32)

    def absent(self) -> "Operands":
        self.names.append("")
        return self

    def _add(self, target: dict[str, np.ndarray], array: np.ndarray) -> "Operands":
        name = f"i{len(self.names)}"
        self.names.append(name)
        target[name] = array
        return self


def per_tensor(shape: tuple[int, ...], scale: float, zero_point: int, dtype: type) -> Operands:
    return Operands().data(shape, dtype).scale(scale).constant(zero_point, dtype)


def qlinear_conv(per_channel: bool, dtype: type, weight: type = np.int8, group: int = 1):
    x = per_tensor((1, 4, 9, 9), 0.02, 5, dtype)
    scales = [0.01, 0.02, 0.015, 0.03, 0.01, 0.02] if per_channel else [0.02]
    zero = 128 if weight is np.uint8 else 0
    x.constant(x.rng.integers(-127, 128, (6, 4 // group, 3, 3)) + zero, weight)
    x.scale(scales).constant(np.full(len(scales), zero), weight)
    x.scale(0.3).constant(7, dtype)
    x.constant(x.rng.integers(-3000, 3000, 6), np.int32)
    return "QLinearConv", x, {"pads": [1, 1, 1, 1], "strides": [2, 2], "group": group}


def binary(op: str, dtype: type, zero_points: bool = True):
    x = Operands()
    for scale in (0.04, 0.03):
        x.data((2, 3, 50), dtype).scale(scale)
        x.constant(3, dtype) if zero_points else x.absent()
    x.scale(0.05)
    if zero_points:
        x.constant(9, dtype)
    return op, x, {}


def unary(
    op: str, dtype: type, shape=(2, 3, 50), out_scale: float = 0.02, **attributes: object
):
    x = (
        per_tensor(shape, 0.04, 3, dtype)
        .scale(out_scale)
        .constant(-3 if dtype is np.int8 else 4, dtype)
    )
    return op, x, attributes


def qgemm(bias: bool, float_output: bool, trans_b: int, per_channel: bool, alpha: float = 1.0):
    x = per_tensor((5, 16), 0.02, 100, np.uint8)
    channels = 8 if per_channel else 1
    x.weight((8, 16) if trans_b else (16, 8)).scale(np.linspace(0.01, 0.02, channels))
    x.constant(np.zeros(channels), np.int8)
    if bias:
        x.constant(x.rng.integers(-4000, 4000, 8), np.int32)
    else:
        x.absent()
    if not float_output:
        x.scale(0.2).constant(120, np.uint8)
    return "QGemm", x, {"transB": trans_b, "alpha": alpha}


def qlinear_matmul(per_column: bool, batched: bool):
    x = per_tensor((2, 5, 16) if batched else (5, 16), 0.02, 100, np.uint8)
    columns = 8 if per_column else 1
    x.weight((2, 16, 8) if batched else (16, 8)).scale(np.linspace(0.01, 0.02, columns))
    x.constant(np.zeros(columns), np.int8)
    return "QLinearMatMul", x.scale(0.2).constant(120, np.uint8), {}


def qlinear_concat():
    x = Operands().scale(0.05).constant(10, np.uint8)
    for scale, zero_point, size in ((0.05, 10, 3), (0.02, 0, 4), (0.08, 200, 2)):
        x.data((2, size, 40)).scale(scale).constant(zero_point, np.uint8)
    return "QLinearConcat", x, {"axis": 1}


def qlinear_where():
    x = Operands()
    x._add(x.inputs, x.rng.integers(0, 2, (4, 50)).astype(bool))
    for scale, zero_point in ((0.05, 10), (0.02, 3)):
        x.data((4, 50)).scale(scale).constant(zero_point, np.uint8)
    return "QLinearWhere", x.scale(0.04).constant(7, np.uint8), {}


CASES = {
    "conv_u8": qlinear_conv(False, np.uint8),
    "conv_u8_per_channel": qlinear_conv(True, np.uint8),
    "conv_u8_grouped": qlinear_conv(True, np.uint8, group=2),
    "conv_s8_per_channel": qlinear_conv(True, np.int8),
    "conv_unsigned_weight": qlinear_conv(False, np.uint8, np.uint8),
    "matmul": qlinear_matmul(False, False),
    "matmul_per_column": qlinear_matmul(True, False),
    "matmul_batched": qlinear_matmul(False, True),
    "gemm": qgemm(True, False, 1, False),
    "gemm_per_channel": qgemm(True, False, 1, True),
    "gemm_no_bias": qgemm(False, False, 0, True),
    "gemm_alpha": qgemm(True, False, 0, False, alpha=0.5),
    "gemm_float_output": qgemm(True, True, 1, True),
    "add_u8": binary("QLinearAdd", np.uint8),
    "add_s8": binary("QLinearAdd", np.int8),
    "mul_u8": binary("QLinearMul", np.uint8),
    "mul_s8": binary("QLinearMul", np.int8),
    "sigmoid_u8": unary("QLinearSigmoid", np.uint8, out_scale=1 / 256),
    "sigmoid_s8": unary("QLinearSigmoid", np.int8, out_scale=1 / 256),
    "leaky_relu": unary("QLinearLeakyRelu", np.uint8, alpha=0.3),
    "leaky_relu_default": unary("QLinearLeakyRelu", np.int8),
    "softmax": unary("QLinearSoftmax", np.uint8, out_scale=1 / 256, axis=-1, opset=13),
    "softmax_middle": unary("QLinearSoftmax", np.uint8, out_scale=1 / 256, axis=1, opset=13),
    "softmax_coerced": unary("QLinearSoftmax", np.uint8, out_scale=1 / 256, axis=1, opset=12),
    "global_pool": unary("QLinearGlobalAveragePool", np.uint8, (2, 40, 7, 7), channels_last=0),
    "global_pool_nhwc": unary("QLinearGlobalAveragePool", np.uint8, (2, 7, 7, 40),
                              channels_last=1),
    "average_pool": unary("QLinearAveragePool", np.uint8, (1, 8, 9, 9), kernel_shape=[3, 3],
                          strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1),
    "average_pool_nhwc": unary("QLinearAveragePool", np.uint8, (1, 9, 9, 8),
                               kernel_shape=[2, 2], channels_last=1),
    "concat": qlinear_concat(),
    "where": qlinear_where(),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_quantized_operators_match_onnx_runtime(imported, run, op_types, case):
    op_type, operands, attributes = CASES[case]
    domain = "" if op_type in ("QLinearConv", "QLinearMatMul") else "com.microsoft"
    node = helper.make_node(op_type, operands.names, ["y"], "n", domain=domain, **attributes)
    original = build(node, operands.inputs, operands.constants)
    model = imported(original)
    assert op_type not in op_types(model)
    assert all(node.domain == "" for node in model.graph)
    assert model.graph.outputs[0].name == "y"
    expected, actual = run(original, operands.inputs)[0], run(model, operands.inputs)[0]
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if expected.dtype == np.float32:
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
        return
    assert np.unique(expected).size > 10  # not saturated everywhere
    difference = np.abs(actual.astype(np.int32) - expected.astype(np.int32))
    assert difference.max() <= 1
    assert (difference == 0).mean() >= MIN_EQUAL


def test_conv_with_channels_last(imported, run):
    """ONNX Runtime makes this form for itself: compare with the standard one."""
    op_type, operands, attributes = qlinear_conv(True, np.uint8)
    first = helper.make_node(op_type, operands.names, ["y"], **attributes)
    last = helper.make_node(
        op_type, operands.names, ["y"], domain="com.microsoft", channels_last=1, **attributes
    )
    model = imported(build(first, operands.inputs, operands.constants))
    expected = run(model, operands.inputs)[0]
    turned = {name: array.transpose(0, 2, 3, 1) for name, array in operands.inputs.items()}
    model = imported(build(last, turned, operands.constants))
    np.testing.assert_array_equal(run(model, turned)[0].transpose(0, 3, 1, 2), expected)


def test_absent_zero_points_are_zero(imported, run):
    """ONNX Runtime declares them optional and refuses their absence: compare with zeros."""
    results = []
    for given in (True, False):
        op_type, operands, _ = binary("QLinearAdd", np.uint8, zero_points=given)
        for name in ("i2", "i5", "i7"):
            if name in operands.constants:
                operands.constants[name] = np.zeros((), np.uint8)
        node = helper.make_node(op_type, operands.names, ["y"], domain="com.microsoft")
        model = imported(build(node, operands.inputs, operands.constants))
        results.append(run(model, operands.inputs)[0])
    np.testing.assert_array_equal(results[0], results[1])


def test_reduce_mean(imported, run):
    """ONNX Runtime has the schema without a kernel: compare with numpy."""
    _, operands, _ = unary("QLinearReduceMean", np.uint8, (3, 30, 8))
    node = helper.make_node(
        "QLinearReduceMean",
        operands.names,
        ["y"],
        domain="com.microsoft",
        axes=[1],
        keepdims=0,
    )
    model = imported(build(node, operands.inputs, operands.constants))
    x = operands.inputs["i0"].astype(np.float64)
    expected = np.clip(np.rint((x - 3).mean(1) * 0.04 / 0.02) + 4, 0, 255)
    difference = np.abs(run(model, operands.inputs)[0] - expected)
    assert difference.max() <= 1
    assert (difference == 0).mean() >= MIN_EQUAL


def test_conv_becomes_qdq_with_an_int32_bias(imported, op_types):
    op_type, operands, attributes = qlinear_conv(True, np.uint8)
    node = helper.make_node(op_type, operands.names, ["y"], "stem", **attributes)
    model = imported(build(node, operands.inputs, operands.constants))
    assert op_types(model) == [*["DequantizeLinear"] * 3, "Conv", "QuantizeLinear"]
    bias = next(n for n in model.graph if n.inputs[0].dtype.name == "INT32")
    # the float32 product of both scales
    expected = np.float32(0.02) * operands.constants["i4"]
    np.testing.assert_array_equal(bias.inputs[1].const_value.numpy(), expected)
    assert bias.attributes["axis"].as_int() == 0
    assert [n.name for n in model.graph if n.op_type == "Conv"] == ["stem/Conv"]


FLOAT_CASES = {
    "Gelu": (["x"], {}),
    "BiasGelu": (["x", "b"], {}),
    "FastGelu": (["x", "b"], {}),
    "QuickGelu": (["x"], {"alpha": 1.5}),
    "FusedMatMul": (["x", "x2"], {"transB": 1, "alpha": 0.5}),
    "SkipLayerNormalization": (["x", "x2", "b", "b2", "b3"], {"epsilon": 1e-5}),
    "FusedGemm": (["x", "w"], {"activation": "LeakyRelu", "activation_alpha": 0.2}),
    "FusedConv": (["image", "kernel"], {"activation": "Relu", "pads": [1, 1, 1, 1]}),
}


@pytest.mark.parametrize("op_type", FLOAT_CASES)
def test_float_operators_match_onnx_runtime(imported, run, op_type):
    names, attributes = FLOAT_CASES[op_type]
    rng = np.random.default_rng(1)
    shapes = {
        "x": (4, 6) if op_type == "FusedGemm" else (2, 4, 6), "x2": (2, 4, 6), "b": (6,),
        "b2": (6,), "b3": (6,), "w": (6, 5), "image": (1, 2, 5, 5), "kernel": (3, 2, 3, 3),
    }  # fmt: skip
    arrays = {n: rng.standard_normal(shapes[n]).astype(np.float32) for n in names}
    inputs = {n: a for n, a in arrays.items() if n in ("x", "x2", "image")}
    constants = {n: a for n, a in arrays.items() if n not in inputs}
    node = helper.make_node(op_type, names, ["y"], "n", domain="com.microsoft", **attributes)
    original = build(node, inputs, constants)
    expected, actual = run(original, inputs)[0], run(imported(original), inputs)[0]
    # FastGelu's kernel approximates tanh itself, to about 1e-6 of values up to 3
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("op_type", "inputs"),
    [("QLinearAdd", ["x"]), ("QGemm", []), ("QLinearConcat", ["x", "x"])],
)
def test_too_few_inputs_are_refused(refused, op_type, inputs):
    node = helper.make_node(op_type, inputs, ["y"], "n", domain="com.microsoft")
    refused(build(node, {"x": np.zeros((2, 2), np.uint8)}, {}), f"com.microsoft.{op_type} 'n'")
