import numpy as np
import onnx
import onnx_ir as ir
import pytest

from octavo.compiler.calibration import layer_tensors
from octavo.compiler.calibration.frontier import Frontier, plan_segments
from octavo.compiler.calibration.layer_tensors import LayerWalk
from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.calibration.rounding_layers import find_layers
from octavo.compiler.quantize import quantize_model
from octavo.passes.prepare import prepare

# Two branches, a shortcut over three stops, a constant that is computed, a captured value.
GRAPH = """<ir_version: 10, opset_import: ["": 21]>
g (float[1,4] x, float[1,4] z) => (float[1,4] y)
<float[4] c = {1, 2, 3, 4}, bool on = {1}>
{
    a = Add(x, z)
    k = Neg(c)
    b = Mul(a, k)
    d = Relu(b)
    e = Add(d, a)
    f = If(on) <
        then_branch = yes () => (float[1,4] t) { t = Sub(e, b) },
        else_branch = no () => (float[1,4] u) { u = Identity(x) }
    >
    h = Mul(f, k)
    y = Add(h, a)
}"""
STOPS = ("a", "a", "d", "f", "y")


@pytest.fixture(scope="module")
def model():
    proto = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(GRAPH))
    return ir.from_proto(proto)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    return [{n: rng.normal(size=(1, 4)).astype(np.float32) for n in "xz"} for _ in range(3)]


def _values(model, names):
    made = {value.name: value for node in model.graph for value in node.outputs}
    return [made[name] for name in names]


def test_tensors_are_those_of_whole_runs(model, samples):
    stops = _values(model, STOPS)
    frontier = Frontier(model, [(value,) for value in stops])
    frontier.start(samples)
    run = ReferenceRun(model, list(dict.fromkeys(stops)))
    expected = [run.run(sample) for sample in samples]
    for index, name in enumerate(STOPS):
        found = list(frontier.advance(index))
        assert [list(arrays) for arrays in found] == [[name]] * len(samples)
        for arrays, wanted in zip(found, expected, strict=True):
            np.testing.assert_array_equal(arrays[name], wanted[name])


def test_nothing_is_computed_twice_and_nothing_kept_for_long(model):
    segments = plan_segments(model.graph, [(v,) for v in _values(model, STOPS)])
    names = [
        tuple({value.name for value in part} for part in (s.inputs, s.outputs, s.kept))
        for s in segments
    ]
    assert names == [
        ({"x", "z"}, {"a"}, {"a", "x"}),
        (set(), set(), {"a", "x"}),
        ({"a"}, {"b", "d"}, {"a", "b", "d", "x"}),  # k is of constants: never kept
        ({"a", "b", "d", "x"}, {"f"}, {"a", "f"}),
        ({"a", "f"}, {"y"}, set()),
    ]


def test_what_changed_behind_a_stop_is_used(model, samples):
    model = model.clone()
    frontier = Frontier(model, [(value,) for value in _values(model, ("d", "y"))])
    frontier.start(samples)
    assert np.concatenate([arrays["d"] for arrays in frontier.advance(0)]).any()
    constant = model.graph.initializers["c"]
    constant.const_value = ir.tensor(np.float32([0, 0, 0, 0]), name="c")
    for arrays, sample in zip(frontier.advance(1), samples, strict=True):
        np.testing.assert_array_equal(arrays["y"], sample["x"] + sample["z"])


def test_samples_are_left_out_when_their_tensors_do_not_fit(monkeypatch):
    proto = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["": 21]>
        g (float[1,8] x) => (float[1,8] y) {
            [one] a = MatMul(x, w1) [relu] b = Relu(a) [two] y = MatMul(b, w2)
        }""")
    rng = np.random.default_rng(0)
    for name in ("w1", "w2"):
        weight = rng.normal(size=(8, 8)).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
    network = prepare(ir.from_proto(onnx.shape_inference.infer_shapes(proto)))
    samples = [{"x": np.full((1, 8), i, np.float32)} for i in range(9)]
    quantized = quantize_model(network, samples, measure=False).model
    layers, _ = find_layers(network, quantized)
    most = 3 * 32  # bytes of one sample: what the second product reads, its source, its output
    for room, numbers in ((9 * most, range(9)), (6 * most - 1, range(0, 9, 2)), (0, (0, 8))):
        monkeypatch.setattr(layer_tensors, "MAX_FRONTIER_BYTES", room)
        walk = LayerWalk(network, quantized, layers, samples, sequential=False)
        read = [float(tensors.x[0, 0]) for tensors in walk.visit(0)]
        np.testing.assert_allclose(read, numbers, atol=0.05)
