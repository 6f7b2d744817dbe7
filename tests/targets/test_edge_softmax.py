"""The softmax over the edges of a node equals its reference, and that one exp and division."""

from dataclasses import replace

import numpy as np
import pytest
from tests.targets.graphs import edge_list

from octavo.targets.kernels import edge_softmax_blocks
from octavo.targets.kernels.edge_softmax import BUFFER_SCORES, EdgeSoftmaxNodes
from octavo.targets.ops import edge_order, edge_softmax
from octavo.targets.ops.edge_order import EdgeOrder
from octavo.targets.ops.edge_softmax import EdgeSoftmax
from octavo.targets.ops.exponential import LOWEST, exp_float32

KERNEL = EdgeSoftmaxNodes()
GRAPH = {"nodes": 70, "sources": 50, "edges": 300}
COUNT = 280  # edges that there are
CASES = [
    EdgeSoftmax(**GRAPH, heads=4, slope=0.2),
    EdgeSoftmax(**GRAPH, heads=1, dtype="uint8", out_dtype="float32", slope=0.2, epsilon=1e-6),
    EdgeSoftmax(**GRAPH, heads=3, dtype="int8", largest=15),
    EdgeSoftmax(**GRAPH, heads=2, form="edges", out_dtype="float32"),
    EdgeSoftmax(**GRAPH, heads=4, form="edges", dtype="uint8", largest=127),
    EdgeSoftmax(**GRAPH, heads=20, form="sorted", out_dtype="float32", epsilon=0.5),
    EdgeSoftmax(**GRAPH, heads=1, form="sorted", dtype="int8"),
]


def arrays_of(op, seed=0, count=COUNT):
    """Scores of both signs, a graph and constants; numbers behind the last edge are any."""
    rng = np.random.default_rng(seed)
    source, node = edge_list(rng, op.nodes, op.sources, op.edges)
    order = EdgeOrder(
        nodes=op.nodes, sources=op.sources, edges=op.edges, has_ids=True, has_count=True)
    arrays = edge_order.reference(order, {
        "source": source, "node": node, "count": np.array([count])})
    rows = {"source": op.sources, "target": op.nodes, "score": op.edges}
    for name, size in rows.items():
        scores = rng.normal(0, 4, (size, op.heads)).astype(np.float32)
        if op.dtype != "float32":
            middle = 0 if op.dtype == "int8" else 128
            scores = np.clip(np.rint(scores * 12) + middle, -128 + middle, 127 + middle)
        arrays[name] = scores.astype(op.dtype)
        arrays[f"{name}_scale"] = np.array([0.07 + 0.001 * size], np.float32)
        arrays[f"{name}_zero_point"] = np.array([-3 if op.dtype == "int8" else 131], np.int32)
    return arrays | {"out_inverse": np.array([op.largest + 1], np.float32)}


def inputs(op, arrays):
    """Arrays in the order of operands."""
    names = {"ends": ("source", "target", "offsets", "places"),
             "edges": ("score", "offsets", "ids"), "sorted": ("score", "offsets")}[op.form]
    return [arrays[name] for name in names]


def check(run_kernel, isa, op, count=COUNT):
    arrays = arrays_of(op, count=count)
    y = np.full((op.edges, op.heads), 77, op.out_dtype)
    y = run_kernel(KERNEL, op, isa, inputs(op, arrays), arrays, y)
    expected = edge_softmax.reference(op, arrays)
    np.testing.assert_array_equal(y[:count], expected[:count])
    assert (y[count:] == 77).all(), "only edges that there are have coefficients"
    assert len(np.unique(expected[:count])) > 8


@pytest.mark.parametrize("index", range(len(CASES)))
def test_every_form(run_kernel, isa, index):
    check(run_kernel, isa, CASES[index])


@pytest.mark.parametrize("heads", [2, 5, 8, 16, 33, 300])
def test_rows_of_scores_beside_the_vector_width(run_kernel, isa, heads):
    """From 6 heads on the hub has more edges than the buffer holds."""
    form = ("ends", "edges", "sorted")[heads % 3]
    op = replace(CASES[0], heads=heads, form=form, slope=0.1 if form == "ends" else 1.0)
    assert (heads > 5) == (100 * heads > BUFFER_SCORES)
    check(run_kernel, isa, op)


@pytest.mark.parametrize(("heads", "form"), [(1, "ends"), (4, "edges"), (16, "ends")])
def test_hubs_beyond_the_buffer_of_blocks(run_kernel, isa, heads, form):
    """The hub has a third of the edges: its task is too large, or it is too large itself."""
    slope = 0.1 if form == "ends" else 1.0
    op = replace(CASES[0], edges=7000, heads=heads, form=form, slope=slope)
    most = edge_softmax_blocks.BUFFER_SCORES
    assert op.edges * heads > most
    check(run_kernel, isa, op, count=6990)


@pytest.mark.parametrize("heads", [1, 2, 4, 8, 16, 3, 32])
def test_blocks_serve_heads_that_fill_them(isa, heads):
    op = replace(CASES[0], heads=heads)
    fills = 16 % heads == 0 and isa.of_reals.lanes >= 4
    assert KERNEL.variant(op, isa).endswith("blocks" if fills else "rows")


@pytest.mark.parametrize(("change", "is_asked"), [
    ({"sources": 20_000}, True), ({"sources": 16_000}, False),
    ({"form": "edges", "slope": 1.0, "edges": 20_000}, True),
    ({"form": "sorted", "slope": 1.0, "edges": 20_000}, False)])
def test_scores_that_no_cache_holds_are_asked_for(isas, change, is_asked):
    op = replace(CASES[0], **change)
    assert ("llvm.prefetch" in str(KERNEL.build(op, isas[0]))) == is_asked


@pytest.mark.parametrize("index", [0, 1, 5])
def test_coefficients_are_those_of_float64(index):
    op = CASES[index]
    arrays = arrays_of(op)
    offsets, places = arrays["offsets"], arrays["places"][:COUNT]
    node = np.repeat(np.arange(op.nodes), np.diff(offsets))
    if op.form == "ends":
        ends = {
            name: arrays[name].astype(np.float64) if op.dtype == "float32" else (
                arrays[f"{name}_scale"] * (
                    arrays[name].astype(np.float64) - arrays[f"{name}_zero_point"]))
            for name in ("source", "target")}
        scores = ends["source"][places] + ends["target"][node]
        scores = np.where(scores > 0, scores, scores * op.slope)
    else:
        scores = arrays["score"][:COUNT].astype(np.float64)
    best = np.full((op.nodes, op.heads), -np.inf)
    np.maximum.at(best, node, scores)
    terms = np.exp(scores - best[node])
    totals = np.full((op.nodes, op.heads), op.epsilon)
    np.add.at(totals, node, terms)
    expected = terms / totals[node]
    found = edge_softmax.reference(op, arrays)[:COUNT]
    if op.out_dtype == "float32":
        np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-12)
    else:
        assert np.abs(found - np.minimum(expected * 256, 255)).max() < 0.501


def test_exp_is_off_by_one_unit_and_a_half():
    x = -np.concatenate([
        np.random.default_rng(0).uniform(0, -LOWEST, 20_000), [0, 1e-30, -LOWEST, 1e30]])
    exact = np.exp(np.maximum(x.astype(np.float32), LOWEST).astype(np.float64))
    units = np.abs(exp_float32(x.astype(np.float32)) - exact) / np.spacing(
        exact.astype(np.float32))
    assert units.max() < 1.5
    assert exp_float32(np.float32([0]))[0] == 1


@pytest.mark.parametrize(("change", "reason"), [
    ({"form": "none"}, "form"), ({"dtype": "int16"}, "int16 scores"),
    ({"out_dtype": "int8"}, "int8 coefficients"), ({"slope": 1.5}, "slope"),
    ({"form": "edges"}, "slope"), ({"epsilon": -1.0}, "epsilon"), ({"largest": 256}, "256"),
    ({"heads": 513}, "513 heads"), ({"edges": 0}, "0 edges"), ({"edges": 2**29}, "elements"),
])
def test_reasons_against_a_softmax(isas, change, reason):
    assert KERNEL.reject(CASES[0], isas[0]) == ""
    assert reason in KERNEL.reject(replace(CASES[0], **change), isas[0])
