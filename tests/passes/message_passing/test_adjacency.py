"""Constant graphs: their facts and their rows, against what a dense matrix says."""

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from octavo.passes.message_passing.adjacency import (
    compressed_rows,
    constant_edges,
    indexed_adjacency,
    matrix_adjacency,
)
from octavo.passes.message_passing.node_index import NodeIndex

NUM_SOURCES, NUM_TARGETS = 5, 4


def constant(array):
    return ir.val("c", ir.DataType.from_numpy(array.dtype), array.shape,
                  const_value=ir.tensor(array))  # fmt: skip


def index_of(numbers):
    return NodeIndex(constant(np.asarray(numbers, np.int64)), 0, None, len(numbers))


edges = st.lists(
    st.tuples(
        st.integers(-NUM_SOURCES, NUM_SOURCES - 1), st.integers(-NUM_TARGETS, NUM_TARGETS - 1)
    ),
    min_size=1,
    max_size=12,
)


@given(edges)
def test_facts_and_rows_of_a_list_of_edges(pairs):
    sources, targets = np.array(pairs, np.int64).T
    found = indexed_adjacency(index_of(sources), index_of(targets), NUM_SOURCES, NUM_TARGETS)
    counts = np.zeros((NUM_TARGETS, NUM_SOURCES), np.int64)
    np.add.at(counts, (targets, sources), 1)  # numpy counts negative numbers from the end, too
    assert found.facts.max_in_degree == found.degree_bound == counts.sum(1).max()
    assert found.facts.max_out_degree == counts.sum(0).max()
    assert found.facts.num_isolated == (counts.sum(1) == 0).sum()
    assert found.facts.num_duplicate_edges == np.maximum(counts - 1, 0).sum()
    rows = compressed_rows(found)
    np.testing.assert_array_equal(np.diff(rows.starts), counts.sum(1))
    again = np.zeros_like(counts)
    for target in range(NUM_TARGETS):
        part = slice(rows.starts[target], rows.starts[target + 1])
        np.add.at(again[target], rows.sources[part], 1)
        # Edges of a node keep their order: sums of floats are the same as one after another.
        assert (np.diff(rows.edges[part]) > 0).all()
    np.testing.assert_array_equal(again, counts)
    np.testing.assert_array_equal(sources[rows.edges] % NUM_SOURCES, rows.sources)


@given(
    hnp.arrays(
        np.float32, (NUM_TARGETS, NUM_SOURCES), elements=st.sampled_from([0, 0, -1, 2])
    ),
    st.booleans(),
)
def test_rows_of_a_matrix(matrix, transposed):
    if not matrix.any():
        return
    stored = np.ascontiguousarray(matrix.T) if transposed else matrix
    found = matrix_adjacency(constant(stored), transposed=transposed)
    assert (found.num_targets, found.num_sources) == matrix.shape
    assert found.num_edges == np.count_nonzero(matrix)
    rows = compressed_rows(found)
    again = np.zeros_like(matrix)
    for target in range(NUM_TARGETS):
        part = slice(rows.starts[target], rows.starts[target + 1])
        again[target, rows.sources[part]] = rows.weights[part]
    np.testing.assert_array_equal(again, matrix)
    np.testing.assert_array_equal(matrix.reshape(-1)[rows.edges], rows.weights)


def test_self_loops_need_one_set_of_nodes():
    ends = index_of([0, 1, 1, 3])
    assert indexed_adjacency(ends, ends, 4, 4).facts.num_self_loops == 4
    assert indexed_adjacency(ends, ends, 5, 4).facts.num_self_loops == 0


def test_edges_given_at_run_time_have_no_facts():
    given_later = NodeIndex(ir.val("e", ir.DataType.INT64, (2, 6)), 1, 0, 6)
    found = indexed_adjacency(given_later, given_later, 5, 5)
    assert not found.is_constant
    assert found.degree_bound == 6  # all could end at one node
    assert constant_edges(found) is None
    assert compressed_rows(found) is None


@pytest.mark.parametrize("number", [4, -5])
def test_numbers_out_of_range_are_named(number):
    found = indexed_adjacency(index_of([0, 1]), index_of([0, number]), 5, 4)
    assert found == f"node number {number} is out of range: there are 4 nodes"


def test_a_matrix_that_is_computed_is_refused():
    with pytest.raises(ValueError, match="m is not a constant matrix"):
        matrix_adjacency(ir.val("m", ir.DataType.FLOAT, (4, 4)), transposed=False)
