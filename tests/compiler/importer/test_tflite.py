"""TFLite models compute after import what LiteRT's reference kernels compute."""

from pathlib import Path

import numpy as np
import pytest

from octavo.compiler.compile import compile_model
from octavo.compiler.importer import import_model
from octavo.compiler.session import load

pytest.importorskip("ai_edge_litert")
from ai_edge_litert.interpreter import OpResolverType
from benchmarks.peers.tflite.files import TfliteFile, litert_run

RNG = np.random.default_rng(7)
SCALE, ZERO = 0.0517, 3  # of the input of quantized models; no round number: few ties
RELU, RELU_N1_TO_1, RELU6 = 1, 2, 3
SAME, VALID = 0, 1


def network(dtype, shape, out_shape, append, out_scale=SCALE, out_zero=ZERO):
    """A file with one input and one output; ``append`` adds the operators between them."""
    file = TfliteFile()
    file.quantized, file.bias_type = dtype != "float32", np.int32
    zeros = (0, 0) if dtype == "int16" else (ZERO, out_zero)
    x = file.tensor("x", shape, dtype, scale=SCALE if file.quantized else None, zero=zeros[0])
    y = file.tensor(
        "y", out_shape, dtype, scale=out_scale if file.quantized else None, zero=zeros[1]
    )
    append(file, x, y)
    return file.pack([x], [y])


def weight(file, name, shape, axis=0, in_scale=SCALE):
    """A weight and its bias: float, or int8 with a scale for each channel."""
    values = RNG.standard_normal(shape) / np.sqrt(np.prod(shape) / shape[axis])
    bias = RNG.standard_normal(shape[axis])
    if not file.quantized:
        return (
            file.tensor(name, data=values.astype(np.float32)),
            file.tensor(f"{name}/bias", data=bias.astype(np.float32)),
        )
    others = tuple(a for a in range(len(shape)) if a != axis)
    scale = (np.abs(values).max(axis=others, keepdims=True) / 127).astype(np.float32)
    stored = np.round(values / scale).astype(np.int8)
    bias_scale = in_scale * scale.reshape(-1)
    return (
        file.tensor(name, data=stored, scale=scale.reshape(-1), axis=axis),
        file.tensor(
            f"{name}/bias",
            data=np.round(bias / bias_scale).astype(file.bias_type),
            scale=bias_scale,
        ),
    )


def conv(kernel=(3, 3), channels=(4, 6), **fields):
    defaults = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}

    def append(file, x, y):
        w, b = weight(file, "w", (channels[1], *kernel, channels[0]))
        file.operator("CONV_2D", [x, w, b], [y], "Conv2DOptions", **defaults | fields)

    return append


def depthwise(multiplier, **fields):
    defaults = {"dilationHFactor": 1, "dilationWFactor": 1, "depthMultiplier": multiplier}

    def append(file, x, y):
        w, b = weight(file, "w", (1, 3, 3, 4 * multiplier), axis=3)
        options = "DepthwiseConv2DOptions"
        file.operator("DEPTHWISE_CONV_2D", [x, w, b], [y], options, **defaults | fields)

    return append


def fully_connected(inputs, outputs, **fields):
    def append(file, x, y):
        w, b = weight(file, "w", (outputs, inputs))
        file.operator("FULLY_CONNECTED", [x, w, b], [y], "FullyConnectedOptions", **fields)

    return append


def simple(kind, options=None, constants=(), **fields):
    def append(file, x, y):
        indices = [file.tensor(f"c{i}", data=np.int32(c)) for i, c in enumerate(constants)]
        file.operator(kind, [x, *indices], [y], options, **fields)

    return append


def with_constant(kind, options, value, **fields):
    def append(file, x, y):
        if file.quantized:
            stored = np.round(np.asarray(value) / 0.0213).astype(np.int8)
            c = file.tensor("c", data=stored, scale=0.0213)
        else:
            c = file.tensor("c", data=np.asarray(value, np.float32))
        file.operator(kind, [x, c], [y], options, **fields)

    return append


POOL = {"filterHeight": 3, "filterWidth": 2, "strideH": 2, "strideW": 2}
IMAGE = (1, 9, 8, 4)
# name: shape, output shape, operators, then scale and zero point of a quantized output
CASES = {
    "conv": (IMAGE, (1, 7, 6, 6), conv(padding=VALID)),
    "conv same, odd": (
        IMAGE,
        (1, 5, 4, 6),
        conv(padding=SAME, strideH=2, strideW=2, fusedActivationFunction=RELU6),
    ),
    "conv even kernel": (IMAGE, (1, 9, 8, 6), conv((2, 4), fusedActivationFunction=RELU)),
    "conv dilated": (IMAGE, (1, 9, 8, 6), conv(dilationHFactor=2, dilationWFactor=3)),
    "conv grouped": (IMAGE, (1, 9, 8, 6), conv(channels=(2, 6))),
    "depthwise": (IMAGE, (1, 5, 4, 4), depthwise(1, strideH=2, strideW=2)),
    "depthwise multiplied": (IMAGE, (1, 9, 8, 8), depthwise(2, strideH=1, strideW=1)),
    "fully connected": ((2, 12), (2, 5), fully_connected(12, 5)),
    "fully connected flat": ((1, 2, 2, 3), (1, 5), fully_connected(12, 5)),
    "fully connected rank 3": ((1, 3, 8), (1, 3, 5), fully_connected(8, 5, keepNumDims=True)),
    "average pool": (IMAGE, (1, 5, 4, 4), simple("AVERAGE_POOL_2D", "Pool2DOptions", **POOL)),
    "max pool": (
        IMAGE,
        (1, 4, 4, 4),
        simple("MAX_POOL_2D", "Pool2DOptions", padding=VALID, **POOL),
    ),
    "mean": (
        (1, 7, 7, 4),
        (1, 4),
        simple("MEAN", "ReducerOptions", [[1, 2]], keepDims=False),
        0.01,
        -2,
    ),
    "mean of features": (
        (1, 5, 9),
        (1, 5, 1),
        simple("MEAN", "ReducerOptions", [[-1]], keepDims=True),
        0.02,
        -2,
    ),
    "add": (IMAGE, IMAGE, with_constant("ADD", "AddOptions", [1.0, -1.0, 0.5, 2.0]), 0.06, -5),
    "sub": (IMAGE, IMAGE, with_constant("SUB", "SubOptions", [1.0, -1.0, 0.5, 2.0]), 0.06, -5),
    "mul": (IMAGE, IMAGE, with_constant("MUL", "MulOptions", [1.0, -1.0, 0.5, 2.0]), 0.09, 4),
    "relu": (IMAGE, IMAGE, simple("RELU")),
    "relu6": (IMAGE, IMAGE, simple("RELU6"), 6 / 255, -128),
    "relu n1 to 1": (IMAGE, IMAGE, simple("RELU_N1_TO_1"), 2 / 255, 0),
    "logistic": (IMAGE, IMAGE, simple("LOGISTIC"), 1 / 256, -128),
    "tanh": (IMAGE, IMAGE, simple("TANH"), 1 / 128, 0),
    "hard swish": (IMAGE, IMAGE, simple("HARD_SWISH"), 0.03, -100),
    "leaky relu": (IMAGE, IMAGE, simple("LEAKY_RELU", "LeakyReluOptions", alpha=0.1)),
    "softmax": (
        (2, 10),
        (2, 10),
        simple("SOFTMAX", "SoftmaxOptions", beta=1.0),
        1 / 256,
        -128,
    ),
    "reshape": (IMAGE, (1, 72, 4), simple("RESHAPE", None, [[1, 72, 4]])),
    "transpose": (IMAGE, (1, 4, 9, 8), simple("TRANSPOSE", None, [[0, 3, 1, 2]])),
    "pad": (IMAGE, (1, 10, 11, 4), simple("PAD", None, [[[0, 0], [0, 1], [1, 2], [0, 0]]])),
    "strided slice": (
        IMAGE,
        (1, 4, 7, 4),
        simple(
            "STRIDED_SLICE",
            "StridedSliceOptions",
            [[0, 1, -2, 0], [0, 9, 1, 2], [1, 2, -1, 1]],
            beginMask=0b0001,
            endMask=0b1101,
        ),
    ),
    "resize bilinear": (
        IMAGE,
        (1, 18, 12, 4),
        simple("RESIZE_BILINEAR", "ResizeBilinearOptions", [[18, 12]], halfPixelCenters=True),
    ),
    "resize nearest": (
        IMAGE,
        (1, 18, 12, 4),
        simple("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions", [[18, 12]]),
    ),
}
# Kernels of LiteRT that round half away from zero, or compute in 16 bits.
ROUGH = {"average pool": 0.8, "hard swish": 0.9, "resize bilinear": 0.85, "leaky relu": 0.9}


def assert_within_a_step(actual, expected, least_equal=0.99):
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    steps = np.abs(actual.astype(np.int64) - expected)
    assert steps.max() <= 1
    assert (steps == 0).mean() >= least_equal


def saved(content, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", CASES)
def test_float_operators(name, tmp_path, run):
    shape, out_shape, append, *_ = CASES[name]
    content = network("float32", shape, out_shape, append)
    x = {"x": RNG.standard_normal(shape).astype(np.float32) * 3}
    (expected,) = litert_run(content, x)
    (actual,) = run(import_model(saved(content, tmp_path)), x)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_int8_operators(name, tmp_path, run):
    shape, out_shape, append, *out = CASES[name]
    content = network("int8", shape, out_shape, append, *out)
    x = {"x": RNG.integers(-128, 128, shape).astype(np.int8)}
    (actual,) = run(import_model(saved(content, tmp_path)), x)
    # LiteRT's reference rounds twice, its usual kernels once, as ONNX does
    (reference,) = litert_run(content, x)
    assert_within_a_step(actual, reference, least_equal=0.25)
    (usual,) = litert_run(content, x, OpResolverType.AUTO)
    assert_within_a_step(actual, usual, ROUGH.get(name, 0.99))


def small_network(dtype, file=None):
    """Convolution, depthwise convolution, sum, pool and a fully connected layer."""
    file = file or TfliteFile()
    file.quantized = dtype != "float32"
    file.bias_type = np.int64 if dtype == "int16" else np.int32

    def value(name, shape, scale, zero=0):
        quantization = {"scale": scale, "zero": zero} if file.quantized else {}
        return file.tensor(name, shape, dtype, **quantization)

    zero, step = (0, 1 / 256) if dtype == "int16" else (-128, 1)
    x = value("image", (1, 12, 12, 3), 0.0213 * step)
    a, b, c, d, e, f, g = (
        value("a", (1, 6, 6, 8), 0.031 * step, zero),
        value("b", (1, 6, 6, 8), 0.029 * step, zero),
        value("c", (1, 6, 6, 8), 0.043 * step, zero),
        value("d", (1, 3, 3, 8), 0.043 * step, zero),
        value("e", (1, 72), 0.043 * step, zero),
        value("f", (1, 5), 0.0513 * step, 0),
        value("scores", (1, 5), 0.0513 * step, 0),
    )
    w, bias = weight(file, "w1", (8, 3, 3, 3), in_scale=0.0213 * step)
    strides = {"strideH": 2, "strideW": 2, "fusedActivationFunction": RELU}
    file.operator("CONV_2D", [x, w, bias], [a], "Conv2DOptions", **strides)
    w, bias = weight(file, "w2", (1, 3, 3, 8), axis=3, in_scale=0.031 * step)
    strides = {"strideH": 1, "strideW": 1, "fusedActivationFunction": RELU6}
    options = "DepthwiseConv2DOptions"
    file.operator(
        "DEPTHWISE_CONV_2D", [a, w, bias], [b], options, depthMultiplier=1, **strides
    )
    file.operator("ADD", [a, b], [c], "AddOptions")
    pool = {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2, "padding": VALID}
    file.operator("MAX_POOL_2D", [c], [d], "Pool2DOptions", **pool)
    file.operator("RESHAPE", [d, file.tensor("size", data=np.int32([1, 72]))], [e])
    w, bias = weight(file, "w3", (5, 72), in_scale=0.043 * step)
    file.operator("FULLY_CONNECTED", [e, w, bias], [f], "FullyConnectedOptions")
    file.operator("RELU", [f], [g])
    return file.pack([x], [g])


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_an_artifact_computes_what_litert_computes(dtype, tmp_path):
    content = small_network(dtype)
    compile_model(saved(content, tmp_path), "host", tmp_path / "artifact")
    limits = np.iinfo(dtype)
    x = {"image": RNG.integers(limits.min, limits.max, (1, 12, 12, 3)).astype(dtype)}
    (expected,) = litert_run(content, x)
    with load(tmp_path / "artifact") as session:
        assert_within_a_step(session.run(x)["scores"], expected)


def test_nothing_is_transposed_between_convolutions(tmp_path, op_types):
    model = import_model(saved(small_network("int8"), tmp_path))
    # the input, and what is flattened in the order of the file
    assert op_types(model).count("Transpose") == 2


def test_scales_and_zero_points_are_those_of_the_file(tmp_path):
    model = import_model(saved(small_network("int8"), tmp_path))
    constants = {name: v.const_value.numpy() for name, v in model.graph.initializers.items()}
    assert constants["a/scale"] == np.float32(0.031)
    assert constants["a/zero_point"] == -128
    assert constants["a/zero_point"].dtype == np.int8
    assert constants["w1/scale"].shape == (8,)


def padded_conv(amounts, **fields):
    def append(file, x, y):
        quantization = {"scale": SCALE, "zero": ZERO} if file.quantized else {}
        dtype = "int8" if file.quantized else "float32"
        shape = np.add(IMAGE, np.sum(amounts, axis=1))
        padded = file.tensor("padded", shape, dtype, **quantization)
        file.operator("PAD", [x, file.tensor("amounts", data=np.int32(amounts))], [padded])
        conv(padding=VALID, **fields)(file, padded, y)

    return append


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_padding_with_zeros_becomes_the_convolutions(dtype, tmp_path, run, op_types):
    append = padded_conv([[0, 0], [1, 0], [2, 1], [0, 0]], strideH=2, strideW=1)
    content = network(dtype, IMAGE, (1, 4, 9, 6), append)
    model = import_model(saved(content, tmp_path))
    assert "Pad" not in op_types(model)
    x = {"x": np.clip(RNG.standard_normal(IMAGE) * 60, -128, 127).astype(dtype)}
    (expected,), (actual,) = litert_run(content, x, OpResolverType.AUTO), run(model, x)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-4)


def test_parts_are_split_and_joined_in_the_layout_of_their_neighbours(tmp_path, run, op_types):
    file = TfliteFile()
    file.quantized = False
    x, a, y = (file.tensor(n, (1, 6, 6, c)) for n, c in (("x", 4), ("a", 6), ("y", 6)))
    parts = [file.tensor(f"part{i}", (1, 6, 6, 3)) for i in range(2)]
    joined = file.tensor("joined", (1, 6, 6, 6))
    conv()(file, x, a)
    axis = file.tensor("axis", data=np.int32(3))
    file.operator("SPLIT", [axis, a], parts, "SplitOptions", numSplits=2)
    file.operator("CONCATENATION", parts[::-1], [joined], "ConcatenationOptions", axis=-1)
    w, b = weight(file, "w2", (6, 1, 1, 6))
    file.operator("CONV_2D", [joined, w, b], [y], "Conv2DOptions", strideH=1, strideW=1)
    content = file.pack([x], [y])
    model = import_model(saved(content, tmp_path))
    assert op_types(model).count("Transpose") == 2
    feeds = {"x": RNG.standard_normal((1, 6, 6, 4)).astype(np.float32)}
    (expected,) = litert_run(content, feeds)
    np.testing.assert_allclose(run(model, feeds)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("adjoint", [False, True])
def test_products_of_two_values(adjoint, tmp_path, run):
    file = TfliteFile()
    shapes = {"a": (2, 3, 5), "b": (2, 4, 5) if adjoint else (2, 5, 4)}
    a, b = (file.tensor(n, s, "int8", scale=0.0517, zero=3) for n, s in shapes.items())
    y = file.tensor("y", (2, 3, 4), "int8", scale=0.8)
    file.operator("BATCH_MATMUL", [a, b], [y], "BatchMatMulOptions", adjY=adjoint)
    content = file.pack([a, b], [y])
    feeds = {n: RNG.integers(-128, 128, s).astype(np.int8) for n, s in shapes.items()}
    (expected,) = litert_run(content, feeds)
    (actual,) = run(import_model(saved(content, tmp_path)), feeds)
    assert_within_a_step(actual, expected, least_equal=0.95)


def test_float_ends_are_quantized_as_the_file_says(tmp_path, run):
    file = TfliteFile()
    x, y = (file.tensor(n, (1, 40)) for n in "xy")
    q = file.tensor("q", (1, 40), "int8", scale=0.0517, zero=3)
    r = file.tensor("r", (1, 40), "uint8", scale=0.03, zero=120)
    file.operator("QUANTIZE", [x], [q])
    file.operator("QUANTIZE", [q], [r])
    file.operator("DEQUANTIZE", [r], [y])
    content = file.pack([x], [y])
    feeds = {"x": RNG.standard_normal((1, 40)).astype(np.float32) * 3}
    (expected,) = litert_run(content, feeds)
    (actual,) = run(import_model(saved(content, tmp_path)), feeds)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_weights_alone_may_be_quantized(tmp_path, op_types):
    file = TfliteFile()
    x, y = file.tensor("x", (2, 12)), file.tensor("y", (2, 5))
    w = file.tensor("w", data=np.ones((5, 12), np.int8), scale=np.full(5, 0.1))
    file.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions")
    model = import_model(saved(file.pack([x], [y]), tmp_path))
    assert op_types(model) == ["DequantizeLinear", "Gemm"]


def test_the_tables_are_those_of_the_schema():
    from ai_edge_litert import schema_py_generated as schema

    from octavo.compiler.importer.tflite.schema import ELEMENT_TYPES, OPERATORS, OPTIONS

    for code, name in enumerate(OPERATORS):
        assert getattr(schema.BuiltinOperator, name) == code
    for code, kind in ELEMENT_TYPES.items():
        assert getattr(schema.TensorType, kind.name) == code
    names = {v: k for k, v in vars(schema.BuiltinOptions).items() if isinstance(v, int)}
    classes = Path(schema.__file__).read_text().split("\nclass ")
    sources = {text.split("(")[0]: text for text in classes}
    for number, fields in OPTIONS.values():
        table = sources[names[number]].split("def ")
        for field, record in fields.items():
            accessor = "".join(part.title() for part in field.split("_"))
            (body,) = (part for part in table if part.startswith(f"{accessor}(self)"))
            assert f"Offset({4 + 2 * record.slot})" in body
