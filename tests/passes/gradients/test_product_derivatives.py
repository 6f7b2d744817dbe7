"""Rules of convolutions and matrix products."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.passes.gradients.central_differences import check


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(4, 7), st.integers(4, 7)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    dilation=st.integers(1, 2),
    pads=st.tuples(*[st.integers(0, 1)] * 4),
    groups=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 2**16),
)
def test_convolutions_of_any_window(size, kernel, strides, dilation, pads, groups, seed):
    rng = np.random.default_rng(seed)
    dilation = (
        dilation if all((k - 1) * 2 < s for k, s in zip(kernel, size, strict=True)) else 1
    )
    attributes = (
        f"<group = {groups}, strides = {list(strides)}, pads = {list(pads)},"
        f" dilations = [{dilation}, {dilation}], kernel_shape = {list(kernel)}>"
    )
    text = (
        f"g (double[2,4,{size[0]},{size[1]}] x, double[4] b) => (double[N,C,H,W] y)"
        f" {{ y = Conv {attributes}(x, w, b) }}"
    )
    w = rng.normal(size=(4, 4 // groups, *kernel))
    inputs = {"x": rng.normal(size=(2, 4, *size)), "b": rng.normal(size=4)}
    check(text, inputs, rng, w=w)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_convolutions_that_pad_by_themselves(mode, rng):
    attributes = f'<auto_pad = "{mode}", strides = [2, 2]>'
    text = f"g (double[1,2,5,6] x) => (double[N,C,H,W] y) {{ y = Conv{attributes}(x, w) }}"
    check(text, {"x": rng.normal(size=(1, 2, 5, 6))}, rng, w=rng.normal(size=(3, 2, 3, 2)))


@pytest.mark.parametrize(
    "attributes",
    ["group = 2", "strides = [2, 3], pads = [1, 0, 1, 1]",
     "strides = [2, 2], dilations = [2, 1]", "strides = [3, 3], output_padding = [2, 1]"],
)  # fmt: skip
def test_transposed_convolutions(attributes, rng):
    outputs = 3
    text = (
        f"g (double[2,4,3,4] x, double[{outputs * (2 if 'group' in attributes else 1)}] b)"
        f" => (double[N,C,H,W] y) {{ y = ConvTranspose<{attributes}>(x, w, b) }}"
    )
    bias = rng.normal(size=outputs * (2 if "group" in attributes else 1))
    inputs = {"x": rng.normal(size=(2, 4, 3, 4)), "b": bias}
    check(text, inputs, rng, w=rng.normal(size=(4, outputs, 3, 2)))


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
def test_gemm(trans_a, trans_b, rng):
    a, b = rng.normal(size=(3, 5)), rng.normal(size=(5, 4))
    inputs = {"a": a.T if trans_a else a, "b": b.T if trans_b else b, "c": rng.normal(size=4)}
    shapes = [f"double[{x.shape[0]},{x.shape[1]}]" for x in (inputs["a"], inputs["b"])]
    attributes = f"<transA = {trans_a}, transB = {trans_b}, alpha = 0.5, beta = 2.0>"
    text = (
        f"g ({shapes[0]} a, {shapes[1]} b, double[4] c) => (double[3,4] y)"
        f" {{ y = Gemm{attributes}(a, b, c) }}"
    )
    check(text, inputs, rng)


@pytest.mark.parametrize(
    "shapes", [((3, 4), (4, 2)), ((2, 3, 4), (4, 2)), ((2, 1, 3, 4), (5, 4, 2))]
)
def test_matrix_products_of_any_batch(shapes, rng):
    a, b = (f"double[{','.join(map(str, shape))}]" for shape in shapes)
    out = (*np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2]), shapes[0][-2], shapes[1][-1])
    text = f"g ({a} a, {b} b) => (double[{','.join(map(str, out))}] y) {{ y = MatMul(a, b) }}"
    check(text, {"a": rng.normal(size=shapes[0]), "b": rng.normal(size=shapes[1])}, rng)
