"""Dynamically quantized models: what becomes a float operator, and what stays integer."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper


def matmul_model(
    scale: np.ndarray, zero_point: np.ndarray | None, body: str | None = None
) -> onnx.ModelProto:
    """Write what ONNX Runtime's quantize_dynamic makes of MatMul(x, w) + bias."""
    body = (
        body
        or """
        scales = Mul(xs, ws)
        f = Cast<to=1>(i)
        m = Mul(f, scales)
        y = Add(m, bias)
    """
    )
    operand = "" if zero_point is None else ", wz"
    proto = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 13]>
        g (float[5,16] x) => (float[5,8] y) {{
            xq, xs, xz = DynamicQuantizeLinear(x)
            i = MatMulInteger(xq, w, xz{operand})
            {body}
        }}"""
    )
    rng = np.random.default_rng(0)
    dtype = np.int8 if zero_point is None else zero_point.dtype
    info = np.iinfo(dtype)
    weight = rng.integers(info.min, info.max + 1, (16, 8)).astype(dtype)
    constants = {"w": weight, "ws": scale, "bias": np.arange(8, dtype=np.float32)}
    if zero_point is not None:
        constants["wz"] = zero_point
    proto.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())
    return proto


PER_COLUMN = np.linspace(0.01, 0.03, 8, dtype=np.float32)
INPUT = {"x": np.random.default_rng(3).uniform(-2, 3, (5, 16)).astype(np.float32)}


@pytest.mark.parametrize(
    ("scale", "zero_point"),
    [
        (np.float32([0.02]), None),
        (np.float32(0.02), np.array(3, np.int8)),
        (PER_COLUMN, np.zeros(8, np.int8)),
        (PER_COLUMN, np.array(0, np.int8)),
        (np.float32([0.02]), np.arange(8, dtype=np.int8)),
        (np.float32([0.02]), np.array([120], np.uint8)),
    ],
)
def test_matmul_keeps_its_integer_weight(imported, run, op_types, scale, zero_point):
    original = matmul_model(scale, zero_point)
    model = imported(original)
    assert op_types(model) == ["DequantizeLinear", "MatMul", "Add"]
    assert model.graph.node(1).inputs[0].name == "x"
    weight = model.graph.node(0).inputs[0].const_value.numpy()
    assert weight.itemsize == 1
    expected, actual = run(original, INPUT)[0], run(model, INPUT)[0]
    # the original rounds x: each product is off by half a step of x at most
    step = (INPUT["x"].max() - INPUT["x"].min()) / 255
    zero = 0 if zero_point is None else zero_point.astype(np.float64)
    weight = numpy_helper.to_array(original.graph.initializer[0]).astype(np.float64)
    dense = (weight - zero) * scale
    bound = np.abs(dense).sum(0) * step * 0.51 + 1e-4
    assert (np.abs(actual - expected) <= bound).all()


def test_scales_may_be_multiplied_one_after_the_other(imported, op_types):
    body = "f = Cast<to=1>(i) n = Mul(f, xs) m = Mul(ws, n) y = Add(m, bias)"
    model = imported(matmul_model(PER_COLUMN, None, body))
    assert op_types(model) == ["DequantizeLinear", "MatMul", "Add"]


@pytest.mark.parametrize(
    "body",
    [
        # the integer itself is used, the float is used twice, the scale is another one
        "s = Mul(xs, ws) f = Cast<to=1>(i) m = Mul(f, s) d = Cast<to=1>(i) y = Add(m, d)",
        "s = Mul(xs, ws) f = Cast<to=1>(i) m = Mul(f, s) y = Add(m, f)",
        "s = Mul(ws, ws) f = Cast<to=1>(i) y = Mul(f, s)",
        "f = Cast<to=1>(i) y = Add(f, xs)",
    ],
)
def test_other_uses_of_the_integer_product_stay(imported, run, op_types, body):
    original = matmul_model(np.float32([0.02]), None, body)
    model = imported(original)
    assert "MatMulInteger" in op_types(model)
    np.testing.assert_array_equal(run(model, INPUT)[0], run(original, INPUT)[0])


def test_a_scale_that_is_not_per_column_stays_integer(imported, op_types):
    model = imported(matmul_model(np.full((5, 1), 0.5, np.float32), None))
    assert "MatMulInteger" in op_types(model)


@pytest.mark.parametrize(
    "scale", [np.float32(0.02), np.float32([[[0.01]], [[0.02]], [[0.03]]])]
)
def test_conv_becomes_float(imported, run, op_types, scale):
    original = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 13]>
        g (float[1,2,6,6] x) => (float[1,3,6,6] y) {
            xq, xs, xz = DynamicQuantizeLinear(x)
            i = ConvInteger<pads=[1,1,1,1]>(xq, w, xz, wz)
            scales = Mul(ws, xs)
            f = Cast<to=1>(i)
            y = Mul(scales, f)
        }"""
    )
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 256, (3, 2, 3, 3)).astype(np.uint8)
    constants = {"w": weight, "ws": scale, "wz": np.array(128, np.uint8)}
    original.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()
    )
    model = imported(original)
    assert op_types(model) == ["DequantizeLinear", "Conv"]
    data = {"x": rng.uniform(-1, 1, (1, 2, 6, 6)).astype(np.float32)}
    step = (data["x"].max() - data["x"].min()) / 255
    per_channel = np.abs(weight.astype(np.float64) - 128).sum((1, 2, 3)) * np.ravel(scale)
    bound = per_channel.reshape(1, 3, 1, 1) * step * 0.51 + 1e-4
    assert (np.abs(run(model, data)[0] - run(original, data)[0]) <= bound).all()


@pytest.mark.parametrize("op", ["MatMulInteger", "ConvInteger"])
def test_integer_products_of_integer_inputs_stay(imported, run, op_types, op):
    shape = "[4,4]" if op == "MatMulInteger" else "[1,1,4,4]"
    kernel = "[4,4]" if op == "MatMulInteger" else "[1,1,1,1]"
    original = f"""<ir_version: 8, opset_import: ["" : 13]>
    g (uint8{shape} a, uint8{kernel} b) => (int32{shape} y) <uint8 z = {{3}}>
    {{ y = {op}(a, b, z, z) }}"""
    model = imported(original)
    assert op_types(model) == [op]
    rng = np.random.default_rng(0)
    data = {
        value.name: rng.integers(0, 256, tuple(value.shape)).astype(np.uint8)
        for value in model.graph.inputs
    }
    np.testing.assert_array_equal(run(model, data)[0], run(original, data)[0])


@pytest.mark.parametrize("bias", [True, False])
def test_fused_forms_of_onnx_runtime(imported, op_types, bias):
    for op, operands in (
        ("MatMulIntegerToFloat", "q, w, s, ws, , "),
        ("DynamicQuantizeMatMul", "x, w, ws, "),
    ):
        last = ", b" if bias else ""
        original = f"""<ir_version: 8, opset_import: ["" : 13, "com.microsoft" : 1]>
        g (float[5,16] x, uint8[5,16] q) => (float[5,2] y)
        <int8[16,2] w = {{{",".join("1" for _ in range(32))}}}, float s = {{0.5}},
         float[2] ws = {{0.5, 1.5}}, float[2] b = {{1, 2}}>
        {{ y = com.microsoft.{op}({operands}{last}) }}"""
        model = imported(original)
        expected = ["DequantizeLinear"] * (2 if "Integer" in op else 1) + ["MatMul"]
        assert op_types(model) == expected + ["Add"] * bias
