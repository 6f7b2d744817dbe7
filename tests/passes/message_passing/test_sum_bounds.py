"""Sums at the largest node of a stored graph stay in int32."""

import numpy as np
import pytest

from octavo.passes.message_passing import sum_bounds
from octavo.passes.message_passing.find import find_message_passing
from octavo.passes.message_passing.forms import form_of
from octavo.passes.message_passing.sum_bounds import why_sums_overflow, widest_factor
from octavo.passes.placement import plan_placement
from octavo.passes.quantizer_options import QuantizerOptions

WEIGHTED = """g (float[{n},1] x, float[{e},1] w) => (float[{n},1] y) {{
    g = Gather<axis=0>(x, source) m = Mul(w, g)
    y = ScatterElements<axis=0, reduction="add">(base, target, m) }}"""
PLAIN = """g (float[{n},1] x) => (float[{n},1] y) {{
    m = Gather<axis=0>(x, source)
    y = ScatterElements<axis=0, reduction="add">(base, target, m) }}"""


def star(build, text: str, num_edges: int, num_nodes: int = 4):
    """All edges end at node 0."""
    return build(
        text.format(n=num_nodes, e=num_edges),
        source=np.arange(num_edges) % num_nodes,
        target=np.zeros((num_edges, 1), np.int64),
        base=np.zeros((num_nodes, 1), np.float32),
    )


def form(model):
    found = form_of(find_message_passing(model.graph)[0])
    assert not isinstance(found, str), found
    return found


@pytest.mark.parametrize(
    ("num_edges", "num_bits"), [(1000, 8), (33_025, 8), (33_026, 7), (100_000, 6)]
)
def test_factors_are_as_wide_as_the_largest_degree_allows(build, num_edges, num_bits):
    found = form(star(build, WEIGHTED, num_edges))
    assert widest_factor(found) == num_bits
    assert num_edges * 255 * (2**num_bits - 1) < 2**31
    assert why_sums_overflow(found) == ""


def test_a_node_with_too_many_edges_stays_in_float(build, monkeypatch):
    # A graph that reaches the real bound has eight million edges at one node.
    monkeypatch.setattr(sum_bounds, "INT32_MAX", 255 * 1000)
    assert why_sums_overflow(form(star(build, PLAIN, 1000))) == ""
    model = star(build, PLAIN, 1001)
    assert "1001 edges of one node" in why_sums_overflow(form(model))
    plan = plan_placement(model.graph, QuantizerOptions())
    assert any("do not fit into int32" in why for why in plan.float_nodes.values())
