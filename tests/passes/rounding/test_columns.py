import numpy as np
import pytest

from octavo.passes.rounding.columns import (
    has_columns,
    input_columns,
    num_positions,
    output_rows,
    weight_from_matrix,
    weight_matrix,
)

CONVOLUTIONS = {
    "padded": ((2, 3, 7, 6), (4, 3, 3, 3), "pads = [1, 0, 1, 2]"),
    "strides and dilations": ((1, 2, 9, 9), (3, 2, 3, 2), "strides=[2,1], dilations=[1,3]"),
    "groups": ((1, 4, 5, 5), (6, 2, 3, 3), "group = 2, pads = [1,1,1,1]"),
    "depthwise": ((1, 4, 6, 6), (4, 1, 3, 3), "group = 4, strides=[2,2], pads=[0,0,1,1]"),
    "same upper": ((1, 2, 6, 5), (3, 2, 3, 4), 'auto_pad = "SAME_UPPER", strides = [2, 2]'),
    "same lower": ((1, 2, 6, 5), (3, 2, 3, 4), 'auto_pad = "SAME_LOWER"'),
    "one dimension": ((2, 3, 8), (4, 3, 3), "pads = [1, 1]"),
}


def _check(model, run, x, weight):
    node = next(iter(model.graph))
    assert has_columns(node, weight)
    y = run(model, x=x)["y"]
    matrix = weight_matrix(node, weight)
    positions = np.arange(num_positions(node, y))[::2]
    kernel = weight.shape[2:] if node.op_type == "Conv" else ()
    columns = input_columns(node, x, kernel, positions)
    rows = output_rows(node, y, matrix.shape[0], positions)
    # Sums of at most 60 float32 products.
    np.testing.assert_allclose(columns @ matrix.transpose(0, 2, 1), rows, atol=2e-5)
    np.testing.assert_array_equal(weight_from_matrix(node, matrix, weight.shape), weight)


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_a_convolution_is_a_product(build, run, rng, case):
    shape, weight_shape, attributes = CONVOLUTIONS[case]
    weight = rng.normal(size=weight_shape).astype(np.float32)
    dims = ",".join(str(d) for d in shape)
    graph = f"g (float[{dims}] x) => (float y) {{ [c] y = Conv <{attributes}> (x, w) }}"
    graph = graph.replace("float y", f"float[{','.join('abcdefg'[: len(shape)])}] y")
    model = build(graph, w=weight)
    _check(model, run, rng.normal(size=shape).astype(np.float32), weight)


@pytest.mark.parametrize(
    ("layer", "shape", "weight_shape"),
    [
        ("Gemm(x, w)", (3, 5), (5, 4)),
        ("Gemm<transB = 1>(x, w)", (3, 5), (4, 5)),
        ("MatMul(x, w)", (2, 3, 5), (5, 4)),
    ],
)
def test_a_linear_layer_is_a_product(build, run, rng, layer, shape, weight_shape):
    weight = rng.normal(size=weight_shape).astype(np.float32)
    dims = ",".join(str(d) for d in shape)
    out = ",".join([*(str(d) for d in shape[:-1]), "4"])
    model = build(f"g (float[{dims}] x) => (float[{out}] y) {{ y = {layer} }}", w=weight)
    _check(model, run, rng.normal(size=shape).astype(np.float32), weight)


def test_other_layers_are_none(build):
    graph = "g (float[3,5] x) => (float[3,4] y) { y = Gemm<alpha = 2.0>(x, w) }"
    weight = np.ones((5, 4), np.float32)
    assert not has_columns(next(iter(build(graph, w=weight).graph)), weight)
