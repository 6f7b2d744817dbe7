import numpy as np
import onnx_ir as ir
import pytest

from octavo.passes.elementwise import ELEMENTWISE_OP_TYPES, evaluate
from octavo.passes.elementwise_chains import evaluate_chain, find_chains

X = np.linspace(-3, 3, 61, dtype=np.float32)
ATTRIBUTES = {
    "Celu": "<alpha=0.7>",
    "Elu": "<alpha=0.7>",
    "HardSigmoid": "<alpha=0.3, beta=0.4>",
    "LeakyRelu": "<alpha=0.2>",
    "Selu": "",
    "Shrink": "<lambd=0.6, bias=0.1>",
    "ThresholdedRelu": "<alpha=0.5>",
    "Gelu": '<approximate="tanh">',
}
BINARY = ("Add", "Div", "Max", "Min", "Mul", "Pow", "PRelu", "Sub")
# Swish is younger than opset 21; Clip's bounds are inputs.
UNARY = [t for t in ELEMENTWISE_OP_TYPES if t not in (*BINARY, "Swish", "Clip")]


@pytest.mark.parametrize("op_type", UNARY)
def test_function_equals_onnxruntime(build, run, op_type):
    attributes = ATTRIBUTES.get(op_type, "")
    model = build(f"g (float[61] x) => (float[61] y) {{ y = {op_type}{attributes}(x) }}")
    expected = run(model, x=X)["y"]
    result = evaluate(model.graph[0], [X.astype(np.float64)])
    # Both round float64 or float32 arithmetic; four digits of slack over float32 resolution.
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op_type", BINARY)
def test_function_of_a_tensor_and_a_constant_equals_onnxruntime(build, run, op_type):
    model = build(
        f"g (float[61] x) => (float[61] y) {{ y = {op_type}(x, c) }}", c=np.float32([2.0])
    )
    expected = run(model, x=X)["y"]
    result = evaluate(model.graph[0], [X.astype(np.float64), np.float64(2.0)])
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def chains_of(model: ir.Model) -> list[tuple[str, list[str], str]]:
    return [
        (chain.source.name, [node.op_type for node in chain.nodes], chain.output.name)
        for chain in find_chains(model.graph, ())
    ]


def test_silu_is_one_chain(build):
    model = build("g (float[4] x) => (float[4] y) { s = Sigmoid(x) y = Mul(x, s) }")
    assert chains_of(model) == [("x", ["Sigmoid", "Mul"], "y")]
    x = np.array([-1.0, 0.0, 2.0])
    chain = find_chains(model.graph, ())[0]
    np.testing.assert_allclose(
        evaluate_chain(chain.nodes, chain.source, x), x / (1 + np.exp(-x))
    )


def test_scalar_constants_belong_to_a_chain_and_vectors_do_not(build):
    graph = "g (float[4] x) => (float[4] y) { a = Mul(x, c) b = Tanh(a) y = Add(b, v) }"
    model = build(graph, c=np.float32(2.0), v=np.ones(4, np.float32))
    assert chains_of(model) == [("x", ["Mul", "Tanh"], "b")]


def test_a_value_read_outside_ends_a_chain(build):
    graph = """g (float[1,2,4,4] x) => (float[1,2,4,4] y, float[1,2,2,2] z) {
        a = Relu(x) s = Sigmoid(a) y = Mul(a, s)
        z = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a)
    }"""
    assert chains_of(build(graph)) == [("x", ["Relu"], "a"), ("a", ["Sigmoid", "Mul"], "y")]


def test_two_sources_make_no_chain(build):
    graph = (
        "g (float[4] x, float[4] w) => (float[4] y) { a = Relu(x) b = Relu(w) y = Add(a, b) }"
    )
    assert chains_of(build(graph)) == [("x", ["Relu"], "a"), ("w", ["Relu"], "b")]


def test_excluded_nodes_are_in_no_chain(build):
    model = build("g (float[4] x) => (float[4] y) { a = Relu(x) y = Tanh(a) }")
    chains = find_chains(model.graph, [model.graph[0]])
    assert [[node.op_type for node in chain.nodes] for chain in chains] == [["Tanh"]]
