import numpy as np
import onnx_ir as ir
import pytest
from tests.passes.quantized import DEFAULT, UNIT, params, quantize, regions

from octavo.passes.insert_quantizers import InsertQuantizers
from octavo.passes.placement import plan_placement
from octavo.passes.prepare import prepare
from octavo.passes.quantizer_options import Granularity, LayerOverride, QuantizerOptions

CONV = """g (float[1,1,2,2] x) => (float[1,1,2,2] y) {
    [conv] t = Conv(x, w, b)
    [relu] y = Relu(t)
}"""


def test_golden_text_of_a_layer(build, body):
    model = build(
        CONV, w=np.full((1, 1, 1, 1), 1.27, np.float32), b=np.array([0.5], np.float32)
    )
    assert body(quantize(model, x=(0.0, 255.0), y=(0.0, 510.0))) == [
        "[x_quantize]x_quantized=QuantizeLinear(x,x_scale,x_zero_point)",
        "[x_dequantize]x_dequantized=DequantizeLinear(x_quantized,x_scale,x_zero_point)",
        "[w_dequantize]w_dequantized=DequantizeLinear<axis:int=0>"
        "(w_quantized,w_scale,w_zero_point)",
        "[b_dequantize]b_dequantized=DequantizeLinear<axis:int=0>"
        "(b_quantized,b_scale,b_zero_point)",
        "[conv]t=Conv(x_dequantized,w_dequantized,b_dequantized)",
        "[relu]y_unquantized=Relu(t)",
        "[y_quantize]y_quantized=QuantizeLinear(y_unquantized,y_scale,y_zero_point)",
        "[y_dequantize]y=DequantizeLinear(y_quantized,y_scale,y_zero_point)",
    ]
    stored = {
        name: value.const_value.numpy() for name, value in model.graph.initializers.items()
    }
    assert stored["w_quantized"].item() == 127
    assert stored["w_quantized"].dtype == np.int8
    assert stored["b_quantized"].tolist() == [50]  # 0.5 / (1 * 0.01)
    assert stored["b_quantized"].dtype == np.int32
    assert stored["x_scale"] == 1.0
    assert stored["x_zero_point"].dtype == np.uint8
    assert stored["y_scale"] == 2.0


def test_second_run_changes_nothing(build):
    model = quantize(
        build(CONV, w=np.ones((1, 1, 1, 1), np.float32), b=np.ones(1, np.float32))
    )
    assert not InsertQuantizers({}, DEFAULT)(model).modified


def test_old_opset_is_refused(build):
    model = build(
        CONV, opset=17, w=np.ones((1, 1, 1, 1), np.float32), b=np.ones(1, np.float32)
    )
    with pytest.raises(ir.passes.PreconditionError, match="opset 21"):
        InsertQuantizers({}, DEFAULT)(model)


def test_output_is_within_the_derived_bound(build, run, rng):
    weights = {
        "w": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "b": rng.normal(size=4).astype(np.float32),
    }
    model = build(
        "g (float[1,3,6,6] x) => (float[1,4,4,4] y) { [conv] y = Conv(x, w, b) }", **weights
    )
    x = rng.uniform(-1, 1, (1, 3, 6, 6)).astype(np.float32)
    exact = run(model, x=x)["y"]
    limits = (float(exact.min()), float(exact.max()))
    quantize(model, y=limits)
    step_x, step_w = 2 / 255, np.abs(weights["w"]).max(axis=(1, 2, 3)) / 127
    step_y = (limits[1] - min(limits[0], 0)) / 255
    taps = 27
    # |dw x| + |w dx| + |dw dx| summed, half a step of bias, a step of the output (rounding and
    # an end that the rounded zero point cuts).
    sums = np.abs(weights["w"]).sum(axis=(1, 2, 3))
    bound = taps * step_w / 2 * (1 + step_x) + sums * step_x + step_x * step_w + step_y
    error = np.abs(run(model, x=x)["y"] - exact).max(axis=(0, 2, 3))
    assert (error <= bound).all()


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_activation_type_and_zero_points(build, run, rng, dtype):
    model = build(CONV, w=np.ones((1, 1, 1, 1), np.float32), b=np.zeros(1, np.float32))
    quantize(model, QuantizerOptions(activation_dtype=dtype), y=(0.0, 1.0))
    zero_point = model.graph.initializers["y_zero_point"].const_value.numpy()
    assert zero_point.dtype == dtype
    assert zero_point == np.iinfo(dtype).min
    x = np.array([0.25, -0.5, 0.75, 1.0], np.float32).reshape(1, 1, 2, 2)
    assert np.abs(run(model, x=x)["y"] - np.maximum(x, 0)).max() < 0.01


RESIDUAL = """g (float[1,4,5,5] x) => (float[1,4,5,5] y) {
    [a] p = Conv(x, w)
    [b] q = Conv(x, w)
    [add] s = Add(p, q)
    [relu] y = Relu(s)
}"""


def test_the_later_of_two_layers_runs_the_residual_add(build):
    model = build(RESIDUAL, w=np.ones((4, 4, 1, 1), np.float32))
    assert regions(model) == [["a"], ["b", "add", "relu"]]


def test_a_shared_weight_is_stored_once(build, run):
    model = quantize(build(RESIDUAL, w=np.ones((4, 4, 1, 1), np.float32)))
    assert [name for name in model.graph.initializers if name.startswith("w_quantized")] == [
        "w_quantized"
    ]
    run(model, x=np.zeros((1, 4, 5, 5), np.float32))


def test_relu6_fuses_and_other_clips_are_tables(build):
    graph = """g (float[1,4,5,5] x) => (float[1,4,5,5] y) {
        [a] p = Conv(x, w) [relu6] q = Clip(p, zero, six)
        [b] r = Conv(q, w) [clip] y = Clip(r, minus, six)
    }"""
    model = build(
        graph,
        w=np.ones((4, 4, 1, 1), np.float32),
        zero=np.float32(0),
        six=np.float32(6),
        minus=np.float32(-6),
    )
    assert regions(model) == [["a", "relu6"], ["b"], ["clip"]]


def test_relu_behind_an_add_is_the_saturation_of_the_quantizer(build, run):
    graph = """g (float[4] x, float[4] w) => (float[4] y) {
        [add] s = Add(x, w) [relu] y = Relu(s)
    }"""
    model = build(graph)
    assert regions(model) == [["add", "relu"]]
    quantize(model, x=(-2.0, 2.0), w=(-2.0, 2.0), y=(0.0, 4.0))
    assert "Relu" not in [node.op_type for node in model.graph]
    x = np.array([-2, -1, 1, 2], np.float32)
    y = run(model, x=x, w=x)["y"]
    # Two inputs rounded to half a step of 4 / 255 each, half a step of the output.
    assert np.abs(y - np.maximum(2 * x, 0)).max() <= 1.5 * 4 / 255 + 1e-6


def test_transformer_projection_carries_an_int32_bias(build, run, rng):
    graph = """g (float[1,6,4] x, float[1,6,5] r) => (float[1,6,5] y) {
        [mm] p = MatMul(x, w) [bias] q = Add(c, p) [res] y = Add(q, r)
    }"""
    model = build(
        graph,
        w=rng.normal(size=(4, 5)).astype(np.float32),
        c=rng.normal(size=5).astype(np.float32),
    )
    assert regions(model) == [["mm", "bias", "res"]]
    quantize(model)
    assert model.graph.initializers["c_quantized"].dtype == ir.DataType.INT32
    assert model.graph.initializers["w_scale"].shape == (5,)
    feeds = {
        "x": rng.uniform(-1, 1, (1, 6, 4)).astype(np.float32),
        "r": rng.uniform(-1, 1, (1, 6, 5)).astype(np.float32),
    }
    run(model, **feeds)


def test_attention_multiplies_two_activations(build, run, rng):
    graph = """g (float[2,6,4] q, float[2,4,6] k) => (float[2,6,6] y) {
        [scores] s = MatMul(q, k) [softmax] y = Softmax(s)
    }"""
    model = quantize(build(graph))
    assert params(model, "s")[1] in (127, 128)  # the middle of (-1, 1) is 127.5
    # A probability that reaches 1 has the fixed scale.
    assert params(model, "y_unquantized") == (1 / 256, 0)
    run(
        model,
        q=rng.normal(size=(2, 6, 4)).astype(np.float32),
        k=rng.normal(size=(2, 4, 6)).astype(np.float32),
    )


def test_small_probabilities_get_a_finer_scale(build):
    graph = "g (float[2,200] x) => (float[2,200] y) { [softmax] y = Softmax(x) }"
    model = quantize(build(graph), y=(0.0, 0.02))
    assert params(model, "y_unquantized") == (pytest.approx(0.02 / 255), 0)


def test_moved_integers_share_one_scale(build, run, rng):
    graph = """g (float[1,4,6,6] x) => (float[1,36] y) {
        [conv] a = Conv(x, w) [pool] b = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a)
        [move] c = Transpose<perm=[0,2,3,1]>(b) [flat] y = Flatten(c)
    }"""
    model = build(graph, w=rng.normal(size=(4, 4, 1, 1)).astype(np.float32))
    quantize(model, a=(-3.0, 3.0))
    assert [n for n in model.graph.initializers if n.endswith("_scale")] == [
        "w_scale",
        "x_scale",
        "a_scale",
    ]
    run(model, x=rng.normal(size=(1, 4, 6, 6)).astype(np.float32))


def test_data_movement_between_float_operators_stays_float(build):
    graph = """g (float[2,3] x) => (float[3,2] y) {
        [a] p = CumSum(x, axis) [move] q = Transpose(p) [b] y = CumSum(q, axis)
    }"""
    model = build(graph, axis=np.array(0, np.int32))
    assert regions(model) == []
    placement = plan_placement(model.graph, DEFAULT)
    assert placement.float_nodes == {
        "a": "no integer kernel for CumSum",
        "move": "only moves float data",
        "b": "no integer kernel for CumSum",
    }


CONCAT = """g (float[1,2,3,3] x, float[1,2,3,3] z) => (float[1,4,3,3] y) {
    [a] p = Conv(x, w) [b] q = Conv(z, w) [join] y = Concat<axis=1>(p, q)
}"""


@pytest.mark.parametrize(("other", "is_shared"), [((-1.5, 1.5), True), ((-0.1, 0.1), False)])
def test_concat_shares_a_scale_when_ranges_are_close(build, run, rng, other, is_shared):
    model = build(CONCAT, w=rng.normal(size=(2, 2, 1, 1)).astype(np.float32))
    quantize(model, q=other, y=(-1.5, 1.5))
    assert (params(model, "p") == params(model, "q")) is is_shared
    assert (params(model, "p") == params(model, "y_unquantized")) is is_shared
    x = rng.normal(size=(1, 2, 3, 3)).astype(np.float32)
    run(model, x=x, z=x)


def test_float_layers_read_what_is_there(build, run, rng):
    graph = """g (float[1,2,4,4] x) => (float[1,2,4,4] y) {
        [a] p = Conv(x, w) [b] q = Conv(p, w) [r] s = Relu(q) [c] y = Conv(s, w)
    }"""
    options = QuantizerOptions(overrides=(LayerOverride(match="b", keep_float=True),))
    model = build(graph, w=rng.normal(size=(2, 2, 1, 1)).astype(np.float32))
    # What would be fused behind a layer that is kept in float stays with it.
    assert regions(model, options) == [["a"], ["c"]]
    quantize(model, options)
    inputs = {n.name: n.inputs[0].name for n in model.graph if n.op_type in ("Conv", "Relu")}
    assert inputs == {
        "a": "x_dequantized",
        "b": "p_dequantized",
        "r": "q",
        "c": "s_dequantized",
    }
    run(model, x=rng.normal(size=(1, 2, 4, 4)).astype(np.float32))


def test_float_output_leaves_the_last_layer_unrounded(build, run, rng):
    model = build(CONV, w=np.ones((1, 1, 1, 1), np.float32), b=np.ones(1, np.float32))
    quantize(model, QuantizerOptions(float_output=True))
    assert [node.op_type for node in model.graph].count("QuantizeLinear") == 1
    run(model, x=np.zeros((1, 1, 2, 2), np.float32))


def test_one_scale_for_the_tensor_on_request(build, run, rng):
    model = build(RESIDUAL, w=rng.normal(size=(4, 4, 1, 1)).astype(np.float32))
    quantize(model, QuantizerOptions(granularity=Granularity.PER_TENSOR))
    assert model.graph.initializers["w_scale"].shape == ()
    run(model, x=np.zeros((1, 4, 5, 5), np.float32))


def test_overrides_are_for_the_layers_that_they_match(build, rng):
    graph = """g (float[1,2,4,4] x) => (float[1,2,4,4] y) {
        [s_a] p = Conv(x, w) [s_b] q = Conv(p, w) [c] y = Conv(q, w)
    }"""
    overrides = (
        LayerOverride(match="s_*", symmetric=True),
        LayerOverride(match="s_b", symmetric=False),
    )
    model = build(graph, w=np.ones((2, 2, 1, 1), np.float32))
    quantize(model, QuantizerOptions(overrides=overrides), p=(0.0, 1.0), q=(0.0, 1.0))
    assert params(model, "p") == (pytest.approx(1 / 127), 128)
    assert params(model, "q") == (pytest.approx(1 / 255), 0)


def test_tensor_that_held_infinity_keeps_its_layers_in_float(build):
    model = build(CONV, w=np.ones((1, 1, 1, 1), np.float32), b=np.ones(1, np.float32))
    quantize(model, y=(-np.inf, np.inf))
    assert [node.op_type for node in model.graph] == ["Conv", "Relu"]


def test_three_dimensional_convolution_stays_float_with_the_reason(build):
    graph = "g (float[1,1,3,3,3] x) => (float[1,1,3,3,3] y) { [conv] y = Conv(x, w) }"
    model = build(graph, w=np.ones((1, 1, 1, 1, 1), np.float32))
    reasons = plan_placement(model.graph, DEFAULT).float_nodes
    assert reasons == {"conv": "Conv has an integer kernel in 1 or 2 dimensions only"}


@pytest.mark.parametrize("group", [1, 2])
def test_transposed_convolution(build, run, rng, group):
    graph = f"""g (float[1,4,3,3] x) => (float[1,{4 * group},6,6] y) {{
        [up] t = ConvTranspose<strides=[2,2], group={group}>(x, w, b) [relu] y = Relu(t)
    }}"""
    model = build(
        graph,
        w=rng.normal(size=(4, 4, 2, 2)).astype(np.float32),
        b=rng.normal(size=4 * group).astype(np.float32),
    )
    x = rng.uniform(-1, 1, (1, 4, 3, 3)).astype(np.float32)
    exact = run(model, x=x)["y"]
    assert regions(model) == [["up", "relu"]]
    quantize(model, y=(0.0, float(exact.max())))
    assert model.graph.initializers["w_scale"].shape == (4,)
    signal, noise = (exact**2).sum(), ((run(model, x=x)["y"] - exact) ** 2).sum()
    assert 10 * np.log10(signal / noise) > 30


@pytest.mark.parametrize(("op_type", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_recurrent_layers(build, run, rng, op_type, gates):
    cells = ", yc" if op_type == "LSTM" else ""
    outputs = "float[5,1,1,6] y, float[1,1,6] yh" + (
        ", float[1,1,6] yc" if op_type == "LSTM" else ""
    )
    graph = f"""g (float[5,1,3] x) => ({outputs}) {{
        [rnn] y, yh{cells} = {op_type}<hidden_size=6>(x, w, r, b)
    }}"""
    model = build(
        graph,
        w=rng.normal(size=(1, gates * 6, 3)).astype(np.float32) / 2,
        r=rng.normal(size=(1, gates * 6, 6)).astype(np.float32) / 2,
        b=rng.normal(size=(1, 2 * gates * 6)).astype(np.float32) / 2,
    )
    x = rng.uniform(-1, 1, (5, 1, 3)).astype(np.float32)
    exact = run(model, x=x)
    quantize(model)
    assert model.graph.initializers["r_scale"].shape == (gates * 6,)
    assert model.graph.initializers["b"].dtype == ir.DataType.FLOAT
    rounded = run(model, x=x)
    # Y and Y_h share one scale, the cell state stays float.
    assert params(model, "y_unquantized") == params(model, "yh_unquantized")
    np.testing.assert_array_equal(rounded["y"][-1], rounded["yh"])
    assert np.abs(rounded["y"] - exact["y"]).max() < 0.05


def test_embedding_table_is_stored_as_integers(build, run, rng):
    graph = """g (int64[1,4] ids) => (float[1,4,5] y) {
        [look] e = Gather(table, ids) [mm] y = MatMul(e, w)
    }"""
    table = rng.normal(size=(10, 8)).astype(np.float32)
    model = build(graph, table=table, w=rng.normal(size=(8, 5)).astype(np.float32))
    quantize(model, e=(-3.0, 3.0))
    assert model.graph.initializers["table_quantized"].dtype == ir.DataType.UINT8
    run(model, ids=np.array([[1, 2, 3, 9]]))


def test_the_same_model_gives_the_same_bytes(build, rng):
    w = rng.normal(size=(4, 4, 1, 1)).astype(np.float32)
    first, second = (
        ir.to_proto(quantize(build(RESIDUAL, w=w))).SerializeToString(deterministic=True)
        for _ in range(2)
    )
    assert first == second


def test_dead_tensor_gets_a_scale_and_a_note(build):
    from octavo.passes.choose_parameters import choose_parameters

    model = build(CONV, w=np.ones((1, 1, 1, 1), np.float32), b=np.ones(1, np.float32))
    placement = plan_placement(model.graph, DEFAULT)
    chosen = choose_parameters(placement, {"x": UNIT, "y": (0.0, 0.0)}, DEFAULT)
    assert chosen.notes == ("tensor 'y' was zero in every sample; its scale is arbitrary",)


def test_prepared_squeeze_and_excite_network_runs_in_integers(build, run, rng):
    graph = """g (float[1,4,8,8] x) => (float[1,4,8,8] y) {
        [dw] a = Conv<group=4, pads=[1,1,1,1]>(x, w)
        [pool] p = GlobalAveragePool(a) [fc1] b = Conv(p, w1) [relu] c = Relu(b)
        [fc2] d = Conv(c, w2) [gate] e = HardSigmoid<alpha=0.16666667, beta=0.5>(d)
        [scale] y = Mul(a, e)
    }"""
    model = build(
        graph,
        w=rng.normal(size=(4, 1, 3, 3)).astype(np.float32),
        w1=rng.normal(size=(2, 4, 1, 1)).astype(np.float32),
        w2=rng.normal(size=(4, 2, 1, 1)).astype(np.float32),
    )
    prepare(model)
    assert regions(model) == [["dw"], ["pool"], ["fc1", "relu"], ["fc2"], ["gate"], ["scale"]]
    assert plan_placement(model.graph, DEFAULT).float_nodes == {}
    quantize(model, a=(-9.0, 9.0), y=(-9.0, 9.0))
    run(model, x=rng.normal(size=(1, 4, 8, 8)).astype(np.float32))
