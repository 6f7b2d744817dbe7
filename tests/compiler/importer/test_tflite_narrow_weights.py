"""Weights of 4 bits and of float16, against LiteRT's reference kernels."""

import numpy as np
import pytest

from octavo.compiler.compile import compile_model
from octavo.compiler.importer import import_model
from octavo.compiler.session import load

pytest.importorskip("ai_edge_litert")
from ai_edge_litert import schema_py_generated as schema
from benchmarks.peers.tflite.files import TfliteFile, litert_run

RNG = np.random.default_rng(9)
STRIDES = {"strideH": 1, "strideW": 1}
LAYERS = {
    "FULLY_CONNECTED": ((7, 12), 0, (1, 12), (1, 7), "FullyConnectedOptions", {}),
    "CONV_2D": ((6, 3, 3, 5), 0, (1, 7, 6, 5), (1, 7, 6, 6), "Conv2DOptions", STRIDES),
    "DEPTHWISE_CONV_2D": (
        (1, 3, 3, 6), 3, (1, 7, 6, 6), (1, 7, 6, 6), "DepthwiseConv2DOptions",
        STRIDES | {"depthMultiplier": 1}),
}  # fmt: skip


def nibbles(file, name, values, scale, axis):
    """A constant of 4 bits, two of them in a byte, the first one in its low half."""
    flat = np.append(values.reshape(-1), [0] * (values.size % 2)).astype(np.uint8) & 15
    index = file.tensor(name, data=(flat[::2] | flat[1::2] << 4).astype(np.int8))
    tensor = file.graph.tensors[index]
    tensor.shape, tensor.type = np.array(values.shape, np.int32), schema.TensorType.INT4
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = scale
    tensor.quantization.zeroPoint = np.zeros(scale.size, np.int64)
    tensor.quantization.quantizedDimension = axis
    return index


@pytest.mark.parametrize("kind", LAYERS)
def test_weights_of_four_bits(kind, tmp_path):
    shape, axis, x_shape, y_shape, options, fields = LAYERS[kind]
    file = TfliteFile()
    x = file.tensor("x", x_shape, "int8", scale=0.05, zero=3)
    y = file.tensor("y", y_shape, "int8", scale=0.1, zero=-4)
    scale = RNG.uniform(0.02, 0.05, shape[axis]).astype(np.float32)
    w = nibbles(file, "w", RNG.integers(-7, 8, shape), scale, axis)
    stored = RNG.integers(-200, 200, shape[axis]).astype(np.int32)
    b = file.tensor("b", data=stored, scale=np.float32(0.05) * scale)
    file.operator(kind, [x, w, b], [y], options, **fields)
    content = file.pack([x], [y])
    feeds = {"x": RNG.integers(-128, 128, x_shape).astype(np.int8)}
    (expected,) = litert_run(content, feeds)
    (tmp_path / "net.tflite").write_bytes(content)
    compile_model(tmp_path / "net.tflite", "host", tmp_path / "out", requantize="tflite")
    with load(tmp_path / "out") as session:
        np.testing.assert_array_equal(session.run(feeds)["y"], expected)


@pytest.mark.parametrize("kind", LAYERS)
def test_weights_of_float16_behind_dequantize(kind, tmp_path, run, op_types):
    shape, axis, x_shape, y_shape, options, fields = LAYERS[kind]
    file = TfliteFile()
    x, y = file.tensor("x", x_shape), file.tensor("y", y_shape)
    constants = []
    for name, sizes in (("w", shape), ("b", (shape[axis],))):
        half = file.tensor(f"{name}/half", data=RNG.standard_normal(sizes).astype(np.float16))
        constants.append(file.tensor(name, sizes))
        file.operator("DEQUANTIZE", [half], [constants[-1]])
    file.operator(kind, [x, *constants], [y], options, **fields)
    content = file.pack([x], [y])
    feeds = {"x": RNG.standard_normal(x_shape).astype(np.float32)}
    (tmp_path / "net.tflite").write_bytes(content)
    model = import_model(tmp_path / "net.tflite")
    (actual,), (expected,) = run(model, feeds), litert_run(content, feeds)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    assert not {"Cast", "DequantizeLinear"} & set(op_types(model))
