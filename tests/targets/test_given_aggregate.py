"""Aggregation over edges that are given, of heads and of pairs, equals its reference."""

from dataclasses import replace

import numpy as np
import pytest
from tests.targets.graphs import EPILOGUES, edge_list, operands, output

from octavo.targets.kernels.csr_aggregate import CsrRows
from octavo.targets.kernels.edge_order import CountingSort
from octavo.targets.ops import csr_aggregate, edge_order
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.edge_order import PLACES_BEHIND, EdgeOrder
from octavo.targets.ops.requantize import Requantize

KERNEL = CsrRows()
REAL = Requantize(dtype="float32")
GRAPH = {"nodes": 70, "sources": 50, "edges": 300}
COUNT = 280  # edges that there are
# Kind, type, weights, and what else.
CASES = [
    ("sum", "uint8", None, {}), ("max", "int8", None, {"by_message": True}),
    ("sum", "int8", "int8", {}), ("mean", "uint8", "uint8", {"by_edge": True}),
    ("sum", "uint8", "uint8", {"heads": 4}),
    ("sum", "int8", "uint8", {"heads": 2, "by_edge": True}),
    ("sum", "uint8", None, {"pair": "relu"}), ("mean", "int8", None, {"pair": "sum"}),
    ("sum", "int8", "int8", {"pair": "relu", "by_message": True}),
    ("sum", "float32", "float32", {"heads": 4, "by_edge": True}),
    ("mean", "float32", None, {"pair": "relu"}), ("sum", "float32", "float32", {}),
    ("max", "float32", None, {}),
]


def make(case, epilogue="float32", **fields):
    kind, dtype, weight, more = case
    more = dict(more)
    graph = GRAPH
    if more.pop("by_message", False):
        graph = GRAPH | {"sources": GRAPH["edges"]}
    return CsrAggregate(**{
        **graph, "kind": kind, "channels": 40, "dtype": dtype, "weight_dtype": weight,
        "is_given": True, "requantize": REAL if dtype == "float32" else EPILOGUES[epilogue],
        "has_limits": dtype == "float32", **more, **fields})


def ordered(op, source, node):
    """Arrays that put edges in order; places behind the last edge have any row."""
    order = EdgeOrder(
        nodes=op.nodes, sources=op.sources, edges=op.edges, has_ids=True, has_count=True)
    graph = edge_order.reference(order, {
        "source": source, "node": node, "count": np.array([min(COUNT, op.edges)])})
    if op.sources == op.edges:
        graph["places"] = graph["ids"]
    return graph


def arrays_of(op, seed=0):
    """Operands and a graph; weights by edge or by place are any numbers."""
    rng = np.random.default_rng(seed)
    source, node = edge_list(rng, op.nodes, min(op.sources, 50), op.edges)
    return operands(rng, op) | ordered(op, source, node)


def inputs(op, arrays):
    """Arrays in the order of operands."""
    named = {"x": True, "target": op.pair, "offsets": True, "places": True,
             "weight": op.weight_dtype, "ids": op.by_edge}
    return [arrays[name] for name, is_there in named.items() if is_there]


def check(run_kernel, isa, op, **changed):
    arrays = arrays_of(op) | changed
    assert KERNEL.reject_constants(op, isa, arrays) == ""
    y = run_kernel(KERNEL, op, isa, inputs(op, arrays), arrays, output(op))
    expected = csr_aggregate.reference(op, arrays)
    np.testing.assert_array_equal(y, expected)
    assert len(np.unique(y)) > 2, "a constant output would hide errors"


@pytest.mark.parametrize("index", range(len(CASES)))
def test_every_kind(run_kernel, isa, index):
    epilogue = ("dyadic", "float32", "real", "table")[index % 4]
    op = make(CASES[index], epilogue, has_bias=CASES[index][0] == "sum")
    check(run_kernel, isa, op)


# Vectors of 4, 8 and 16 lanes alone, four of them side by side, and both.
@pytest.mark.parametrize("channels", [1, 16, 64, 72, 128, 390])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("weight", ["uint8", "int8"])
def test_weighted_sums_of_any_width(run_kernel, isa, channels, dtype, weight):
    op = make(("sum", dtype, weight, {}), channels=channels, has_bias=True)
    check(run_kernel, isa, op)


@pytest.mark.parametrize("edges", [3, 4, 5, 6, 7, 9])
def test_the_last_edges_end_anywhere_in_a_group(run_kernel, isa, edges):
    op = make(("sum", "uint8", "uint8", {}), nodes=3, edges=edges, channels=64)
    arrays = arrays_of(op)
    arrays["offsets"] = np.array([0, 1, 1, edges], np.int32)
    y = run_kernel(KERNEL, op, isa, inputs(op, arrays), arrays, output(op))
    np.testing.assert_array_equal(y, csr_aggregate.reference(op, arrays))
    assert ("groups" in KERNEL.variant(op, isa)) == (isa.dots_registers and edges > 3)


@pytest.mark.parametrize(("dtype", "weight"), [
    ("uint8", "uint8"), ("uint8", "int8"), ("int8", "uint8"), ("int8", "int8")])
@pytest.mark.parametrize("lowest", [True, False])
def test_products_of_extremes(run_kernel, isa, dtype, weight, lowest):
    """The largest sums that are accepted, of one sign."""
    edges = 32_000
    op = make(("sum", dtype, weight, {}), nodes=1, sources=2, edges=edges, channels=64)
    arrays = arrays_of(replace(op, nodes=9, edges=300, sources=50))
    x, own = np.iinfo(dtype), np.iinfo(weight)
    arrays |= {
        "x": np.full((2, 64), x.min if lowest else x.max, dtype),
        "zero_point": np.array([x.max if lowest else x.min], np.int32),
        "weight": np.full((edges, 1), own.max if own.min == 0 else own.min, weight),
        "offsets": np.array([0, edges], np.int32),
        "places": np.zeros(edges + PLACES_BEHIND, np.int32),
        "multiplier": np.array([1e-7], np.float32),
    }
    y = run_kernel(KERNEL, op, isa, inputs(op, arrays), arrays, output(op))
    np.testing.assert_array_equal(y, csr_aggregate.reference(op, arrays))


# Heads of less than a vector, of more than one, of no whole vectors; and in turns, where
# registers do not hold the sums of all channels.
@pytest.mark.parametrize(("channels", "heads"), [
    (8, 8), (12, 3), (70, 7), (64, 2), (390, 3)])
@pytest.mark.parametrize("index", [4, 9])
def test_every_head_has_its_own_weights(run_kernel, isa, channels, heads, index):
    check(run_kernel, isa, make(CASES[index], channels=channels, heads=heads))


@pytest.mark.parametrize("channels", [1, 33, 300])
@pytest.mark.parametrize("index", [6, 8, 10])
def test_pairs_of_any_width(run_kernel, isa, channels, index):
    check(run_kernel, isa, make(CASES[index], channels=channels))


@pytest.mark.parametrize(("index", "extreme"), [(6, 255), (6, 0), (7, -128), (7, 127)])
def test_long_sums_of_pairs_of_extremes_leave_16_bits(run_kernel, isa, index, extreme):
    op = make(CASES[index], edges=1600, sources=4, nodes=3)
    arrays = arrays_of(op) | {
        "offsets": np.array([0, 128, 700, 1600], np.int32),
        "zero_point": np.array([min(max(extreme, 0), 3)], np.int32),
        "multiplier": np.array([2e-4], np.float32)}
    arrays["places"][:] = 1
    arrays["x"][:], arrays["target"][:] = extreme, extreme
    y = run_kernel(KERNEL, op, isa, inputs(op, arrays), arrays, output(op))
    np.testing.assert_array_equal(y, csr_aggregate.reference(op, arrays))


def test_nothing_else_than_the_edges_that_there_are_counts(run_kernel, isa):
    op = make(CASES[3])
    arrays = arrays_of(op)
    y = run_kernel(KERNEL, op, isa, inputs(op, arrays), arrays, output(op))
    behind = slice(COUNT, COUNT + PLACES_BEHIND)
    for name in ("places", "ids"):
        arrays[name][COUNT:] = 2**31 - 1
        arrays[name][behind] = 0  # as EdgeOrder leaves them
    again = run_kernel(KERNEL, op, isa, inputs(op, arrays), arrays, output(op))
    np.testing.assert_array_equal(y, again)


def test_rows_that_no_cache_holds_are_asked_for(run_kernel, isa):
    for index, heads in ((0, 1), (4, 4)):
        op = make(CASES[index], nodes=90, sources=5000, channels=288, heads=heads)
        assert "llvm.prefetch" in str(KERNEL.build(op, isa))
        check(run_kernel, isa, op)


@pytest.mark.parametrize(("edges", "is_asked"), [(300_000, True), (200_000, False)])
def test_weights_by_edge_that_no_cache_holds_are_asked_for(isas, edges, is_asked):
    op = make(CASES[3], edges=edges, max_degree=100)
    assert ("llvm.prefetch" in str(KERNEL.build(op, isas[0]))) == is_asked


@pytest.mark.parametrize("index", [0, 2, 11])
def test_given_edges_give_the_bits_of_a_constant_graph(run_kernel, isa, index):
    """Through both kernels; ``rows`` only says in which order nodes are computed."""
    op = make(CASES[index], by_edge=CASES[index][2] is not None, has_limits=False)
    rng = np.random.default_rng(5)
    source, node = edge_list(rng, op.nodes, op.sources, op.edges)
    arrays = operands(rng, op)
    order = EdgeOrder(nodes=op.nodes, sources=op.sources, edges=op.edges, has_ids=True)
    memory = [np.zeros(n, np.int32) for n in (op.nodes + 1, order.places, order.places)]
    found = run_kernel.outputs(CountingSort(), order, isa, [source, node], {}, memory)
    graph = dict(zip(("offsets", "places", "ids"), found, strict=True))
    given = run_kernel(
        KERNEL, op, isa, inputs(op, arrays | graph), arrays, output(op))
    by_node = np.argsort(node, kind="stable")
    constant = replace(op, is_given=False, by_edge=False, has_rows=True)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(node, minlength=op.nodes))])
    fixed = arrays | {"offsets": offsets, "places": source[by_node],
                      "rows": rng.permutation(op.nodes)}
    if op.weight_dtype is not None:
        fixed["weight"] = arrays["weight"][by_node]
    assert KERNEL.reject_constants(constant, isa, fixed) == ""
    known = run_kernel(KERNEL, constant, isa, [arrays["x"]], fixed, output(op))
    np.testing.assert_array_equal(given, known)
    wrong = fixed | {"rows": np.zeros(op.nodes, int)}
    assert "no order" in KERNEL.reject_constants(constant, isa, wrong)


def test_float_sums_are_close_to_adding_in_float64(run_kernel, isa):
    op = make(CASES[9], has_limits=False, has_bias=False)
    arrays = arrays_of(op) | {"multiplier": np.ones(1, np.float32)}
    y = run_kernel(KERNEL, op, isa, inputs(op, arrays), arrays, output(op))
    expected = np.zeros((op.nodes, op.heads, op.channels // op.heads))
    node = np.repeat(np.arange(op.nodes), np.diff(arrays["offsets"]))
    weight = arrays["weight"][arrays["ids"][:COUNT]].astype(np.float64)
    messages = arrays["x"][arrays["places"][:COUNT]].reshape(COUNT, op.heads, -1)
    np.add.at(expected, node, weight[:, :, None] * messages)
    np.testing.assert_allclose(y, expected.reshape(y.shape), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("change", "reason"), [
    ({"heads": 3}, "3 heads of 40"), ({"heads": 2}, "heads without weights"),
    ({"pair": "mul"}, "pair 'mul'"), ({"kind": "max", "pair": "sum"}, "with a max"),
    ({"by_edge": True}, "weights by edge"), ({"edges": 0}, "no edges"),
    ({"has_rows": True}, "order of nodes"), ({"has_limits": True}, "limits of uint8"),
    ({"edges": 70_000, "weight_dtype": "int8"}, "at most 65793"),
    ({"edges": 70_000, "weight_dtype": "int8", "pair": "sum"}, "at most 32896"),
])
def test_reasons_against_given_edges(isas, change, reason):
    op = replace(make(CASES[0]), **change)
    assert reason in KERNEL.reject(op, isas[0])
    assert KERNEL.reject(replace(op, edges=300, max_degree=0), isas[0]) == "" or (
        "edges" not in change)


def test_a_limit_of_degrees_lets_many_edges_be_weighted(isas):
    op = make(CASES[2], edges=70_000, max_degree=1000)
    assert KERNEL.reject(op, isas[0]) == ""
