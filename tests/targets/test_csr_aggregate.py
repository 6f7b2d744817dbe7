"""Aggregation over constant graphs equals its reference, whatever the graph."""

from dataclasses import replace

import numpy as np
import pytest
from tests.targets.graphs import EPILOGUES, edge_list, operands, output

from octavo.errors import LoweringError
from octavo.targets.kernels.csr_aggregate import CsrRows
from octavo.targets.library import select
from octavo.targets.ops import csr_aggregate
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.requantize import Requantize

KERNEL = CsrRows()
REAL = Requantize(dtype="float32")
GRAPH = {"nodes": 70, "sources": 50, "edges": 300}
# Channels around vectors of 4 to 32 lanes, and around blocks of registers.
CHANNELS = (1, 3, 15, 17, 64, 65, 300)
KINDS = [
    ("sum", "uint8", None), ("sum", "int8", "int8"), ("sum", "uint8", "uint8"),
    ("mean", "uint8", None), ("mean", "int8", "int8"), ("max", "uint8", None),
    ("min", "int8", None)]


def arrays_of(op, seed=0):
    """Operands and a graph in compressed rows."""
    rng = np.random.default_rng(seed)
    source, node = edge_list(rng, op.nodes, op.sources, op.edges)
    order = np.argsort(node, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(node, minlength=op.nodes))])
    graph = {"offsets": offsets.astype(np.int32), "places": source[order]}
    return operands(rng, op) | graph


def check(run_kernel, isa, op):
    arrays = arrays_of(op)
    assert KERNEL.reject_constants(op, isa, arrays) == ""
    y = run_kernel(KERNEL, op, isa, [arrays["x"]], arrays, output(op))
    expected = csr_aggregate.reference(op, arrays)
    np.testing.assert_array_equal(y, expected)
    assert len(np.unique(y)) > 1, "a constant output would hide errors"


@pytest.mark.parametrize("channels", CHANNELS)
def test_channels_around_the_vector_width(run_kernel, isa, channels):
    kind, dtype, weight = KINDS[channels % len(KINDS)]
    check(run_kernel, isa, CsrAggregate(
        kind=kind, channels=channels, dtype=dtype, weight_dtype=weight,
        has_bias=kind == "sum", **GRAPH))


@pytest.mark.parametrize("index", range(2 * len(KINDS)))
def test_every_kind_in_every_rounding(run_kernel, isa, index):
    kind, dtype, weight = KINDS[index % len(KINDS)]
    epilogue = list(EPILOGUES.values())[index % len(EPILOGUES)]
    check(run_kernel, isa, CsrAggregate(
        kind=kind, channels=37, dtype=dtype, weight_dtype=weight, from_zero=dtype == "uint8",
        per_node=weight is None, requantize=epilogue, **GRAPH))


@pytest.mark.parametrize("channels", [7, 64, 70])
@pytest.mark.parametrize("weight", [None, "int8"])
def test_every_node_may_have_a_bias_of_its_own(run_kernel, isa, channels, weight):
    check(run_kernel, isa, CsrAggregate(
        kind="sum", channels=channels, weight_dtype=weight, has_bias=True, bias_by_node=True,
        per_node=True, **GRAPH))


@pytest.mark.parametrize(("kind", "weight", "channels"), [
    ("sum", None, 7), ("sum", "float32", 70), ("mean", "float32", 7), ("mean", None, 70),
    ("max", None, 70), ("min", None, 7)])
def test_floats_are_added_in_the_order_of_edges(run_kernel, isa, kind, weight, channels):
    check(run_kernel, isa, CsrAggregate(
        kind=kind, channels=channels, dtype="float32", has_bias=kind == "sum",
        weight_dtype=weight, from_zero=channels == 7, requantize=REAL, **GRAPH))


def test_float_sums_are_close_to_an_adjacency_matrix(run_kernel, isa):
    op = CsrAggregate(kind="sum", channels=40, dtype="float32", weight_dtype="float32",
                      requantize=REAL, **GRAPH)
    arrays = arrays_of(op) | {"multiplier": np.ones(1, np.float32)}
    dense = np.zeros((op.nodes, op.sources))
    node = np.repeat(np.arange(op.nodes), np.diff(arrays["offsets"]))
    np.add.at(dense, (node, arrays["places"]), arrays["weight"][:, 0].astype(np.float64))
    y = run_kernel(KERNEL, op, isa, [arrays["x"]], arrays, output(op))
    np.testing.assert_allclose(y, dense @ arrays["x"], rtol=1e-4, atol=1e-4)


def test_rows_that_no_cache_holds_are_asked_for(run_kernel, isa):
    op = CsrAggregate(kind="sum", nodes=90, sources=5000, edges=700, channels=64)
    function = str(KERNEL.build(op, isa))
    assert "llvm.prefetch" in function
    assert "llvm.prefetch" not in str(KERNEL.build(replace(op, sources=50), isa))
    check(run_kernel, isa, op)


def test_a_graph_without_edges_is_the_bias(run_kernel, isa):
    op = CsrAggregate(kind="sum", nodes=5, sources=3, edges=0, channels=20, has_bias=True,
                      weight_dtype="int8")
    check(run_kernel, isa, op)


def test_a_hub_of_ten_thousand_edges_does_not_overflow(run_kernel, isa):
    op = CsrAggregate(kind="sum", nodes=2, sources=4, edges=16_000, channels=16,
                      weight_dtype="int8")
    arrays = arrays_of(op) | {
        "offsets": np.array([0, 16_000, 16_000]), "zero_point": np.zeros(1, np.int32),
        "multiplier": np.array([2e-7], np.float32)}
    arrays["weight"][:] = -127
    arrays["x"][:] = np.arange(4 * 16).reshape(4, 16) % 56 + 200
    y = run_kernel(KERNEL, op, isa, [arrays["x"]], arrays, output(op))
    expected = csr_aggregate.reference(op, arrays)
    np.testing.assert_array_equal(y, expected)
    assert expected[0].max() < 120 - 60  # sums near -127 * 16000 * 228, times the multiplier


@pytest.mark.parametrize(("dtype", "extreme"), [
    ("uint8", 255), ("int8", -128), ("int8", 127)])
def test_long_sums_of_extremes_leave_16_bits(run_kernel, isa, dtype, extreme):
    op = CsrAggregate(kind="sum", nodes=3, sources=4, edges=1600, channels=40, dtype=dtype)
    arrays = arrays_of(op) | {
        "offsets": np.array([0, 256, 700, 1600]), "zero_point": np.zeros(1, np.int32),
        "multiplier": np.array([1e-4], np.float32)}
    arrays["x"][:] = extreme
    y = run_kernel(KERNEL, op, isa, [arrays["x"]], arrays, output(op))
    np.testing.assert_array_equal(y, csr_aggregate.reference(op, arrays))
    assert len(np.unique(y)) == 3


def test_what_would_overflow_is_refused(isas):
    op = CsrAggregate(kind="sum", nodes=2, sources=4, edges=70_000, channels=1,
                      weight_dtype="int8")
    arrays = arrays_of(op) | {"offsets": np.array([0, 70_000, 70_000])}
    arrays["weight"][:] = 127
    assert "overflow" in KERNEL.reject_constants(op, isas[0], arrays)
    with pytest.raises(LoweringError, match="overflow 32 bits"):
        select(op, isas[0], arrays)
    # Spread over two nodes, the same weights fit.
    arrays["offsets"] = np.array([0, 35_000, 70_000])
    assert KERNEL.reject_constants(op, isas[0], arrays) == ""
    biased = replace(op, has_bias=True)
    arrays["bias"] = np.array([-(2**31)])
    assert "overflow" in KERNEL.reject_constants(biased, isas[0], arrays)


def test_a_graph_that_is_none_is_refused(isas):
    op = CsrAggregate(kind="sum", channels=4, **GRAPH)
    arrays = arrays_of(op)
    for name, at, value in (
        ("places", 7, op.sources), ("places", 7, -1), ("offsets", 3, 10**6),
        ("offsets", 0, 1), ("offsets", -1, 299),
    ):
        wrong = {**arrays, name: arrays[name].copy()}
        wrong[name][at] = value
        assert KERNEL.reject_constants(op, isas[0], wrong), (name, at, value)


@pytest.mark.parametrize(("change", "reason"), [
    ({"kind": "mul"}, "kind"), ({"dtype": "int16"}, "int16 features"),
    ({"weight_dtype": "float32"}, "float32 weights"),
    ({"kind": "max", "weight_dtype": "int8"}, "weights, pairs or a bias"),
    ({"dtype": "float32"}, "stays float"), ({"sources": 2**28}, "elements"),
    ({"requantize": Requantize(residual="uint8")}, "residual"),
])
def test_reasons_against_an_operation(isas, change, reason):
    op = replace(CsrAggregate(kind="sum", channels=37, **GRAPH), **change)
    assert reason in KERNEL.reject(op, isas[0])
