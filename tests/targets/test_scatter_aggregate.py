"""Aggregation of given edges equals its reference, or fails without having written."""

from dataclasses import replace

import numpy as np
import pytest
from tests.targets.graphs import EPILOGUES, edge_list, operands, output

from octavo.targets.kernels.csr_aggregate import CsrRows
from octavo.targets.kernels.scatter_aggregate import ScatterRows
from octavo.targets.ops import scatter_aggregate
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.requantize import Requantize
from octavo.targets.ops.scatter_aggregate import ScatterAggregate

KERNEL = ScatterRows()
REAL = Requantize(dtype="float32")
GRAPH = {"nodes": 70, "sources": 50, "edges": 300}
# Kind, type, weights, rows that are gathered or messages, type of indices.
CASES = [
    ("sum", "uint8", None, True, "int64"), ("sum", "int8", "int8", True, "int32"),
    ("mean", "uint8", "uint8", False, "int64"), ("mean", "int8", None, True, "int64"),
    ("max", "uint8", None, False, "int32"), ("min", "int8", None, True, "int64"),
    ("sum", "float32", None, False, "int64"), ("sum", "float32", "float32", True, "int32"),
    ("mean", "float32", None, True, "int64"), ("max", "float32", None, True, "int64"),
]
CHANNELS = (1, 15, 16, 33, 65)


def make(case, epilogue="float32", **fields):
    kind, dtype, weight, gathers, index_dtype = case
    graph = GRAPH if gathers else GRAPH | {"sources": GRAPH["edges"]}
    return ScatterAggregate(**{
        **graph, "kind": kind, "channels": 37, "dtype": dtype, "weight_dtype": weight,
        "gathers": gathers, "index_dtype": index_dtype,
        "requantize": REAL if dtype == "float32" else EPILOGUES[epilogue], **fields})


def arrays_of(op, count=None, seed=0):
    """Operands and edges; those behind ``count`` are no indices."""
    rng = np.random.default_rng(seed)
    source, node = edge_list(rng, op.nodes, op.sources, op.edges)
    limits = np.iinfo(op.index_dtype)
    node[::3] -= op.nodes  # counted from the end
    source[::5] -= op.sources
    arrays = operands(rng, op) | {
        "source": source.astype(op.index_dtype), "node": node.astype(op.index_dtype)}
    if count is not None:
        arrays["count"] = np.array([count], op.index_dtype)
        arrays["source"][count:], arrays["node"][count:] = limits.max, limits.min
    return arrays


def inputs(op, arrays):
    """Arrays in the order of operands."""
    named = {"x": True, "source": op.gathers, "node": True, "weight": op.weight_dtype,
             "count": op.has_count}
    return [arrays[name] for name, is_there in named.items() if is_there]


def check(run_kernel, isa, op, count=None):
    arrays = arrays_of(op, count)
    assert KERNEL.reject_constants(op, isa, arrays) == ""
    y = run_kernel(KERNEL, op, isa, inputs(op, arrays), arrays, output(op))
    expected = scatter_aggregate.reference(op, arrays)
    np.testing.assert_array_equal(y, expected)
    assert count == 0 or len(np.unique(y)) > 1, "a constant output would hide errors"


@pytest.mark.parametrize("channels", CHANNELS)
def test_channels_around_the_vector_width(run_kernel, isa, channels):
    case = CASES[channels % len(CASES)]
    check(run_kernel, isa, make(case, channels=channels, has_bias=case[0] == "sum"))


@pytest.mark.parametrize("index", range(len(CASES)))
def test_every_kind(run_kernel, isa, index):
    epilogue = ("dyadic", "float32", "real", "table")[index % 4]
    check(run_kernel, isa, make(CASES[index], epilogue, from_zero=index % 2 == 0))


@pytest.mark.parametrize("count", [0, 1, 300])
def test_edges_behind_the_last_one_are_not_looked_at(run_kernel, isa, count):
    check(run_kernel, isa, make(CASES[0], has_count=True), count)


def test_rows_that_no_cache_holds_are_asked_for(run_kernel, isa):
    op = make(CASES[1], nodes=90, sources=5000, channels=64, has_count=True)
    assert "llvm.prefetch" in str(KERNEL.build(op, isa))
    check(run_kernel, isa, op, 280)


@pytest.mark.parametrize("index", [0, 7])
def test_wrong_edges_fail_and_nothing_is_written(run_kernel, isa, index):
    op = make(CASES[index], has_count=True, max_degree=110)
    arrays = arrays_of(op, 290)
    function = run_kernel.build(KERNEL, op, isa)
    before = output(op)
    limits = np.iinfo(op.index_dtype)

    def status_of(changed):
        status, y = run_kernel.call(
            function, KERNEL, op, isa, inputs(op, changed), changed, before)
        if status != 0:
            np.testing.assert_array_equal(y, before)
            with pytest.raises(IndexError):
                scatter_aggregate.reference(op, changed)
        return status

    assert status_of(arrays) == 0
    for name, extent in (("node", op.nodes), ("source", op.sources)):
        for wrong in (extent, -extent - 1, limits.max, limits.min):
            changed = {**arrays, name: arrays[name].copy()}
            changed[name][289] = wrong
            assert status_of(changed) != 0
    for count in (-1, op.edges + 1, limits.max, limits.min):
        assert status_of({**arrays, "count": np.array([count], op.index_dtype)}) != 0
    crowded = arrays["node"].copy()
    crowded[:111] = 5
    assert status_of({**arrays, "node": crowded}) != 0


def test_any_order_of_edges_gives_the_bits_of_a_constant_graph(run_kernel, isa):
    op = make(CASES[1], "dyadic")
    arrays = arrays_of(op)
    node = arrays["node"] % op.nodes
    order = np.argsort(node, kind="stable")
    constant = CsrAggregate(
        kind="sum", channels=op.channels, dtype=op.dtype, weight_dtype=op.weight_dtype,
        requantize=op.requantize, **GRAPH)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(node, minlength=op.nodes))])
    graph = arrays | {
        "offsets": offsets, "places": (arrays["source"] % op.sources)[order],
        "weight": arrays["weight"][order]}
    given = run_kernel(KERNEL, op, isa, inputs(op, arrays), arrays, output(op))
    known = run_kernel(CsrRows(), constant, isa, [arrays["x"]], graph, output(op))
    np.testing.assert_array_equal(given, known)


def test_float_sums_are_close_to_adding_in_float64(run_kernel, isa):
    op = make(CASES[6])
    arrays = arrays_of(op) | {"multiplier": np.ones(1, np.float32)}
    y = run_kernel(KERNEL, op, isa, inputs(op, arrays), arrays, output(op))
    expected = np.zeros((op.nodes, op.channels))
    np.add.at(expected, arrays["node"], arrays["x"].astype(np.float64))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_scratch_grows_with_edges_and_not_with_channels(isas):
    op = make(CASES[0], nodes=1000, edges=10_000)
    needed = KERNEL.scratch_bytes(op, isas[0])
    assert needed < 4 * (1000 + 10_000) + 256
    assert KERNEL.scratch_bytes(replace(op, channels=300), isas[0]) < needed + 256


@pytest.mark.parametrize(("change", "reason"), [
    ({"index_dtype": "uint8"}, "indices"), ({"edges": 0}, "no edges"),
    ({"gathers": False}, "messages of 300 edges"), ({"dtype": "int16"}, "int16 features"),
    ({"edges": 70_000, "weight_dtype": "int8"}, "overflow"),
])
def test_reasons_against_an_operation(isas, change, reason):
    assert reason in KERNEL.reject(replace(make(CASES[0]), **change), isas[0])


def test_a_limit_of_degrees_lets_many_edges_be_weighted(isas):
    op = make(CASES[1], edges=70_000, max_degree=1000)
    assert KERNEL.reject(op, isas[0]) == ""
