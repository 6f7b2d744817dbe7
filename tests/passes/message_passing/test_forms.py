"""Forms of aggregations: what a kernel reads, in float graphs and in quantized ones."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from examples.graphs.networks import LAYERS
from tests.passes.message_passing.quantized_graph import GraphQuantizer, forms_of

from octavo.compiler.importer import import_model
from octavo.passes.message_passing.find import recognize
from octavo.passes.message_passing.forms import Kind, form_of

EXPORTS = Path(__file__).parent / "exports"
EXAMPLES = Path("examples/graphs")
# kind, aggregation, features and coefficients of the first passing, heads
FORMS = {
    EXPORTS / "cheb_fixed.onnx": ("rows", "add", ["x"], "view_3", 1),
    EXPORTS / "dense.onnx": ("product", "add", ["linear"], "a", 1),
    EXPORTS / "gat.onnx": ("rows", "add", ["view"], "div", 2),
    EXPORTS / "gat_script.onnx": ("rows", "add", ["/Reshape_output_0"], "/Div_output_0", 2),
    EXPORTS / "gcn.onnx": ("rows", "add", ["linear"], "edge_weight", 1),
    EXPORTS / "gcn_norm.onnx": ("rows", "add", ["linear"], "mul_1", 1),
    EXPORTS / "gin.onnx": ("rows", "add", ["x"], None, 1),
    EXPORTS / "gru.onnx": ("rows", "add", ["val_1"], "edge_weight", 1),
    EXPORTS / "nnconv.onnx": ("messages", "add", ["squeeze"], None, 1),
    EXPORTS / "sage_max.onnx": ("rows", "max", ["x"], None, 1),
    EXPORTS / "sage_mean_fixed.onnx": ("rows", "mean", ["x"], None, 1),
    EXPORTS / "sage_min.onnx": ("rows", "min", ["x"], None, 1),
    EXPORTS / "sheaf.onnx": ("messages", "add", ["matmul"], None, 1),
    EXPORTS / "sir.onnx": ("pairs", "add", ["linear", "linear_1"], None, 1),
    EXAMPLES / "chebyshev.onnx": ("rows", "add", ["x"], "edge_weight", 1),
    EXAMPLES / "forecast_gru.onnx": ("product", "add", ["neighbours/Gemm_1"], "adjacency", 1),
    EXAMPLES / "gat.onnx": ("rows", "add", ["layer1/Reshape_1"], "layer1/Div_1", 4),
    EXAMPLES / "gatv2.onnx": ("rows", "add", ["layer1/Reshape_1"], "layer1/Div_1", 4),
    EXAMPLES / "gin.onnx": ("rows", "add", ["x"], None, 1),
    EXAMPLES / "sheaf.onnx": ("messages", "add", ["layer1/Mul_6"], None, 1),
}  # fmt: skip


def described(form):
    assert not isinstance(form, str), form
    coefficients = None if form.coefficients is None else form.coefficients.name
    names = [value.name for value in form.features]
    return form.kind.value, form.aggregation.value, names, coefficients, form.heads


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_the_form(path):
    passing = recognize(import_model(path).graph).passings[0]
    assert described(form_of(passing)) == FORMS[path]


def test_scores_of_two_ends_and_of_edges():
    ends = form_of(recognize(import_model(EXPORTS / "gat.onnx").graph).passings[0]).scores
    assert (ends.of_target.name, ends.of_source.name) == ("sum_2", "sum_1")
    assert ends.slope == pytest.approx(0.2)
    edges = form_of(recognize(import_model(EXPORTS / "gatv2.onnx").graph).passings[0]).scores
    assert (edges.of_edges.name, edges.of_target, edges.slope) == ("sum_1", None, 1.0)


def test_a_product_of_messages_has_no_form():
    passing = recognize(import_model(EXPORTS / "mul.onnx").graph).passings[0]
    assert form_of(passing) == "no kernel multiplies the messages of a node"


def test_a_gate_of_every_number_is_no_coefficient(build):
    nodes = """s = Gather<axis=0>(e, zero) d = Gather<axis=0>(e, one)
        g = Gather<axis=0>(x, s) m = Mul(w, g) i = Unsqueeze(d, last)
        y = ScatterND<reduction="add">(base, i, m)"""
    arrays = {"zero": np.int64(0), "one": np.int64(1), "last": np.array([-1]),
              "base": np.zeros((5, 3), np.float32)}  # fmt: skip
    header = "g (float[5,3] x, int64[2,8] e, float[8,3] w) => (float[5,3] y)"
    model = build(f"{header} {{ {nodes} }}", **arrays)
    form = form_of(recognize(model.graph).passings[0])
    assert described(form) == ("messages", "add", ["m"], None, 1)


def random_feeds(graph, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {value: tuple(value.shape.numpy()) for value in graph.inputs}
    return {
        value.name: rng.integers(0, 20, shape)
        if value.dtype == ir.DataType.INT64
        else rng.normal(size=shape).astype(np.float32)
        for value, shape in shapes.items()
    }


@pytest.mark.parametrize("name", [*sorted(set(LAYERS) - {"edge_conditioned"}), "karate_gcn"])
def test_a_quantized_graph_has_the_forms_of_its_float_graph(name):
    model = import_model(EXAMPLES / f"{name}.onnx")
    before = [described(form) for form in forms_of(model.graph)]
    GraphQuantizer(model, random_feeds(model.graph)).run()
    after = forms_of(model.graph)
    assert [(k, a, h) for k, a, _, _, h in before] == [
        (k, a, h) for k, a, _, _, h in map(described, after)
    ]
    for form in after:
        computed = [v for v in (*form.features, form.coefficients) if v is not None]
        if form.kind is not Kind.MESSAGES or computed[0].const_value is None:
            assert {v.producer().op_type for v in computed} == {"DequantizeLinear"}
        # Nothing in between is rounded, but for coefficients that the kernel makes.
        rounded = [n for n in form.nodes if n.op_type == "QuantizeLinear"]
        assert len(rounded) == (1 if form.scores is not None else 0)


def test_a_kernel_computes_no_node_that_others_read():
    """In GATv2 the scores, which are left to others, read the gathered rows as well."""
    for form in forms_of(import_model(EXAMPLES / "gatv2.onnx").graph):
        inner = set(form.nodes) - {form.output.producer()}
        users = {use.node for node in inner for out in node.outputs for use in out.uses()}
        assert users <= set(form.nodes)


@pytest.mark.parametrize(
    ("edges", "axis", "base", "why"),
    [
        (0, 0, 0.0, "there is nothing to aggregate"),
        (8, 0, 2.0, "nodes without edges have 2"),
        (8, 1, 0.0, "nodes are counted along axis 1"),
    ],
)
def test_what_has_no_form_says_why(build, edges, axis, base, why):
    shape = (5, 3) if axis == 0 else (3, 5)
    wide = (edges, 3) if axis == 0 else (3, edges)
    arrays = {"zero": np.int64(0), "one": np.int64(1), "wide": np.array(wide)}
    arrays |= {"column": np.array([-1, 1]), "base": np.full(shape, base, np.float32)}
    column = (
        "c = Reshape(d, column) i = Expand(c, wide)" if axis == 0 else "i = Expand(d, wide)"
    )
    nodes = f"""s = Gather<axis=0>(e, zero) d = Gather<axis=0>(e, one) {column}
        m = Gather<axis={axis}>(x, s)
        y = ScatterElements<axis={axis}, reduction="add">(base, i, m)"""
    sizes = ",".join(map(str, shape))
    header = f"g (float[{sizes}] x, int64[2,{edges}] e) => (float[{sizes}] y)"
    model = build(f"{header} {{ {nodes} }}", **arrays)
    assert form_of(recognize(model.graph).passings[0]) == why
