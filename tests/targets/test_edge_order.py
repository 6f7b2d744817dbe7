"""Edges come into the order of their nodes, or the call fails."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.targets.graphs import edge_list

from octavo.errors import LoweringError
from octavo.targets.kernel import Slower
from octavo.targets.kernels.edge_order import CountingSort
from octavo.targets.kernels.edge_partition import MIN_EDGES, PartitionedSort
from octavo.targets.library import select
from octavo.targets.ops import edge_order
from octavo.targets.ops.edge_order import PLACES_BEHIND, EdgeOrder

KERNELS = [CountingSort(), PartitionedSort()]
OP = EdgeOrder(nodes=70, sources=50, edges=300, has_count=True, max_degree=110)
# What is asked for, in either type of indices; 700 nodes are several blocks of a partition.
CASES = [
    OP,
    replace(OP, index_dtype="int32", has_ids=True),
    replace(OP, gathers=False, has_ids=True, sources=1, nodes=700),
    replace(OP, has_count=False, max_degree=0, index_dtype="int32", weight_dtype="uint8"),
    replace(OP, nodes=700, has_ids=True, weight_dtype="float32"),
    replace(OP, nodes=1000, weight_dtype="int8"),
]


def arrays_of(op, count=None, seed=0):
    """Edges, some counted from the end; those behind ``count`` are no indices."""
    rng = np.random.default_rng(seed)
    source, node = edge_list(rng, op.nodes, op.sources, op.edges)
    node[::3] -= op.nodes
    source[::5] -= op.sources
    weight = rng.integers(-128, 256, op.edges).astype(op.weight_dtype or "uint8")
    count = op.edges if count is None else count
    arrays = {"source": source.astype(op.index_dtype), "node": node.astype(op.index_dtype),
              "weight": weight, "count": np.array([count], op.index_dtype)}
    limits = np.iinfo(op.index_dtype)
    arrays["source"][count:], arrays["node"][count:] = limits.max, limits.min
    wanted = {"source": op.gathers, "node": True, "weight": op.weight_dtype is not None,
              "count": op.has_count}
    return {name: array for name, array in arrays.items() if wanted[name]}


def outputs(op):
    """Memory of the outputs, in order."""
    sizes = [op.nodes + 1, *[op.places] * (op.gathers + op.has_ids)]
    weights = [] if op.weight_dtype is None else [np.full(op.edges, 77, op.weight_dtype)]
    return [*(np.full(size, 77, np.int32) for size in sizes), *weights]


def check(run_kernel, isa, op, count=None, kernel=KERNELS[0]):
    arrays = arrays_of(op, count)
    found = run_kernel.outputs(kernel, op, isa, list(arrays.values()), {}, outputs(op))
    expected = edge_order.reference(op, arrays)
    count = op.edges if count is None else count
    ends = {"offsets": op.nodes + 1, "weights": count}
    for own, (name, array) in zip(found, expected.items(), strict=True):
        end = ends.get(name, count + PLACES_BEHIND)
        np.testing.assert_array_equal(own[:end], array[:end], err_msg=name)
        assert (own[end:] == 77).all()


every_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)


@every_kernel
@pytest.mark.parametrize("index", range(len(CASES)))
def test_edges_are_sorted(run_kernel, isa, index, kernel):
    check(run_kernel, isa, CASES[index], 290 if CASES[index].has_count else None, kernel)


@every_kernel
@pytest.mark.parametrize("count", [0, 1, 256, 300])
def test_edges_behind_the_last_one_are_not_looked_at(run_kernel, isa, count, kernel):
    check(run_kernel, isa, CASES[1], count, kernel)


def test_a_partition_serves_many_edges(isas):
    op = replace(OP, edges=MIN_EDGES, nodes=2**20)
    assert isinstance(select(op, isas[0]), PartitionedSort)
    few = replace(op, edges=MIN_EDGES - 1)
    assert isinstance(KERNELS[1].reject(few, isas[0]), Slower)
    assert isinstance(select(few, isas[0]), CountingSort)


@every_kernel
@pytest.mark.parametrize("index", [0, 1])
def test_wrong_edges_are_a_status(run_kernel, isa, index, kernel):
    op = CASES[index]
    function = run_kernel.build(kernel, op, isa)
    arrays = arrays_of(op, 290)
    limits = np.iinfo(op.index_dtype)

    def status_of(changed):
        status, _ = run_kernel.call_many(
            function, kernel, op, isa, list(changed.values()), {}, outputs(op))
        if status != 0:
            with pytest.raises(IndexError):
                edge_order.reference(op, changed)
        return status

    assert status_of(arrays) == 0
    for name, extent in (("node", op.nodes), ("source", op.sources)):
        for wrong in (extent, -extent - 1, limits.max, limits.min):
            for edge in (3, 289):  # among others that are checked at a time, and at the end
                changed = {**arrays, name: arrays[name].copy()}
                changed[name][edge] = wrong
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
    ({"gathers": False}, "neither rows nor numbers"), ({"nodes": 2**31}, "elements"),
    ({"weight_dtype": "int16"}, "int16 weights")])
def test_reasons_against_an_order(isas, change, reason):
    op = replace(OP, **change)
    for kernel in KERNELS:
        assert reason in kernel.reject(op, isas[0])
    with pytest.raises(LoweringError, match=reason):
        select(op, isas[0])
