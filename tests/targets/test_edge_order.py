"""Edges come into the order of their nodes, or the call fails."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.targets.graphs import edge_list

from octavo.errors import LoweringError
from octavo.targets.kernels.edge_order import CountingSort
from octavo.targets.library import select
from octavo.targets.ops import edge_order
from octavo.targets.ops.edge_order import PLACES_BEHIND, EdgeOrder

KERNEL = CountingSort()
OP = EdgeOrder(nodes=70, sources=50, edges=300, has_count=True, max_degree=110)
# What is asked for, in either type of indices.
CASES = [OP, replace(OP, index_dtype="int32", has_ids=True),
         replace(OP, gathers=False, has_ids=True, sources=1),
         replace(OP, has_count=False, max_degree=0, index_dtype="int32")]


def arrays_of(op, count=None, seed=0):
    """Edges, some counted from the end; those behind ``count`` are no indices."""
    rng = np.random.default_rng(seed)
    source, node = edge_list(rng, op.nodes, op.sources, op.edges)
    node[::3] -= op.nodes
    source[::5] -= op.sources
    count = op.edges if count is None else count
    arrays = {"source": source.astype(op.index_dtype), "node": node.astype(op.index_dtype),
              "count": np.array([count], op.index_dtype)}
    limits = np.iinfo(op.index_dtype)
    arrays["source"][count:], arrays["node"][count:] = limits.max, limits.min
    wanted = {"source": op.gathers, "node": True, "count": op.has_count}
    return {name: array for name, array in arrays.items() if wanted[name]}


def outputs(op):
    """Memory of the outputs, in order."""
    sizes = [op.nodes + 1, *[op.places] * (op.gathers + op.has_ids)]
    return [np.full(size, 77, np.int32) for size in sizes]


def check(run_kernel, isa, op, count=None):
    arrays = arrays_of(op, count)
    found = run_kernel.outputs(KERNEL, op, isa, list(arrays.values()), {}, outputs(op))
    expected = edge_order.reference(op, arrays)
    written = (op.edges if count is None else count) + PLACES_BEHIND
    for own, (name, array) in zip(found, expected.items(), strict=True):
        end = len(array) if name == "offsets" else written
        np.testing.assert_array_equal(own[:end], array[:end], err_msg=name)
        assert (own[end:] == 77).all()


@pytest.mark.parametrize("index", range(len(CASES)))
def test_edges_are_sorted(run_kernel, isa, index):
    check(run_kernel, isa, CASES[index], 290 if CASES[index].has_count else None)


@pytest.mark.parametrize("count", [0, 1, 300])
def test_edges_behind_the_last_one_are_not_looked_at(run_kernel, isa, count):
    check(run_kernel, isa, CASES[1], count)


@pytest.mark.parametrize("index", [0, 1])
def test_wrong_edges_are_a_status(run_kernel, isa, index):
    op = CASES[index]
    function = run_kernel.build(KERNEL, op, isa)
    arrays = arrays_of(op, 290)
    limits = np.iinfo(op.index_dtype)

    def status_of(changed):
        status, _ = run_kernel.call_many(
            function, KERNEL, op, isa, list(changed.values()), {}, outputs(op))
        if status != 0:
            with pytest.raises(IndexError):
                edge_order.reference(op, changed)
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


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 30), st.randoms(use_true_random=False))
def test_the_reference_is_a_stable_sort(nodes, edges, random):
    op = EdgeOrder(nodes=nodes, sources=99, edges=edges, has_ids=True)
    node = np.array([random.randrange(-nodes, nodes) for _ in range(edges)])
    source = np.array([random.randrange(99) for _ in range(edges)])
    found = edge_order.reference(op, {"source": source, "node": node})
    ids, offsets = found["ids"][:edges], found["offsets"]
    assert sorted(ids) == list(range(edges))
    for i in range(nodes):
        own = ids[offsets[i] : offsets[i + 1]]
        assert own.tolist() == np.flatnonzero(node % nodes == i).tolist()
    np.testing.assert_array_equal(found["places"][:edges], source[ids])


@pytest.mark.parametrize(("change", "reason"), [
    ({"index_dtype": "uint8"}, "indices"), ({"edges": 0}, "no edges"),
    ({"gathers": False}, "neither rows nor numbers"), ({"nodes": 2**31}, "elements")])
def test_reasons_against_an_order(isas, change, reason):
    op = replace(OP, **change)
    assert reason in KERNEL.reject(op, isas[0])
    with pytest.raises(LoweringError, match=reason):
        select(op, isas[0])
