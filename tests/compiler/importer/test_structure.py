"""Graphs that are not well formed, or too large or too deep."""

import time

import onnx
import pytest
from onnx import helper

from octavo.compiler.importer import Limits, import_model
from octavo.compiler.importer.structure import MAX_OPSET
from octavo.errors import ModelError

HEADER = '<ir_version: 10, opset_import: ["" : 21, "local" : 1]>'


def model(body: str, rest: str = "", output: str = "y") -> str:
    return f"{HEADER} g (float[2] x) => (float[2] {output}) {{ {body} }} {rest}"


def function(name: str, body: str) -> str:
    header = '<domain: "local", opset_import: ["" : 21, "local" : 1]>'
    return f"{header} {name} (a) => (b) {{{body}}}"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("y = Relu(q)", "Relu 'y' reads 'q'"),
        ("y = Relu(t) t = Relu(x)", "reads 't'.*earlier node"),
        ("y = Add(x, y)", "reads 'y'"),
        ("t = Relu(x) t = Relu(x) y = Relu(t)", "'t'.*used twice"),
        ("x = Relu(x) y = Relu(x)", "'x'.*used twice"),
        ("z = Relu(x)", "output 'y' is not computed"),
    ],
)
def test_single_assignment_in_order(refused, body, message):
    refused(model(body), message)


def test_duplicates_in_the_lists_of_the_graph(refused):
    for field in ("input", "output"):
        proto = onnx.parser.parse_model(model("y = Relu(x)"))
        values = getattr(proto.graph, field)
        values.append(values[0])
        refused(proto, "used twice")
    proto = onnx.parser.parse_model(model("y = Add(x, w)"))
    weight = helper.make_tensor("w", onnx.TensorProto.FLOAT, [1], [1.0])
    proto.graph.initializer.extend([weight, weight])
    refused(proto, "'w'.*used twice")
    proto.graph.initializer[1].name = ""
    refused(proto, "an initializer has no name")


def test_a_missing_initializer_is_named(refused):
    assert "Conv 'stem'" in refused(
        f"""{HEADER} g (float[1,1,4,4] x) => (float[1,1,4,4] y)
        {{ [stem] y = Conv(x, weight) }}""",
        "reads 'weight'",
    )


def test_subgraph_names_may_not_shadow(refused):
    refused(
        f"""{HEADER} g (float[2] x, bool c) => (float[2] y) {{
            y = If(c) <
                then_branch = t () => (float[2] x) {{ x = Relu(c) }},
                else_branch = e () => (float[2] u) {{ u = Relu(x) }}
            >
        }}""",
        "'x'.*used twice",
    )


def test_attributes_are_unique(refused):
    proto = onnx.parser.parse_model(model("y = LeakyRelu<alpha = 0.5>(x)"))
    proto.graph.node[0].attribute.append(proto.graph.node[0].attribute[0])
    refused(proto, "attribute 'alpha' twice")


@pytest.mark.parametrize(
    "functions",
    [
        function("f", "b = local.f(a)"),
        function("f", "b = local.h(a)") + function("h", "b = local.f(a)"),
        function("f", "c = Relu(a) b = local.h(c)")
        + function("h", "b = local.k(a)")
        + function("k", "b = local.h(a)"),
    ],
)
def test_functions_that_call_themselves_are_refused(refused, functions):
    refused(model("y = local.f(x)", functions), "calls itself in a circle")


def test_a_circle_that_nobody_calls_is_refused_too(refused):
    refused(model("y = Relu(x)", function("f", "b = local.f(a)")), "circle")


def test_a_circle_through_a_subgraph_is_refused(refused):
    body = """c = Constant<value = bool {1}>() b = If(c) <
        then_branch = t () => (float[2] u) { u = local.f(a) },
        else_branch = e () => (float[2] v) { v = Relu(a) } >"""
    refused(model("y = local.f(x)", function("f", body)), "circle")


def test_long_chains_of_calls_are_refused(imported, refused):
    def chain(length: int) -> str:
        calls = [function(f"f{i}", f"b = local.f{i + 1}(a)") for i in range(length - 1)]
        return model(
            "y = local.f0(x)", "".join(calls) + function(f"f{length - 1}", "b=Relu(a)")
        )

    imported(chain(16))
    refused(chain(17), "deeper than 16")
    refused(chain(500), "deeper than 16")


def test_functions_that_double_at_each_level_are_stopped(refused):
    calls = [f"c = local.f{i + 1}(a) b = local.f{i + 1}(c)" for i in range(15)]
    levels = [function(f"f{i}", call) for i, call in enumerate([*calls, "c=Neg(a) b=Neg(c)"])]
    bomb = model("y = local.f0(x)", "".join(levels))
    refused(bomb, "expand to more than 1000 nodes", limits=Limits(nodes=1000))


def test_functions_are_unique(refused):
    twice = function("f", "b = Relu(a)") + function("f", "b = Neg(a)")
    refused(model("y = local.f(x)", twice), "'f' is defined twice")


def test_caps_on_nodes_and_initializers_are_inclusive(imported, refused):
    text = model("t = Neg(x) y = Add(t, w)").replace(
        "(float[2] y)", "(float[2] y) <float w={1}>"
    )
    imported(text, limits=Limits(nodes=2, initializers=1))
    refused(text, "more than 1 nodes", limits=Limits(nodes=1))
    refused(text, "more than 0 initializers", limits=Limits(initializers=0))


def test_nodes_in_subgraphs_and_functions_count(refused):
    text = model("y = local.f(x)", function("f", "c = Neg(a) b = Neg(c)"))
    refused(text, "more than 2 nodes", limits=Limits(nodes=2))


def nested(depth: int) -> onnx.ModelProto:
    body = helper.make_node("Neg", ["x"], ["y0"])
    for i in range(depth):
        value = helper.make_tensor_value_info(f"y{i}", onnx.TensorProto.FLOAT, [2])
        other = helper.make_node("Neg", ["x"], [f"z{i}"])
        out = helper.make_tensor_value_info(f"z{i}", onnx.TensorProto.FLOAT, [2])
        body = helper.make_node(
            "If",
            ["c"],
            [f"y{i + 1}"],
            then_branch=helper.make_graph([body], "t", [], [value]),
            else_branch=helper.make_graph([other], "e", [], [out]),
        )
    proto = onnx.parser.parse_model(
        model("y = Neg(x)", output="y")
        .replace("(float[2] x)", "(float[2] x) ")
        .replace("=> (float[2] y)", "=> (float[2] y) <bool c = {1}>")
    )
    del proto.graph.node[:]
    proto.graph.node.append(body)
    proto.graph.output[0].name = f"y{depth}"
    return proto


def test_subgraph_nesting_is_capped(imported, refused, op_types):
    assert op_types(imported(nested(4), limits=Limits(depth=4))) == ["Neg"]
    refused(nested(5), "nested deeper than 4", limits=Limits(depth=4))


def test_many_subgraphs_take_linear_time(imported):
    """4,000 Ifs; uniting the names around each of them would be 10**7 set insertions."""
    nodes = []
    for i in range(4000):
        info = helper.make_tensor_value_info(f"z{i}", onnx.TensorProto.FLOAT, [2])
        graph = helper.make_graph([helper.make_node("Neg", ["x"], [f"z{i}"])], "t", [], [info])
        nodes.append(
            helper.make_node("If", ["c"], [f"o{i}"], then_branch=graph, else_branch=graph)
        )
    proto = onnx.parser.parse_model(
        model("y = Neg(x)").replace("=> (float[2] y)", "=> (float[2] y) <bool c = {1}>")
    )
    proto.graph.node.extend(nodes)
    start = time.process_time()
    imported(proto)
    assert time.process_time() - start < 5


def test_nesting_beyond_what_protobuf_reads_is_refused(tmp_path):
    def field(number: int, payload: bytes) -> bytes:
        size, varint = len(payload), b""
        while size >= 128:
            varint, size = varint + bytes([size % 128 + 128]), size // 128
        return bytes([number * 8 + 2]) + varint + bytes([size]) + payload

    graph = b""
    for _ in range(2000):  # ModelProto.graph = 7, .node = 1, .attribute = 5, .g = 6
        graph = field(1, field(5, field(6, graph)))
    path = tmp_path / "model.onnx"
    path.write_bytes(field(7, graph) + field(8, bytes([16, 21])))
    with pytest.raises(ModelError, match="truncated or not an ONNX model"):
        import_model(path)


def test_long_strings_are_refused(imported, refused):
    proto = onnx.parser.parse_model(model("y = Relu(x)"))
    proto.graph.node[0].name = "n" * 4096
    imported(proto)
    proto.graph.node[0].name += "n"
    refused(proto, "longer than 4096")
    proto = onnx.parser.parse_model(model('y = Gelu<approximate = "none">(x)'))
    proto.graph.node[0].attribute[0].s = b"x" * 5000
    refused(proto, "'approximate' is longer than 4096")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "\x00"])
def test_names_that_would_garble_a_listing_are_refused(refused, name):
    for field in ("name", "op_type", "domain"):
        proto = onnx.parser.parse_model(model("y = Relu(x)"))
        setattr(proto.graph.node[0], field, name)
        refused(proto, "control characters")
    proto = onnx.parser.parse_model(model("y = Relu(x)"))
    proto.graph.node[0].input[0] = name
    refused(proto, "control characters")


def test_names_that_are_not_utf_8_are_refused(tmp_path):
    proto = onnx.parser.parse_model(model("y = Relu(x)"))
    proto.graph.node[0].name = "abcdefgh"
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString().replace(b"abcdefgh", b"abcd\xff\xfegh"))
    with pytest.raises(ModelError, match="control characters"):
        import_model(path)


@pytest.mark.parametrize("version", [1, 10, 29, 99, -1])
def test_opsets_outside_the_range_are_refused(refused, version):
    text = f'<ir_version: 10, opset_import: ["" : 21]> {model("y = Relu(x)").split(">", 1)[1]}'
    proto = onnx.parser.parse_model(text)
    proto.opset_import[0].version = version
    refused(proto, f"uses opset {version}; opsets 11 to {MAX_OPSET}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("y = Foo(x)", "Foo 'y': opset 21 has no such operator"),
        ("y = Upsample(x)", "Upsample 'y': opset 21 has no such operator"),
        ("y = local.Foo(x)", "local.Foo 'y'.*domain 'local' are not supported"),
        ("y = Relu(x, x)", "Relu 'y'.*input size 2"),
        ("y = Relu<alpha = 1.0>(x)", "Unrecognized attribute: alpha"),
        ("y = LeakyRelu<alpha = 1>(x)", "attribute type"),
        ("y = Transpose<perm = [1]>(x)", "Transpose 'y'"),
        ("y = Flatten<axis = 7>(x)", "Flatten 'y'"),
        ("y = SequenceConstruct(x)", "not a tensor"),
        ("y = Loop(x, x) <body = b (int64 i, bool c) => (bool d) {d = Identity(c)}>",
         "control flow is not supported"),
    ],
)  # fmt: skip
def test_invalid_nodes_are_named(refused, body, message):
    refused(model(body), message)


def test_unknown_microsoft_operators_list_the_known_ones(refused):
    text = model("y = com.microsoft.Foo(x)").replace('"local" : 1', '"com.microsoft" : 1')
    assert "QLinearAdd" in refused(text, "com.microsoft.Foo 'y' is not supported")
