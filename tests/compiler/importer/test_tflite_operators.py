"""TFLite operators beside those of small image networks, in float, against LiteRT."""

import numpy as np
import pytest

from octavo.compiler.importer import import_model

pytest.importorskip("ai_edge_litert")
from ai_edge_litert.interpreter import OpResolverType
from benchmarks.peers.tflite.files import TfliteFile, litert_run

RNG = np.random.default_rng(11)
IMAGE = (1, 6, 5, 4)


def ints(file, value):
    return file.tensor("ints", data=np.int32(value))


def floats(file, *shape):
    return file.tensor("floats", data=RNG.random(shape).astype(np.float32) + 0.5)


def transpose_conv(padding, bias):
    def operands(file, x):
        weights = [floats(file, 3, 3, 3, 4), x]
        out = [1, 12, 10, 3] if padding == 0 else [1, 13, 11, 3]
        return [ints(file, out), *weights, *([floats(file, 3)] if bias else [])]

    options = {"strideH": 2, "strideW": 2, "padding": padding}
    return operands, "TransposeConvOptions", options


def plain(*constants):
    return lambda file, x: [x, *(ints(file, constant) for constant in constants)]


def alone(file, x):
    return [x]


def twice(file, x):
    return [x, x]


# kind: output shapes, operands, options
CASES = [
    ("TRANSPOSE_CONV", [(1, 12, 10, 3)], *transpose_conv(0, bias=False)),
    ("TRANSPOSE_CONV", [(1, 13, 11, 3)], *transpose_conv(1, bias=True)),
    ("PRELU", [IMAGE], lambda file, x: [x, floats(file, 1, 1, 4)], None, {}),
    ("SLICE", [(1, 3, 5, 2)], plain([0, 2, 0, 1], [1, 3, -1, 2]), None, {}),
    ("SPLIT_V", [(1, 2, 5, 4), (1, 4, 5, 4)], plain([2, 4], 1), "SplitVOptions",
     {"numSplits": 2}),
    ("GATHER", [(1, 6, 5, 3)], plain([2, 0, 2]), "GatherOptions", {"axis": 3}),
    ("PACK", [(2, *IMAGE)], twice, "PackOptions", {"axis": 0, "valuesCount": 2}),
    ("SUM", [(1, 5, 4)], plain([1]), "ReducerOptions", {}),
    ("REDUCE_MAX", [(1, 6, 5, 1)], plain([-1]), "ReducerOptions", {"keepDims": True}),
    ("EXPAND_DIMS", [(1, 1, 6, 5, 4)], plain(1), None, {}),
    ("SQUEEZE", [(6, 5, 4)], alone, None, {}),
    ("PADV2", [(1, 7, 6, 4)],
     lambda file, x: [x, ints(file, [[0, 0], [1, 0], [0, 1], [0, 0]]),
                      file.tensor("value", data=np.float32(2.5))], None, {}),
    ("RESIZE_BILINEAR", [(1, 11, 9, 4)], plain([11, 9]), "ResizeBilinearOptions",
     {"alignCorners": True}),
    ("RESIZE_BILINEAR", [(1, 11, 9, 4)], plain([11, 9]), "ResizeBilinearOptions", {}),
    ("RESIZE_NEAREST_NEIGHBOR", [(1, 11, 9, 4)], plain([11, 9]),
     "ResizeNearestNeighborOptions", {"alignCorners": True}),
    ("RESIZE_NEAREST_NEIGHBOR", [(1, 4, 9, 4)], plain([4, 9]),
     "ResizeNearestNeighborOptions", {"halfPixelCenters": True}),
    ("GELU", [IMAGE], alone, "GeluOptions", {}),
    ("GELU", [IMAGE], alone, "GeluOptions", {"approximate": True}),
    ("SQUARED_DIFFERENCE", [IMAGE], lambda file, x: [x, floats(file, 4)], None, {}),
    ("DIV", [IMAGE], lambda file, x: [x, floats(file, 4)], "DivOptions", {}),
    ("MAXIMUM", [IMAGE], lambda file, x: [x, floats(file, 4)], None, {}),
    ("MINIMUM", [IMAGE], lambda file, x: [x, floats(file, 4)], None, {}),
    ("LOG_SOFTMAX", [IMAGE], alone, None, {}),
    *((kind, [IMAGE], alone, None, {}) for kind in
      ("ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "NEG", "SIN", "SQUARE")),
]  # fmt: skip


@pytest.mark.parametrize("after_conv", [False, True], ids=["input", "after a convolution"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[4]}")
def test_operators(case, after_conv, tmp_path, run):
    kind, shapes, operands, options, fields = case
    file = TfliteFile()
    x = source = file.tensor("x", IMAGE)
    outputs = [file.tensor(f"y{i}", shape) for i, shape in enumerate(shapes)]
    if after_conv:  # the operand then lies with its channels outermost
        source = file.tensor("features", IMAGE)
        strides = {"strideH": 1, "strideW": 1}
        weight = file.tensor("w", data=RNG.standard_normal((4, 1, 1, 4)).astype(np.float32))
        bias = file.tensor("b", data=np.zeros(4, np.float32))
        file.operator("CONV_2D", [x, weight, bias], [source], "Conv2DOptions", **strides)
    file.operator(kind, operands(file, source), outputs, options, **fields)
    content = file.pack([x], outputs)
    feeds = {"x": RNG.standard_normal(IMAGE).astype(np.float32)}
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    actual = run(import_model(path), feeds)
    # the reference kernels lack CEIL and ELU
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    for value, expected in zip(actual, litert_run(content, feeds, kernels), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
