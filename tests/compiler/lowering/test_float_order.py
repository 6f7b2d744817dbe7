"""Float operators work in the order that convolutions leave: nothing is transposed between."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.conformance.program_runner import ProgramRunner

from octavo.compiler.lowering.lower import lower
from octavo.targets import get_target

SHAPE = (2, 5, 6, 7)
node = helper.make_node
rng = np.random.default_rng(0)
CONSTANTS = {
    "w": rng.normal(size=(5, 5, 1, 1)).astype(np.float32),
    "channel": rng.normal(size=(5, 1, 1)).astype(np.float32),
    "row": rng.normal(size=(7,)).astype(np.float32),
    "full": rng.normal(size=SHAPE).astype(np.float32),
    "one": np.float32(1), "low": np.float32(-0.5), "zero": np.float32(0),
    "slope": rng.normal(size=(5, 1, 1)).astype(np.float32),
    "spatial": np.array([2, 3]), "channels": np.array([1]), "last": np.array([-1]),
    "middle": np.array([1, 2]), "all": np.array([0, 1, 2, 3]), "rows": np.array([2]),
}  # fmt: skip

ELEMENTWISE = {
    "chain": [node("HardSwish", ["c"], ["e"]), node("Sigmoid", ["e"], ["r"])],
    "constants": [
        node("Max", ["c", "channel", "row"], ["d"]), node("Min", ["d", "full"], ["e"]),
        node("Pow", ["e", "one"], ["f"]), node("Clip", ["f", "low", "one"], ["r"])],
    "choice": [
        node("Greater", ["c", "channel"], ["d"]), node("Not", ["d"], ["e"]),
        node("Cast", ["e"], ["f"], to=TensorProto.FLOAT), node("Tanh", ["c"], ["t"]),
        node("Where", ["d", "t", "f"], ["r"])],
    "lower_rank": [node("Softplus", ["v"], ["e"]), node("Max", ["e", "c"], ["r"])],
    "squeezed": [
        node("GlobalAveragePool", ["c"], ["g"]), node("HardSigmoid", ["g"], ["h"]),
        node("Mul", ["c", "h"], ["r"])],
    "two_results": [
        node("Softsign", ["c"], ["s"]), node("Elu", ["s"], ["e"]),
        node("Conv", ["s", "w"], ["q"]), node("Add", ["q", "e"], ["r"])],
}  # fmt: skip

POOLS = {
    "average": [node("AveragePool", ["c"], ["r"], kernel_shape=[3, 2], pads=[1, 0, 1, 1],
                     strides=[2, 1], count_include_pad=1)],
    "average_ceil": [node("AveragePool", ["c"], ["r"], kernel_shape=[3, 3], strides=[2, 2],
                          ceil_mode=1)],
    "global_max": [node("GlobalMaxPool", ["c"], ["r"])],
    **{f"mean_{axes}_{keep}": [node("ReduceMean", ["c", axes], ["r"], keepdims=keep)]
       for axes in ("spatial", "channels", "last", "rows", "middle", "all")
       for keep in (0, 1)},
    "max_channels": [node("ReduceMax", ["c", "channels"], ["r"], keepdims=1)],
    "min_rows": [node("ReduceMin", ["c", "rows"], ["r"], keepdims=0)],
    "sum_last": [node("ReduceSum", ["c", "last"], ["r"], keepdims=1)],
}  # fmt: skip


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    return ProgramRunner(get_target("host"), tmp_path_factory.mktemp("order"))


def build(nodes, end):
    """Conv -> nodes -> [Conv]; "r" is the result of the nodes, "c" what they read."""
    nodes = [node("Conv", ["x", "w"], ["c"]), *nodes]
    if end:
        nodes.append(node("Conv", ["r", "w"], ["y"]))
    used = {name for n in nodes for name in n.input}
    inputs = {"x": SHAPE} | ({"v": (6, 7)} if "v" in used else {})
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, s) for k, s in inputs.items()],
        [helper.make_tensor_value_info("y" if end else "r", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in CONSTANTS.items() if k in used],
    )  # fmt: skip
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True), inputs


def check(runner, nodes, end):
    """Compare with onnxruntime; return the copies of the program."""
    model, inputs = build(nodes, end)
    feeds = {k: rng.normal(size=s).astype(np.float32) for k, s in inputs.items()}
    expected = ort.InferenceSession(model.SerializeToString()).run(None, feeds)[0]
    program = lower(ir.from_proto(model), get_target("host"))
    (result,) = runner.run(program, feeds).values()
    # Sums of 25 products below 10, and of up to 420 such sums: far fewer roundings count.
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=64 * np.finfo(np.float32).eps)
    return [step for step in program.steps if "move" in step.kernel]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_nodes_between_convolutions_need_no_copies(runner, name):
    copies = check(runner, ELEMENTWISE[name], end=True)
    assert [step.name.split(".")[0] for step in copies] == ["x", "y"]  # at the ends


def test_a_result_leaves_the_network_row_major(runner):
    assert len(check(runner, ELEMENTWISE["chain"], end=False)) == 2


def test_an_operator_with_a_channel_axis_is_left_row_major(runner):
    check(runner, [node("PRelu", ["c", "slope"], ["r"])], end=True)
    check(runner, [node("Softmax", ["c"], ["s"], axis=1), node("Exp", ["s"], ["r"])], end=True)


@pytest.mark.parametrize("name", POOLS)
def test_pools_and_reductions_read_channels_last(runner, name):
    copies = check(runner, POOLS[name], end=False)
    # The input, and the result where it is not row-major by nature; where the reduced axes are
    # apart in memory, also what is reduced.
    assert len(copies) <= 2
