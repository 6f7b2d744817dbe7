"""Folding, inlining, static shapes and the state of a model after import."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper
from tests.compiler.importer.model_text import text

ATTENTION_SHAPES = text(
    "float[batch,seq,12] x",
    "float[batch,4,seq,3] y",
    """
    shape = Shape(x)
    b = Gather<axis=0>(shape, zero)
    s = Gather<axis=0>(shape, one)
    bu = Unsqueeze(b, axes)
    su = Unsqueeze(s, axes)
    minus = Div(twelve, four)
    heads = Unsqueeze(minus, axes)
    target = Concat<axis=0>(bu, su, fours, heads)
    r = Reshape(x, target)
    t = Transpose<perm=[0,2,1,3]>(r)
    ones = ConstantOfShape<value = float[1] {1.0}>(mask_shape)
    mask_shape_2 = Shape(ones)
    rank = Size(mask_shape_2)
    rank_f = Cast<to=1>(rank)
    y = Mul(t, rank_f)
    """,
    "int64 zero = {0}, int64 one = {1}, int64 twelve = {12}, int64 four = {4},"
    "int64[1] fours = {4}, int64[1] axes = {0}, int64[2] mask_shape = {2, 2}",
)


def test_shape_arithmetic_vanishes(imported, run, op_types):
    model = imported(ATTENTION_SHAPES, shapes={"x": (2, 5, 12)})
    assert op_types(model) == ["Reshape", "Transpose", "Mul"]
    assert model.graph.node(0).inputs[1].const_value.numpy().tolist() == [2, 5, 4, 3]
    x = np.random.default_rng(0).standard_normal((2, 5, 12)).astype(np.float32)
    np.testing.assert_array_equal(run(model, {"x": x}), run(ATTENTION_SHAPES, {"x": x}))


def test_every_value_is_static_typed_and_uniquely_named(imported):
    model = imported(ATTENTION_SHAPES, shapes={"x": (2, 5, 12)})
    values = [*model.graph.inputs, *model.graph.initializers.values()]
    values += [value for node in model.graph for value in node.outputs]
    assert all(value.name and value.dtype is not None for value in values)
    assert all(isinstance(dim, int) for value in values for dim in value.shape)
    assert len({value.name for value in values}) == len(values)
    names = [node.name for node in model.graph]
    assert all(names)
    assert len(set(names)) == len(names)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)


def test_import_is_idempotent(imported, tmp_path):
    model = imported(ATTENTION_SHAPES, shapes={"x": (2, 5, 12)})
    again = imported(ir.to_proto(model))
    assert [str(node) for node in again.graph] == [str(node) for node in model.graph]
    assert ir.to_proto(again).SerializeToString() == ir.to_proto(model).SerializeToString()


def test_importing_twice_gives_the_same_bytes(imported):
    first, second = (
        ir.to_proto(imported(ATTENTION_SHAPES, shapes={"x": (2, 5, 12)})).SerializeToString()
        for _ in range(2)
    )
    assert first == second


def test_dequantized_weights_are_never_folded(imported, op_types):
    model = imported(
        text(
            "float[2,3] x",
            "float[2,4] y",
            "q = QuantizeLinear(w, s, z) d = DequantizeLinear(q, s, z) y = MatMul(x, d)",
            f"float[3,4] w = {{{','.join(str(i / 8) for i in range(12))}}},"
            "float s = {0.125}, int8 z = {0}",
        )
    )
    # the float weight is quantized once and for all, and stays visible as int8
    assert op_types(model) == ["DequantizeLinear", "MatMul"]
    weight = model.graph.node(0).inputs[0].const_value.numpy()
    np.testing.assert_array_equal(weight, np.arange(12, dtype=np.int8).reshape(3, 4))


@pytest.mark.parametrize(("axis", "moved"), [(0, 1), (1, 0)])
def test_transposed_weights_are_transposed_as_integers(imported, op_types, run, axis, moved):
    scales = (0.5, 0.25, 0.125)[: 3 - axis]
    original = text(
        "float[2,2] x",
        "float[2,3] y",
        f"d = DequantizeLinear<axis={axis}>(w, s, z) t = Transpose<perm=[1,0]>(d)"
        " y = MatMul(x, t)",
        f"int8[3,2] w = {{1,-2,3,-4,5,-6}}, float[{len(scales)}] s = "
        f"{{{','.join(map(str, scales))}}}, int8[{len(scales)}] z = "
        f"{{{','.join('0' for _ in scales)}}}",
    )
    model = imported(original)
    assert op_types(model) == ["DequantizeLinear", "MatMul"]
    dequantize = model.graph.node(0)
    assert dequantize.attributes["axis"].as_int() == moved
    assert dequantize.inputs[0].shape == (2, 3)
    x = np.float32([[1, 2], [3, 4]])
    np.testing.assert_array_equal(run(model, {"x": x}), run(original, {"x": x}))


def test_unsigned_weights_around_128_become_signed(imported, run):
    original = text(
        "float[2] x",
        "float[2,2] y",
        "d = DequantizeLinear(w, s, z) y = Mul(x, d)",
        "uint8[2,2] w = {0, 127, 128, 255}, float s = {0.5}, uint8 z = {128}",
    )
    model = imported(original)
    weight, _, zero_point = (v.const_value.numpy() for v in model.graph.node(0).inputs)
    assert weight.dtype == zero_point.dtype == np.int8
    assert weight.tolist() == [[-128, -1], [0, 127]]
    assert zero_point == 0
    x = np.float32([1, 3])
    np.testing.assert_array_equal(run(model, {"x": x}), run(original, {"x": x}))


def test_identities_disappear_and_outputs_keep_their_names(imported, op_types, run):
    original = text(
        "float[2] x",
        "float[2] y, float[2] z, float[2] same, float[2] fixed",
        "a = Identity(x) b = Neg(a) c = Identity(b) y = Identity(c) z = Identity(c)"
        " same = Identity(x) fixed = Identity(k)",
        "float[2] k = {5, 6}",
    )
    model = imported(original)
    assert [value.name for value in model.graph.outputs] == ["y", "z", "same", "fixed"]
    assert op_types(model) == ["Neg", "Identity", "Identity", "Identity"]
    x = np.float32([1, 2])
    for expected, actual in zip(run(original, {"x": x}), run(model, {"x": x}), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_an_initializer_may_be_an_output(imported, run):
    proto = onnx.parser.parse_model(
        text("float[2] x", "float[2] k, float[2] y", "y = Add(x, k)")
    )
    proto.graph.initializer.append(numpy_helper.from_array(np.float32([5, 6]), "k"))
    k, y = run(imported(proto), {"x": np.float32([1, 2])})
    assert (k.tolist(), y.tolist()) == ([5, 6], [6, 8])


def test_dead_nodes_and_constants_are_removed(imported, op_types):
    model = imported(
        text("float[2] x", "float[2] y", "d = Add(x, k) y = Neg(x)", "float[2] k = {5, 6}")
    )
    assert op_types(model) == ["Neg"]
    assert not model.graph.initializers


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("value = float[2] {3.0, 4.0}", [3, 4]),
        ("value_float = 3.0", 3),
        ("value_floats = [3.0, 4.0]", [3, 4]),
        ("value_int = 3", 3),
        ("value_ints = [3, 4]", [3, 4]),
    ],
)
def test_constant_nodes_become_initializers(imported, op_types, attribute, expected):
    model = imported(
        text("float[2] x", "float[2] y", f"c = Constant<{attribute}>() k = Cast<to=1>(c)"
             " y = Add(x, k)")
    )  # fmt: skip
    assert op_types(model) == ["Add"]
    assert model.graph.node(0).inputs[1].const_value.numpy().tolist() == expected


def test_constants_of_strings_are_refused(refused):
    body = 'c = Constant<value_string = "a">() y = Neg(x)'
    refused(text("float[2] x", "float[2] y", body), "'value_string' is not supported")


def test_integer_division_rounds_towards_zero(imported):
    model = imported(
        text("float[4] x", "float[4] y", "d = Div(a, b) f = Cast<to=1>(d) y = Add(x, f)",
             "int64[4] a = {-7, 7, -7, 6}, int64[4] b = {2, -2, -2, 3}")
    )  # fmt: skip
    assert model.graph.node(0).inputs[1].const_value.numpy().tolist() == [-3, -3, 3, 2]


def test_division_by_zero_is_left_alone(imported, op_types):
    model = imported(
        text("float[1] x", "float[1] y", "d = Div(a, b) f = Cast<to=1>(d) y = Add(x, f)",
             "int64[1] a = {1}, int64[1] b = {0}")
    )  # fmt: skip
    assert op_types(model) == ["Div", "Cast", "Add"]


def test_constants_of_a_length_that_only_their_values_tell_are_folded(imported, op_types):
    body = "n = NonZero(k) f = Cast<to=1>(n) s = ReduceSum<keepdims=0>(f) y = Add(x, s)"
    model = imported(text("float[2] x", "float[2] y", body, "float[4] k = {0, 1, 0, 2}"))
    assert op_types(model) == ["Add"]
    assert model.graph.node(0).inputs[1].const_value.numpy() == 4


@pytest.mark.parametrize(
    ("call", "node"),
    [
        ("n = NonZero(x)", "NonZero 'n'"),
        ("n = Compress(x, c)", "Compress 'n'"),
        ("n = Reshape(x, s)", "Reshape 'n'"),
        ("n = Range(r, r, r)", "Range 'n'"),
        ("n = Unique(x)", "Unique 'n'"),
    ],
)
def test_shapes_that_depend_on_data_are_refused(refused, call, node):
    refused(
        text("float[4] x, bool[4] c, int64[2] s, int64 r", "float[4] y", f"{call} y = Neg(x)"),
        f"{node}: the shape of output 'n' depends on the data",
    )


def test_graph_layers_that_remove_self_loops_get_a_hint(refused):
    body = "d = Sub(x, z) m = Cast<to=9>(d) n = NonZero(m) y = Neg(x)"
    refused(
        text("float[4] x, float[4] z", "float[4] y", body),
        r"NonZero 'n'.*self loops of a graph have to be removed or added before the model",
    )


def test_strings_and_sequences_are_refused(refused):
    signature = ("float[4] x", "float[4] y")
    refused(text(*signature, "n = SplitToSequence(x) y = Neg(x)"), "'n' is not a tensor")
    refused(text(*signature, "n = Cast<to=8>(x) y = Neg(x)"), "element type string")


def test_node_names_are_made_unique(imported):
    proto = onnx.parser.parse_model(text("float[2] x", "float[2] y", "a = Neg(x) y = Abs(a)"))
    for node in proto.graph.node:
        node.name = "same"
    assert [node.name for node in imported(proto).graph] == ["same", "same_1"]


def test_layer_normalization_before_opset_17(imported, op_types):
    node = helper.make_node("LayerNormalization", ["x", "s"], ["y"], epsilon=1e-6)
    proto = onnx.parser.parse_model(
        """<ir_version: 7, opset_import: ["" : 13]>
        g (float[2,3] x) => (float[2,3] y) <float[3] s = {1,1,1}> { y = Neg(x) }"""
    )
    proto.graph.node[0].CopyFrom(node)
    assert op_types(imported(proto)) == ["LayerNormalization"]
