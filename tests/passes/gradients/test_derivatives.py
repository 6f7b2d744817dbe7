"""Every rule against central differences, in double precision."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.passes.gradients.double_precision import evaluator

from octavo.errors import ModelError
from octavo.passes.gradients.derivatives import DERIVATIVES, add_gradients

STEP = 1e-5
# Differences over 2 STEP: truncation is STEP^2 times third derivatives of order 10 to 100, and
# rounding 1e-16 / STEP times sums of order 100.
TOLERANCE = 2e-7

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


def derive(text, positions=(0,), **constants):
    """A model in ONNX text, the same with cotangents as inputs, and names of gradients."""
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> {text}')
    for name, array in constants.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    onnx.checker.check_model(proto)
    proto = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    model = ir.from_proto(proto)
    outputs = list(model.graph.outputs)
    cotangents = {}
    for output in outputs:
        cotangent = ir.val(f"d{output.name}", output.dtype, output.shape)
        model.graph.inputs.append(cotangent)
        cotangents[output] = cotangent
    wanted = [model.graph.inputs[i] for i in positions]
    gradients = add_gradients(model.graph, cotangents, wanted)
    model.graph.outputs.extend(gradients[value] for value in wanted)
    return proto, ir.to_proto(model), [gradients[value].name for value in wanted]


def check(text, inputs, rng, **constants):
    """Compare the gradients by all inputs with central differences along some directions."""
    forward, backward, names = derive(text, tuple(range(len(inputs))), **constants)
    onnx.checker.check_model(backward, full_check=True)
    run = evaluator(forward)
    outputs = [output.name for output in forward.graph.output]
    y = dict(zip(outputs, run.run(None, inputs), strict=True))
    weights = {name: rng.normal(size=array.shape) for name, array in y.items()}
    feeds = {**inputs, **{f"d{name}": array for name, array in weights.items()}}
    gradients = evaluator(backward).run(names, feeds)
    for (name, x), gradient in zip(inputs.items(), gradients, strict=True):
        assert gradient.shape == x.shape
        assert gradient.dtype == np.float64
        for _ in range(4):
            v = rng.normal(size=x.shape)
            ahead = run.run(None, {**inputs, name: x + STEP * v})
            back = run.run(None, {**inputs, name: x - STEP * v})
            change = sum(
                float(((a - b) / (2 * STEP) * w).sum())
                for a, b, w in zip(ahead, back, weights.values(), strict=True)
            )
            scale = 1 + np.abs(gradient * v).sum()
            assert float((gradient * v).sum()) == pytest.approx(change, abs=TOLERANCE * scale)


def values(rng, *shape):
    """Numbers that are at least 0.01 from each other and from the corners 0, 1 and 3."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) - size // 2 + 0.37) * (8.0 / max(size, 40))).reshape(shape)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


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


@pytest.mark.parametrize(
    ("node", "shape", "constants"),
    [
        ("Reshape(x, c)", "4,6", {"c": [4, -1]}),
        ("Squeeze(r, c)", "2,3,4", {"c": [1]}),
        ("Unsqueeze(x, c)", "2,1,3,4", {"c": [1]}),
        ("Slice(x, c, d)", "1,3,4", {"c": [1], "d": [9]}),
        ("Slice(x, c, d, e, f)", "2,2,4", {"c": [-1], "d": [-9], "e": [1], "f": [-2]}),
        ("Gather<axis = 1>(x, c)", "2,4,4", {"c": [2, 0, 2, -1]}),
        ("Expand(r, c)", "2,5,3,4", {"c": [2, 5, 3, 4]}),
        ("Tile(x, c)", "2,6,4", {"c": [1, 2, 1]}),
        ("Pad(x, c)", "2,4,6", {"c": [0, 0, 1, 0, 1, 1]}),
        ("Clip(x, lo, hi)", "2,3,4", {"lo": -0.91, "hi": 1.22}),
        ("Pow(q, p)", "2,3,4", {"p": 3.0}),
        ("PRelu(x, s)", "2,3,4", {"s": np.array([0.1, 0.2, 0.3, 0.4])}),
        ("Where(m, x, o)", "2,3,4", {"m": np.array([True, False, True, True]), "o": 2.0}),
        ("Concat<axis = 1>(x, q, x)", "2,9,4", {}),
    ],
)
def test_operators_that_move_or_select(node, shape, constants, rng):
    """The operand r is x with one more dimension, q is 2x."""
    text = (
        f"g (double[2,3,4] x) => (double[{shape}] y)"
        f" {{ r = Unsqueeze(x, one) q = Mul(x, two) y = {node} }}"
    )
    integers = {k: np.array(v) for k, v in constants.items() if isinstance(v, list)}
    others = {k: np.asarray(v) for k, v in constants.items() if not isinstance(v, list)}
    shared = {"one": np.array([1]), "two": np.array(2.0)}
    check(text, {"x": values(rng, 2, 3, 4)}, rng, **integers, **others, **shared)


@pytest.mark.parametrize("mode", ["asymmetric", "half_pixel", "align_corners"])
@pytest.mark.parametrize("nearest", ["floor", "round_prefer_floor", "ceil"])
def test_resize_to_the_nearest(mode, nearest, rng):
    attributes = (
        f'<mode = "nearest", coordinate_transformation_mode = "{mode}",'
        f' nearest_mode = "{nearest}">'
    )
    text = (
        "g (double[1,2,3,4] x) => (double[1,2,6,10] y)"
        f" {{ y = Resize{attributes}(x, , scales) }}"
    )
    scales = np.array([1, 1, 2, 2.5], np.float32)
    check(text, {"x": rng.normal(size=(1, 2, 3, 4))}, rng, scales=scales)


@pytest.mark.parametrize(
    "mode", ["asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners"]
)
@pytest.mark.parametrize("sizes", [(6, 10), (2, 3), (1, 4)])
def test_resize_by_interpolation(mode, sizes, rng):
    attributes = f'<mode = "linear", coordinate_transformation_mode = "{mode}">'
    text = (
        f"g (double[1,2,3,4] x) => (double[1,2,{sizes[0]},{sizes[1]}] y)"
        f" {{ y = Resize{attributes}(x, , , sizes) }}"
    )
    check(text, {"x": rng.normal(size=(1, 2, 3, 4))}, rng, sizes=np.array([1, 2, *sizes]))


def test_cubic_resize_is_refused():
    with pytest.raises(ModelError, match="Resize 'up': no derivative by its input 0"):
        derive(
            """g (double[1,2] x) => (double[1,4] y) {
                [up] y = Resize<mode = "cubic">(x, , scales) }""",
            scales=np.array([1, 2], np.float32),
        )


def test_split_with_an_output_that_nothing_reads(rng):
    text = """g (double[2,6] x) => (double[2,2] y) {
        a, b, c = Split<axis = 1, num_outputs = 3>(x)
        y = Mul(a, c) }"""
    check(text, {"x": rng.normal(size=(2, 6))}, rng)


def test_a_tensor_that_is_read_often_gets_the_sum(rng):
    text = """g (double[2,3] x) => (double[2,3] y, double[2,3] z) {
        a = Tanh(x)
        b = Mul(a, x)
        y = Add(a, b)
        z = Mul(a, a) }"""
    check(text, {"x": rng.normal(size=(2, 3))}, rng)


def test_every_rule_is_tested():
    """This file names every operator of the table."""
    with open(__file__, encoding="utf-8") as file:
        text = file.read()
    assert [op for op in DERIVATIVES if op not in text] == []


def test_an_operator_without_a_rule_is_named():
    with pytest.raises(ModelError, match=r"Round 'nearest': no derivative of this operator"):
        derive("g (double[2] x) => (double[2] y) { [nearest] y = Round(x) }")


def test_a_weight_has_no_rule_and_is_named():
    text = """g (double[1,1,4,4] x, double[1,1,3,3] w) => (double[1,1,2,2] y) {
        [stem] y = Conv(x, w) }"""
    with pytest.raises(ModelError, match="Conv 'stem': no derivative by its input 1"):
        derive(text, (0, 1))


def test_a_value_that_does_not_matter_is_left_out():
    text = """g (float[2] x, float[2] unread) => (float[2] y) { y = Relu(x) }"""
    with pytest.raises(KeyError):
        derive(text, (1,))


def test_onnxruntime_computes_a_network_of_many_operators(rng):
    """In float32, against the same graph in double.

    With steps of 1 in both directions the indices of the reference evaluator are wrong.
    """
    import onnxruntime as ort

    text = """g ({t}[1,2,8,8] x) => ({t}[1,5] y) {{
        a = Conv<pads = [1,1,1,1], strides = [2,2]>(x, w1)
        b = BatchNormalization(a, gamma, beta, mean, var)
        c = HardSwish(b)
        d = MaxPool<kernel_shape = [2,2], strides = [2,1], pads = [1,0,0,1]>(c)
        e = Conv<group = 4, kernel_shape = [3,3], pads = [1,1,1,1]>(d, w2)
        f = Sigmoid(e)
        g1 = Mul(d, f)
        h = AveragePool<kernel_shape = [2,2], strides = [2,2]>(g1)
        i = Flatten(h)
        j = Gemm(i, w3)
        y = Softmax(j)
    }}"""
    weights = {
        "w1": rng.normal(size=(4, 2, 3, 3)), "w2": rng.normal(size=(4, 1, 3, 3)),
        "w3": rng.normal(size=(8, 5)),
        **{name: rng.uniform(0.5, 1, 4) for name in ("gamma", "beta", "mean", "var")},
    }  # fmt: skip
    x, dy = rng.normal(size=(1, 2, 8, 8)), rng.normal(size=(1, 5))
    _, exact, names = derive(text.format(t="double"), **weights)
    expected = evaluator(exact).run(names, {"x": x, "dy": dy})[0]
    small = {name: array.astype(np.float32) for name, array in weights.items()}
    _, single, names = derive(text.format(t="float"), **small)
    session = ort.InferenceSession(
        single.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = session.run(names, {"x": x.astype(np.float32), "dy": dy.astype(np.float32)})[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_pads_that_cut_off_leave_zeros_there():
    """In onnxruntime, as the reference evaluator knows no negative pads."""
    import onnxruntime as ort

    text = "g (float[2,4] x) => (float[3,3] y) { y = Pad(x, pads) }"
    _, backward, names = derive(text, pads=np.array([1, -1, 0, 0]))
    session = ort.InferenceSession(
        backward.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    dy = np.arange(1, 10, dtype=np.float32).reshape(3, 3)
    found = session.run(names, {"x": np.ones((2, 4), np.float32), "dy": dy})[0]
    np.testing.assert_array_equal(found, [[0, 4, 5, 6], [0, 7, 8, 9]])


@settings(max_examples=40, deadline=None)
@given(
    op=st.sampled_from(["MaxPool", "AveragePool", "AveragePool<count_include_pad = 1"]),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    kernel=st.tuples(st.integers(2, 3), st.integers(2, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pads=st.tuples(*[st.integers(0, 1)] * 4),
    ceil_mode=st.integers(0, 1),
    seed=st.integers(0, 2**16),
)
def test_pools_of_any_window(op, size, kernel, strides, pads, ceil_mode, seed):
    """In onnxruntime, as the reference evaluator is wrong about some of them.

    Pools are linear where the same inputs stay the largest, so <dy, y> = <dx, x>.
    """
    import onnxruntime as ort

    rng = np.random.default_rng(seed)
    attributes = (
        f"kernel_shape = {list(kernel)}, strides = {list(strides)}, pads = {list(pads)},"
        f" ceil_mode = {ceil_mode}>(x)"
    )
    node = f"{op}{', ' if '<' in op else '<'}{attributes}"
    text = f"g (float[2,3,{size[0]},{size[1]}] x) => (float[N,C,H,W] y) {{ y = {node} }}"
    _, backward, names = derive(text)
    session = ort.InferenceSession(
        backward.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    shape = tuple(dim.dim_value for dim in backward.graph.output[0].type.tensor_type.shape.dim)
    # A window that starts behind the input counts for the checker, not for onnxruntime.
    starts = [(shape[2 + i] - 1) * strides[i] - pads[i] for i in range(2)]
    assume(all(start < extent for start, extent in zip(starts, size, strict=True)))
    x = rng.normal(size=(2, 3, *size)).astype(np.float32)
    dy = rng.normal(size=shape).astype(np.float32)
    y, dx = session.run(["y", *names], {"x": x, "dy": dy})
    sums = [float((a.astype(np.float64) * b).sum()) for a, b in ((dy, y), (dx, x))]
    assert sums[0] == pytest.approx(sums[1], abs=1e-6 * float(np.abs(dy * y).sum()))
