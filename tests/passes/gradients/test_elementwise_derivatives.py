"""Rules of operators of one or two tensors, normalizations and reductions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.passes.gradients.central_differences import check, values

# Operator with its attributes and constants, shape of x, constants by name.
UNARY = [
    "Abs", "Elu<alpha = 0.7>", "Erf", "Gelu", 'Gelu<approximate = "tanh">',
    "HardSigmoid<alpha = 0.3>", "HardSwish", "Identity", "LeakyRelu<alpha = 0.2>", "Neg",
    "Relu", "Selu", "Sigmoid", "Softplus", "Tanh", "Softmax<axis = 1>",
    "LogSoftmax<axis = -1>",
    "GlobalAveragePool", "GlobalMaxPool", "Flatten<axis = 2>", "Transpose",
    "Transpose<perm = [2, 0, 3, 1]>",
    "MaxPool<kernel_shape = [2, 2], strides = [2, 1], pads = [1, 0, 0, 1]>",
    "MaxPool<kernel_shape = [2, 2], dilations = [2, 2]>",
    "AveragePool<kernel_shape = [3, 2], strides = [2, 2], pads = [1, 1, 1, 0]>",
    "AveragePool<kernel_shape = [3, 3], strides = [2, 1], pads = [1, 1, 1, 1],"
    " count_include_pad = 1>",
    'AveragePool<kernel_shape = [2, 2], strides = [2, 2], auto_pad = "SAME_UPPER">',
    "DepthToSpace<blocksize = 2>", 'DepthToSpace<blocksize = 2, mode = "CRD">',
    "SpaceToDepth<blocksize = 2>",
]  # fmt: skip

POSITIVE = ["Exp", "Log", "Reciprocal", "Sqrt"]


@pytest.mark.parametrize("op", UNARY)
def test_operators_of_one_tensor(op, rng):
    head, _, attributes = op.partition("<")
    attributes = f"<{attributes}" if attributes else ""
    text = f"g (double[2,4,4,6] x) => (double[N,M,K,L] y) {{ y = {head}{attributes}(x) }}"
    if head == "Flatten":
        text = text.replace("[N,M,K,L]", "[N,M]")
    check(text, {"x": values(rng, 2, 4, 4, 6)}, rng)


@pytest.mark.parametrize("op", POSITIVE)
def test_operators_of_positive_numbers(op, rng):
    text = f"g (double[3,5] x) => (double[3,5] y) {{ y = {op}(x) }}"
    check(text, {"x": rng.uniform(0.5, 2.0, (3, 5))}, rng)


@settings(max_examples=20, deadline=None)
@given(
    op=st.sampled_from(["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum"]),
    shapes=st.sampled_from(
        [
            ((2, 3), (2, 3)),
            ((2, 3), (3,)),
            ((1, 3), (2, 1)),
            ((1,), (2, 2)),
            ((4, 1, 2), (3, 1)),
        ]
    ),
    seed=st.integers(0, 2**16),
)
def test_two_operands_of_any_broadcast(op, shapes, seed):
    rng = np.random.default_rng(seed)
    a, b = (f"double[{','.join(map(str, shape))}]" for shape in shapes)
    out = np.broadcast_shapes(*shapes)
    y = f"double[{','.join(map(str, out))}]"
    inputs = {"a": rng.uniform(0.5, 2, shapes[0]), "b": rng.uniform(0.5, 2, shapes[1])}
    check(f"g ({a} a, {b} b) => ({y} y) {{ y = {op}(a, b) }}", inputs, rng)


def test_batch_normalization(rng):
    text = """g (double[2,3,4,2] x, double[3] beta) => (double[2,3,4,2] y) {
        y = BatchNormalization(x, gamma, beta, mean, var) }"""
    inputs = {"x": rng.normal(size=(2, 3, 4, 2)), "beta": rng.normal(size=3)}
    statistics = {name: rng.uniform(0.5, 2, 3) for name in ("gamma", "mean", "var")}
    check(text, inputs, rng, **statistics)


@pytest.mark.parametrize("axis", [-1, 1])
def test_layer_normalization(axis, rng):
    text = f"""g (double[2,3,4] x, double[4] beta) => (double[2,3,4] y) {{
        y = LayerNormalization<axis = {axis}>(x, gamma, beta) }}"""
    inputs = {"x": rng.normal(size=(2, 3, 4)), "beta": rng.normal(size=4)}
    check(text, inputs, rng, gamma=rng.uniform(0.5, 2, 4 if axis == -1 else (3, 4)))


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"])
@pytest.mark.parametrize("keep", [0, 1])
def test_reductions(op, keep, rng):
    shape = "3,1,5,1" if keep else "3,5"
    node = f"{op}<keepdims = {keep}>(x, axes)"
    text = f"g (double[3,4,5,2] x) => (double[{shape}] y) {{ y = {node} }}"
    check(text, {"x": values(rng, 3, 4, 5, 2)}, rng, axes=np.array([1, -1]))
