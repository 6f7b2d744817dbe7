"""Conversion of every accepted opset to opset 21."""

import numpy as np
import onnx
import pytest
from onnx import defs

from octavo.compiler.importer.draft import OPSET
from octavo.compiler.importer.opset import schema_at
from octavo.compiler.importer.opset_rules import RULES
from octavo.compiler.importer.structure import MIN_OPSET

OPSETS = (11, 12, 13, 14, 15, 17, 18, 20, 21, 22, 23, 24, 25, 26)
# training and sequences, which import refuses
REFUSED = {"OptionalHasElement"}


def text(version: int, inputs: str, outputs: str, body: str, constants: str = "") -> str:
    ir_version = 7 if version < 15 else 10
    return f"""<ir_version: {ir_version}, opset_import: ["" : {version}]>
    g ({inputs}) => ({outputs}) <{constants}> {{ {body} }}"""


def defaults(schema: defs.OpSchema) -> dict[str, bytes]:
    return {
        name: attribute.default_value.SerializeToString(deterministic=True)
        for name, attribute in schema.attributes.items()
    }


def is_incompatible(old: defs.OpSchema, new: defs.OpSchema) -> bool:
    """Return whether a node of the old schema can mean something else in the new."""
    was, now = defaults(old), defaults(new)
    return (
        any(was[name] != now.get(name) for name in was)
        or any(new.attributes[name].required for name in now.keys() - was.keys())
        or new.min_input > old.min_input
        or new.max_input < old.max_input
        or new.max_output < old.max_output
        or new.deprecated
    )


def test_every_incompatible_change_of_a_schema_has_a_rule():
    incompatible = set()
    for name in {schema.name for schema in defs.get_all_schemas() if not schema.domain}:
        new = schema_at(name, OPSET)
        for version in range(MIN_OPSET, OPSET):
            old = schema_at(name, version)
            if old is None or old.deprecated or new is None:
                continue
            if old.since_version != new.since_version and is_incompatible(old, new):
                incompatible.add(name)
    assert incompatible - RULES.keys() <= REFUSED
    assert "Softmax" in incompatible  # the comparison does find what changed


CASES = {
    "softmax": ("float[2,3,4] x", "float[2,3,4] y", "y = Softmax<axis=1>(x)", ""),
    "softmax_default": ("float[2,3,4] x", "float[2,3,4] y", "y = Softmax(x)", ""),
    "softmax_last": ("float[2,3,4] x", "float[2,3,4] y", "y = Softmax<axis=-1>(x)", ""),
    "log_softmax": ("float[2,3,4] x", "float[2,3,4] y", "y = LogSoftmax<axis=0>(x)", ""),
    "hardmax": ("float[2,3,4] x", "float[2,3,4] y", "y = Hardmax<axis=1>(x)", ""),
    "clip": ("float[9] x", "float[9] y", "y = Clip(x, low)", "float low = {0.25}"),
    "batchnorm": (
        "float[1,2,3] x",
        "float[1,2,3] y",
        "y = BatchNormalization<epsilon=0.1>(x, s, b, m, v)",
        "float[2] s = {1,2}, float[2] b = {3,4}, float[2] m = {0.5,0.25}, float[2] v = {1,2}",
    ),
    "resize": (
        "float[1,1,3,4] x",
        "float[1,1,6,8] y",
        'y = Resize<mode="linear">(x, r, s)',
        "float[0] r = {}, float[4] s = {1,1,2,2}",
    ),
    "resize_sizes": (
        "float[1,1,3,4] x",
        "float[1,1,6,8] y",
        'y = Resize<mode="nearest">(x, r, s, z)',
        "float[0] r = {}, float[0] s = {}, int64[4] z = {1,1,6,8}",
    ),
    "roi_align": (
        "float[1,1,8,8] x",
        "float[1,1,2,2] y",
        "y = RoiAlign<output_height=2, output_width=2>(x, r, b)",
        "float[1,4] r = {0.5,1.5,6.0,5.0}, int64[1] b = {0}",
    ),
    "gru": (
        "float[3,2,4] x",
        "float[3,1,2,5] y",
        "y = GRU<hidden_size=5>(x, w, r)",
        "float[1,15,4] w = {" + ",".join("0.1" for _ in range(60)) + "}, float[1,15,5] r = {"
        + ",".join("-0.2" for _ in range(75)) + "}",
    ),
    "pad": (
        "float[2,3] x",
        "float[2,6] y",
        "y = Pad(x, p, v)",
        "int64[4] p = {0,1,0,2}, float v = {7.0}",
    ),
    "quantize": (
        "float[6] x",
        "uint8[6] y",
        "y = QuantizeLinear(x, s, z)",
        "float s = {0.02}, uint8 z = {120}",
    ),
    "average_pool": (
        "float[1,1,6] x",
        "float[1,1,3] y",
        "y = AveragePool<kernel_shape=[3], strides=[2], pads=[1,0]>(x)",
        "",
    ),
}  # fmt: skip


def feeds(inputs: str) -> dict[str, np.ndarray]:
    """Fill the inputs of a signature such as "float[2,3] x" with numbers in -1..1."""
    values = onnx.parser.parse_graph(f"g ({inputs}) => () {{}}").input
    generator = np.random.default_rng(7)
    return {
        v.name: generator.uniform(
            -1, 1, [dim.dim_value for dim in v.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for v in values
    }


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("version", OPSETS)
def test_operators_of_every_opset_compute_the_same(imported, run, case, version):
    inputs, outputs, body, constants = CASES[case]
    original = text(version, inputs, outputs, body, constants)
    data = feeds(inputs)
    model = imported(original)
    assert model.graph.opset_imports == {"": 21}
    if (
        case == "roi_align" and version > 21
    ):  # ONNX Runtime has none; the meaning is that of 16
        original = text(16, inputs, outputs, body, constants)
    for expected, actual in zip(run(original, data), run(model, data), strict=True):
        # the same kernels run; Softmax may sum over a reshaped tensor in another order
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


AXES = {
    "ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13, "ReduceL1": 18, "ReduceL2": 18,
    "ReduceLogSum": 18, "ReduceLogSumExp": 18, "ReduceMax": 18, "ReduceMean": 18,
    "ReduceMin": 18, "ReduceProd": 18, "ReduceSumSquare": 18,
}  # fmt: skip


@pytest.mark.parametrize("op", AXES)
@pytest.mark.parametrize("version", OPSETS)
def test_axes_move_from_attribute_to_input(imported, run, op, version):
    is_attribute = version < AXES[op]
    shape = "[2,1,1,3,4]" if op == "Unsqueeze" else "[2,4]"
    size = 1 if op == "Squeeze" else 3
    call = f"{op}<axes=[1]>(t)" if is_attribute else f"{op}(t, axes)"
    if op == "Unsqueeze":
        call = f"{op}<axes=[1,2]>(t)" if is_attribute else f"{op}(t, axes)"
    elif op != "Squeeze":
        call = call.replace("<axes", "<keepdims=0, axes").replace(
            f"{op}(t,", f"{op}<keepdims=0>(t,"
        )
    axes = "int64[2] axes = {1,2}" if op == "Unsqueeze" else "int64[1] axes = {1}"
    original = text(
        version,
        f"float[2,{size},4] x",
        f"float{shape} y",
        f"t = Abs(x) y = {call}",
        "" if is_attribute else axes,
    )
    data = feeds(f"float[2,{size},4] x")
    np.testing.assert_array_equal(run(imported(original), data), run(original, data))


@pytest.mark.parametrize("version", OPSETS)
@pytest.mark.parametrize("sizes", [None, (1, 3)])
def test_split(imported, run, version, sizes):
    attributes, operand, constants = "", "", ""
    if sizes and version < 13:
        attributes = ", split=[1,3]"
    elif sizes:
        operand, constants = ", sizes", "int64[2] sizes = {1,3}"
    elif version >= 18:
        attributes = ", num_outputs=2"
    a, b = sizes or (2, 2)
    original = text(
        version,
        "float[4,3] x",
        f"float[{a},3] y, float[{b},3] z",
        f"y, z = Split<axis=0{attributes}>(x{operand})",
        constants,
    )
    data = feeds("float[4,3] x")
    for expected, actual in zip(
        run(original, data), run(imported(original), data), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("version", OPSETS)
def test_dropout_disappears(imported, run, op_types, version):
    call = "Dropout<ratio=0.9>(t)" if version < 12 else "Dropout(t, ratio)"
    constants = "" if version < 12 else "float ratio = {0.9}"
    original = text(version, "float[4] x", "float[4] y", f"t = Neg(x) y = {call}", constants)
    model = imported(original)
    assert op_types(model) == ["Neg"]
    data = feeds("float[4] x")
    np.testing.assert_array_equal(run(model, data), run(original, data))


def test_a_dropout_mask_is_all_true(imported, run):
    model = imported(text(13, "float[4] x", "float[4] y, bool[4] m", "y, m = Dropout(x)"))
    y, mask = run(model, feeds("float[4] x"))
    assert mask.dtype == bool
    assert mask.all()
    np.testing.assert_array_equal(y, feeds("float[4] x")["x"])


@pytest.mark.parametrize("op", ["BatchNormalization<training_mode=1>(x, s, s, s, s)",
                                "Dropout(x, s1, mode)"])  # fmt: skip
def test_training_mode_is_refused(refused, op):
    constants = "float[2] s = {1,2}, float s1 = {0.5}, bool mode = {1}"
    outputs = "y, a, b" if "Batch" in op else "y"
    refused(
        text(15, "float[1,2,3] x", "float[1,2,3] y", f"{outputs} = {op}", constants),
        "training mode",
    )


def test_five_outputs_of_an_old_batch_normalization(imported, op_types):
    constants = "float[2] s = {1,2}"
    body = "y, a, b, c, d = BatchNormalization(x, s, s, s, s)"
    assert op_types(
        imported(text(11, "float[1,2,3] x", "float[1,2,3] y", body, constants))
    ) == ["BatchNormalization"]


@pytest.mark.parametrize("version", [18, 20, 21])
def test_group_normalization(imported, run, version):
    size = 2 if version < 21 else 4
    scale = np.array([0.5, 2.0, 0.5, 2.0]) if version >= 21 else np.array([0.5, 2.0])
    constants = (
        f"float[{size}] s = {{{','.join(map(str, scale))}}},"
        f"float[{size}] b = {{{','.join('0.25' for _ in scale)}}}"
    )
    body = "y = GroupNormalization<num_groups=2, epsilon=0.01>(x, s, b)"
    model = imported(text(version, "float[1,4,5] x", "float[1,4,5] y", body, constants))
    x = feeds("float[1,4,5] x")["x"]
    groups = x.reshape(1, 2, -1).astype(np.float64)
    centred = groups - groups.mean(-1, keepdims=True)
    normal = (centred / np.sqrt(groups.var(-1, keepdims=True) + 0.01)).reshape(x.shape)
    per_channel = scale if version >= 21 else np.repeat(scale, 2)
    expected = normal * per_channel.reshape(1, 4, 1) + 0.25
    np.testing.assert_allclose(run(model, {"x": x})[0], expected, atol=1e-5)


@pytest.mark.parametrize(("old", "new"), [("bilinear", "linear"), ("bicubic", "cubic")])
def test_grid_sample_modes_were_renamed(imported, run, old, new):
    signature = "float[1,1,4,4] x, float[1,3,3,2] grid"
    originals = [
        text(version, signature, "float[1,1,3,3] y", f'y = GridSample<mode="{mode}">(x, grid)')
        for version, mode in ((16, old), (20, new))
    ]
    data = feeds(signature)
    first, second = (run(imported(original), data)[0] for original in originals)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, run(originals[0], data)[0], atol=1e-6)


@pytest.mark.parametrize("version", [17, 19])
def test_dft_axis_moves_to_an_input(imported, version):
    model = imported(
        text(version, "float[1,4,6,2] x", "float[1,4,6,2] y", "y = DFT<axis=2>(x)")
    )
    node = model.graph.node(0)
    assert node.inputs[1] is None
    assert node.inputs[2].const_value.numpy() == 2


def test_half_pixel_for_nearest_is_refused(refused):
    body = 'y = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn">(x, r, s)'
    constants = "float[0] r = {}, float[4] s = {1,1,2,2}"
    refused(text(11, "float[1,1,3,4] x", "float[1,1,6,8] y", body, constants), "tf_half_pixel")


@pytest.mark.parametrize(
    ("version", "call"),
    [(23, "RMSNormalization(x, s)"), (24, "Swish<alpha=0.5>(x)"), (24, "Swish(x)")],
)
def test_newer_operators_become_their_bodies(imported, run, version, call):
    model = imported(
        text(version, "float[3,4] x", "float[3,4] y", f"y = {call}", "float[4] s = {1,2,3,4}")
    )
    x = feeds("float[3,4] x")["x"].astype(np.float64)
    if call.startswith("RMS"):
        expected = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * [1, 2, 3, 4]
    else:
        expected = x / (1 + np.exp(-x * (0.5 if "alpha" in call else 1.0)))
    result = run(model, feeds("float[3,4] x"))[0]
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_attention_of_opset_23_is_expanded(imported, run):
    signature = "float[1,2,5,8] q, float[1,2,6,8] k, float[1,2,6,8] v"
    model = imported(text(23, signature, "float[1,2,5,8] y", "y = Attention(q, k, v)"))
    data = feeds(signature)
    logits = data["q"] @ data["k"].transpose(0, 1, 3, 2) / np.sqrt(8)
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(run(model, data)[0], weights @ data["v"], atol=1e-5)


def test_a_new_attribute_may_only_say_what_was_so_before(imported, refused):
    signature = ("float[4] x", "float16[4] y")
    imported(text(24, *signature, 'y = Cast<to=10, round_mode="up">(x)'))
    refused(text(24, *signature, 'y = Cast<to=10, round_mode="down">(x)'), "'round_mode'")


def test_dequantize_to_another_type_gets_a_cast(imported, op_types):
    body = "y = DequantizeLinear<output_dtype=10>(x, s)"
    model = imported(text(23, "uint8[4] x", "float16[4] y", body, "float s = {0.5}"))
    assert op_types(model) == ["DequantizeLinear", "Cast"]
    assert model.graph.outputs[0].dtype.name == "FLOAT16"


def test_quantization_has_one_spelling(imported):
    """Per-tensor scales are scalars, zero points explicit, axes not negative."""
    model = imported(
        text(
            13,
            "float[2,3] x",
            "float[2,3] y",
            "q = QuantizeLinear<axis=-1>(x, s, z) y = DequantizeLinear<axis=-1>(q, t)",
            "float[1] s = {0.5}, int8[1] z = {3}, float[3] t = {1,2,3}",
        )
    )
    quantize, dequantize = model.graph
    assert [value.shape for value in quantize.inputs[1:]] == [(), ()]
    assert "axis" not in quantize.attributes
    assert dequantize.attributes["axis"].as_int() == 1
    np.testing.assert_array_equal(
        dequantize.inputs[2].const_value.numpy(), np.zeros(3, np.int8)
    )


def test_a_quantized_type_without_zero_point_becomes_a_zero_point(imported):
    model = imported(
        text(21, "float[3] x", "int8[3] y", "y = QuantizeLinear<output_dtype=3>(x, s)",
             "float s = {0.5}")
    )  # fmt: skip
    zero_point = model.graph.node(0).inputs[2].const_value.numpy()
    assert zero_point.dtype == np.int8
    assert "output_dtype" not in model.graph.node(0).attributes
