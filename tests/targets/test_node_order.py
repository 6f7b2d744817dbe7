"""Nodes of a graph with neighbourhoods get an order of their own; others keep theirs."""

import numpy as np
import pytest

from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.node_order import NEAR_BYTES, node_order, share_near, with_order

SIDE = 200  # of a grid


def grid(rng):
    """Offsets and places of a grid whose nodes are numbered at random, 8 neighbours each."""
    name = rng.permutation(SIDE * SIDE)
    row, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    shifts = [(i, k) for i in (-1, 0, 1) for k in (-1, 0, 1) if (i, k) != (0, 0)]
    near = np.stack([(row + i) % SIDE * SIDE + (column + k) % SIDE for i, k in shifts], axis=1)
    places = np.empty_like(near)
    places[name] = name[near]
    return np.arange(SIDE * SIDE + 1) * len(shifts), places.reshape(-1)


def operation(channels, dtype="float32", **fields):
    return CsrAggregate(**{
        "kind": "sum", "nodes": SIDE * SIDE, "sources": SIDE * SIDE,
        "edges": 8 * SIDE * SIDE, "channels": channels, "dtype": dtype, **fields})


def test_neighbours_are_computed_one_after_the_other():
    offsets, places = grid(np.random.default_rng(0))
    order = node_order(operation(64), offsets, places)
    assert sorted(order) == list(range(SIDE * SIDE))
    window = NEAR_BYTES // 256
    again = places.reshape(-1, 8)[order].reshape(-1)
    assert share_near(places, window) < 0.2
    assert share_near(again, window) > 0.6
    graph = {"offsets": offsets, "places": places}
    ordered, arrays = with_order(operation(64), graph)
    assert ordered == operation(64, has_rows=True)
    np.testing.assert_array_equal(arrays["rows"], order)
    assert with_order(operation(4), graph) == (operation(4), graph)


def test_no_order_where_little_is_won():
    rng = np.random.default_rng(0)
    offsets, places = grid(rng)
    assert node_order(operation(64, "uint8"), offsets, places) is None, "caches hold the rows"
    assert node_order(operation(64, is_given=True), offsets, places) is None
    anywhere = rng.integers(0, SIDE * SIDE, len(places))
    assert node_order(operation(64), offsets, anywhere) is None
    in_rows = np.sort(places.reshape(-1, 8), axis=1)
    in_rows[:] = np.arange(SIDE * SIDE)[:, None]  # every node reads itself: as near as can be
    assert node_order(operation(64), offsets, in_rows.reshape(-1)) is None


@pytest.mark.parametrize(("rows", "window", "share"), [
    ([], 3, 1.0), ([1, 2, 3], 3, 0.0), ([1, 2, 1, 2], 2, 0.5), ([1, 2, 3, 1], 2, 0.0)])
def test_reads_that_were_read_before(rows, window, share):
    assert share_near(np.array(rows, np.int64), window) == share
