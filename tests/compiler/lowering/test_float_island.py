"""Float operators through TVM Relax: right values, no allocation, shared functions."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.conformance.program_runner import ProgramRunner

from octavo.compiler.artifact.raw_abi import lower_to_raw_abi
from octavo.compiler.lowering.float_island import lower_float_nodes
from octavo.compiler.lowering.float_schedule import MAX_STACK_BYTES
from octavo.compiler.lowering.lower import lower
from octavo.errors import LoweringError
from octavo.targets import get_target

OPSET = 21
node = helper.make_node


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    return ProgramRunner(get_target("host"), tmp_path_factory.mktemp("islands"))


def build(nodes, inputs, outputs, constants=None):
    """A checked model with inferred shapes; inputs and outputs are name -> (dtype, shape)."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, *t) for n, t in inputs.items()],
        [helper.make_tensor_value_info(n, t, None) for n, t in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(model)
    return model


def island_of(model):
    graph = ir.from_proto(model).graph
    return lower_float_nodes(list(graph), list(graph.outputs), OPSET, get_target("host"))


def compare(runner, model, feeds, tolerance):
    """Ours against onnxruntime; returns our results."""
    session = ort.InferenceSession(model.SerializeToString())
    names = [o.name for o in session.get_outputs()]
    expected = dict(zip(names, session.run(names, feeds), strict=True))
    results = runner.run(lower(ir.from_proto(model), get_target("host")), feeds)
    for name in names:
        assert results[name].dtype == expected[name].dtype
        np.testing.assert_allclose(
            results[name], expected[name], rtol=tolerance, atol=tolerance)
    return results


def test_tuples_scalars_truth_values_and_integers(runner):
    model = build(
        [
            node("Softmax", ["x"], ["s"], axis=1),
            node("Split", ["s"], ["left", "right"], axis=1, num_outputs=2),
            node("ReduceMean", ["s"], ["mean"], keepdims=0),
            node("ArgMax", ["x"], ["place"], axis=1, keepdims=0),
            node("Greater", ["x", "zero"], ["positive"]),
        ],
        {"x": (TensorProto.FLOAT, (5, 8))},
        {"left": TensorProto.FLOAT, "right": TensorProto.FLOAT, "mean": TensorProto.FLOAT,
         "place": TensorProto.INT64, "positive": TensorProto.BOOL},
        {"zero": np.float32(0)},
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    # exp differs by a few units in the last place between libraries
    results = compare(runner, model, {"x": x}, 8 * np.finfo(np.float32).eps)
    assert results["mean"].shape == ()


def test_large_intermediates_are_operands_not_allocations():
    model = build(
        [node("Softmax", ["x"], ["y"], axis=1)],
        {"x": (TensorProto.FLOAT, (64, 1024))}, {"y": TensorProto.FLOAT})  # fmt: skip
    island = island_of(model)
    assert max(island.temporary_bytes.values()) > MAX_STACK_BYTES
    (step,) = island.steps
    assert step.num_written >= 2  # the result and at least one scratch buffer
    assert len(step.function.params) == len(step.operands)
    assert "AllocWorkspace" not in llvm_of(step)


def llvm_of(step):
    import tvm
    from tvm.tirx.build import codegen_build

    target = tvm.target.Target(get_target("host").tvm_target())
    alignments = {"f": [64] * len(step.function.params)}
    module = lower_to_raw_abi({"f": step.function}, alignments, target)
    return str(codegen_build(module, target).inspect_source("ll"))


def test_elementwise_work_on_whole_tensors_is_parallel_and_vectorized():
    model = build(
        [node("Mul", ["x", "x"], ["a"]), node("Abs", ["a"], ["y"])],
        {"x": (TensorProto.FLOAT, (8, 32, 1024))}, {"y": TensorProto.FLOAT})  # fmt: skip
    (step,) = island_of(model).steps  # both are one function
    source = llvm_of(step)
    assert "TVMBackendParallelLaunch" in source
    assert "x float>" in source


def test_a_refused_node_is_named():
    model = build(
        [node("Det", ["x"], ["y"], name="area")],
        {"x": (TensorProto.FLOAT, (3, 3))}, {"y": TensorProto.FLOAT})  # fmt: skip
    with pytest.raises(LoweringError, match="Det 'area'") as caught:
        island_of(model)
    assert "\n" not in str(caught.value)


def test_narrow_types_are_refused():
    model = build(
        [node("Cast", ["x"], ["y"], to=TensorProto.FLOAT8E4M3FN)],
        {"x": (TensorProto.FLOAT, (3,))}, {"y": TensorProto.FLOAT8E4M3FN})  # fmt: skip
    with pytest.raises(LoweringError, match="FLOAT8E4M3FN"):
        island_of(model)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers_match_onnxruntime(runner, kind):
    rng = np.random.default_rng(1)
    steps, batch, size, hidden, gates = 5, 2, 7, 6, {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    constants = {
        "w": rng.normal(0, 0.4, (2, gates * hidden, size)).astype(np.float32),
        "r": rng.normal(0, 0.4, (2, gates * hidden, hidden)).astype(np.float32),
        "b": rng.normal(0, 0.4, (2, 2 * gates * hidden)).astype(np.float32),
        "lengths": np.array([5, 3], np.int32),
    }
    extra = {"linear_before_reset": 1} if kind == "GRU" else {}
    model = build(
        [node(kind, ["x", "w", "r", "b", "lengths"], ["y", "h"], hidden_size=hidden,
              direction="bidirectional", **extra)],
        {"x": (TensorProto.FLOAT, (steps, batch, size))},
        {"y": TensorProto.FLOAT, "h": TensorProto.FLOAT}, constants)  # fmt: skip
    x = rng.normal(size=(steps, batch, size)).astype(np.float32)
    # Values are below 1; each of the 5 steps adds a few roundings of sums of 13 products.
    compare(runner, model, {"x": x}, 5 * 16 * np.finfo(np.float32).eps)


def test_the_steps_of_a_recurrence_share_functions():
    steps, hidden = 12, 4
    zeros = np.zeros((1, 4 * hidden, hidden), np.float32)
    model = build(
        [node("LSTM", ["x", "w", "w"], ["y"], hidden_size=hidden)],
        {"x": (TensorProto.FLOAT, (steps, 1, hidden))}, {"y": TensorProto.FLOAT},
        {"w": zeros})  # fmt: skip
    keys = [step.key for step in island_of(model).steps]
    assert len(keys) > 2 * steps
    assert len(set(keys)) < 2 * steps


@pytest.mark.parametrize("largest", [0, 1])
def test_top_k_breaks_ties_by_index(runner, largest):
    x = np.array([[3, 1, 3, 2, 1], [5, 5, 5, 5, 5], [1, 2, 3, 4, 5]], np.float32)
    model = build(
        [node("TopK", ["x", "k"], ["v", "i"], axis=1, largest=largest)],
        {"x": (TensorProto.FLOAT, x.shape)},
        {"v": TensorProto.FLOAT, "i": TensorProto.INT64}, {"k": np.array([3])})  # fmt: skip
    compare(runner, model, {"x": x}, 0)


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
def test_cumulative_sums_of_any_length(runner, exclusive, reverse):
    x = np.arange(1, 22, dtype=np.int32).reshape(3, 7)
    model = build(
        [node("CumSum", ["x", "axis"], ["y"], exclusive=exclusive, reverse=reverse)],
        {"x": (TensorProto.INT32, x.shape)}, {"y": TensorProto.INT32},
        {"axis": np.array(1)})  # fmt: skip
    compare(runner, model, {"x": x}, 0)


def test_an_empty_tensor_has_known_results(runner):
    model = build(
        [node("ReduceSum", ["x", "axes"], ["y"], keepdims=0), node("Add", ["y", "z"], ["t"])],
        {"x": (TensorProto.FLOAT, (2, 0)), "z": (TensorProto.FLOAT, (2,))},
        {"t": TensorProto.FLOAT}, {"axes": np.array([1])})  # fmt: skip
    feeds = {"x": np.zeros((2, 0), np.float32), "z": np.array([1, 2], np.float32)}
    compare(runner, model, feeds, 0)


def test_the_maximum_of_nothing_but_minus_infinity_is_minus_infinity(runner):
    model = build(
        [node("ReduceMax", ["x", "axes"], ["y"]), node("ReduceMin", ["z", "axes"], ["t"])],
        {"x": (TensorProto.FLOAT, (2, 3)), "z": (TensorProto.FLOAT, (2, 3))},
        {"y": TensorProto.FLOAT, "t": TensorProto.FLOAT}, {"axes": np.array([1])})  # fmt: skip
    x = np.array([[-np.inf] * 3, [1, -np.inf, 2]], np.float32)
    compare(runner, model, {"x": x, "z": -x}, 0)


def test_sums_of_half_precision_are_rounded_once(runner):
    n = 4096  # 16-bit partial sums of ones would stop growing at 2048
    model = build(
        [node("MatMul", ["x", "w"], ["y"])],
        {"x": (TensorProto.FLOAT16, (2, n))}, {"y": TensorProto.FLOAT16},
        {"w": np.ones((n, 3), np.float16)})  # fmt: skip
    y = runner.run(
        lower(ir.from_proto(model), get_target("host")), {"x": np.ones((2, n), np.float16)}
    )["y"]
    np.testing.assert_array_equal(y, np.float16(n))
