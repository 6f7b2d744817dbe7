"""Message passing in ONNX text: other spellings of it, and what only looks like it."""

import numpy as np
import pytest

from octavo.passes.message_passing.describe import region_lines
from octavo.passes.message_passing.find import find_message_passing, recognize

HEADER = "g (float[5,3] x, int64[2,8] e) => (float[5,3] y)"
ROWS = "s = Gather<axis=0>(e, zero) d = Gather<axis=0>(e, one)"
COLUMN = "c = Reshape(d, column) i = Expand(c, wide)"
SUM = 'y = ScatterElements<axis=0, reduction="add">(base, i, m)'
FOUND = "y = add(x): 5 nodes, 8 edges e[0] -> e[1]"


def numbers(*values):
    return np.array(values, np.int64)


CONSTANTS = {
    "zero": np.int64(0), "one": np.int64(1), "column": numbers(-1, 1), "wide": numbers(8, 3),
    "base": np.zeros((5, 3), np.float32), "zeros": numbers(0), "ones": numbers(1),
    "twos": numbers(2), "flat": numbers(8), "halves": numbers(1, 1),
}  # fmt: skip


def lines(build, nodes, header=HEADER, **weights):
    model = build(f"{header} {{ {nodes} }}", **CONSTANTS | weights)
    return region_lines(recognize(model.graph))


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        "a = Gather<axis=0>(e, zeros) s = Squeeze(a, zeros)"
        " b = Gather<axis=0>(e, ones) d = Reshape(b, flat)",
        "a = Slice(e, zeros, ones, zeros) s = Squeeze(a, zeros)"
        " b = Slice(e, ones, twos, zeros) d = Squeeze(b, zeros)",
        "a, b = Split<axis=0>(e, halves) s = Squeeze(a, zeros) d = Squeeze(b, zeros)",
        "t = Transpose<perm=[1,0]>(e) s = Gather<axis=1>(t, zero) d = Gather<axis=1>(t, one)",
    ],
)
def test_a_row_of_the_index_in_every_spelling(build, rows):
    found = lines(build, f"{rows} {COLUMN} m = Gather<axis=0>(x, s) {SUM}")
    assert found in ([FOUND], [FOUND.replace("e[0] -> e[1]", "t[:, 0] -> t[:, 1]")])


def test_rows_by_scatter_nd(build):
    nodes = f"""{ROWS} p = Unsqueeze(s, ones) q = Unsqueeze(d, ones) m = GatherND(x, p)
        y = ScatterND<reduction="add">(base, q, m)"""
    assert lines(build, nodes) == [FOUND]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        # Over all edges.
        ("m = Softmax<axis=0>(g)", "Softmax '' does not work on each edge alone"),
        ("m = MatMul(mixing, g)", "made of all gathered rows together"),
        ("m = CumSum(g, zero)", "CumSum '' does not work on each edge alone"),
    ],
)
def test_what_mixes_edges_is_left_alone(build, rng, message, reason):
    mixing = rng.normal(size=(8, 8)).astype(np.float32)
    nodes = f"{ROWS} {COLUMN} g = Gather<axis=0>(x, s) {message} {SUM}"
    (line,) = lines(build, nodes, mixing=mixing)
    assert "left alone" in line
    assert reason in line


def test_what_all_edges_share_is_an_input(build):
    """Also where it is computed from all of them: then it is computed before."""
    nodes = f"""{ROWS} {COLUMN} g = Gather<axis=0>(x, s) t = ReduceSum<keepdims=1>(g, zeros)
        m = Sub(g, t) {SUM}"""
    model = build(f"{HEADER} {{ {nodes} }}", **CONSTANTS)
    (found,) = find_message_passing(model.graph)
    assert [value.name for value in found.shared] == ["t"]
    assert [node.op_type for node in found.nodes] == ["Sub", "ScatterElements"]
    assert region_lines(recognize(model.graph)) == [FOUND.replace("add(x)", "add(f(x, t))")]


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        # Every feature goes to a node of its own.
        (f"{ROWS} m = Gather<axis=0>(x, s) i = Add(wide_index, wide_index) {SUM}",
         "its index is not one node number for each edge"),
        (f"{ROWS} {COLUMN} m = Gather<axis=0>(x, s)"
         " y = ScatterElements<axis=0, reduction=\"add\">(x, i, m)",
         "what it adds to is not one number everywhere"),
        (f"{ROWS} {COLUMN} t = Reshape(turned, flat) p = Gather<axis=0>(x, s)"
         " q = Gather<axis=0>(x, t) m = Add(p, q)"
         f" {SUM}", "more than two nodes of an edge"),
    ],
)  # fmt: skip
def test_reasons(build, nodes, reason):
    header = """g (float[5,3] x, int64[2,8] e, int64[8,3] wide_index, int64[8] turned)
        => (float[5,3] y)"""
    (line,) = lines(build, nodes, header)
    assert "left alone" in line
    assert reason in line


def test_wrong_node_numbers_of_a_constant_graph_are_named(build):
    nodes = f"m = Gather<axis=0>(x, s) {COLUMN} {SUM}"
    ends = {"s": numbers(0, 1, 2, 3, 4, 0, 1, 2), "d": numbers(1, 2, 3, 4, 0, -5, 1, 2)}
    header = "g (float[5,3] x) => (float[5,3] y)"
    (line,) = lines(build, nodes, header, **ends)
    assert line.startswith("y = add(x): 5 nodes, 8 constant edges (at most 2 at a node")
    (line,) = lines(build, nodes, header, **ends | {"d": numbers(1, 2, 3, 9, 0, -5, 1, 2)})
    assert "node number 9 is out of range: there are 5 nodes" in line


def test_a_base_that_takes_part_is_said(build):
    nodes = f"""{ROWS} {COLUMN} m = Gather<axis=0>(x, s)
        y = ScatterElements<axis=0, reduction="max">(base, i, m)"""
    model = build(f"{HEADER} {{ {nodes} }}", **CONSTANTS)
    (found,) = find_message_passing(model.graph)
    assert (found.fill, found.keeps_fill) == (0.0, True)


def test_layers_of_one_width_share_the_base_of_their_maxima(build):
    nodes = f"""{ROWS} {COLUMN} m = Gather<axis=0>(x, s)
        b = ScatterElements<axis=0, reduction="min">(base, i, lowest)
        h = ScatterElements<axis=0, reduction="max">(b, i, m) n = Gather<axis=0>(h, s)
        y = ScatterElements<axis=0, reduction="max">(b, i, n)"""
    lowest = np.full((8, 3), -np.inf, np.float32)
    model = build(f"{HEADER} {{ {nodes} }}", **CONSTANTS, lowest=lowest)
    assert region_lines(recognize(model.graph)) == [
        FOUND.replace("y = add", "h = max"),
        FOUND.replace("add(x)", "max(h)"),
    ]
    assert [[n.op_type for n in p.nodes] for p in find_message_passing(model.graph)] == [
        ["Gather", "ScatterElements"],
        ["Gather", "ScatterElements"],
    ]


def mean_nodes(count):
    return f"""{ROWS} {COLUMN} m = Gather<axis=0>(x, s)
        t = ScatterElements<axis=0, reduction="add">(base, i, m)
        n = ScatterElements<axis=0, reduction="add">(empty, {count}, each)
        least = Max(n, unit) k = Unsqueeze(least, ones) y = Div(t, k)"""


@pytest.mark.parametrize(
    ("count", "each", "unit", "is_mean"),
    [("d", 1.0, 1.0, True), ("s", 1.0, 1.0, False), ("d", 2.0, 1.0, False),
     ("d", 1.0, 2.0, False)],
)  # fmt: skip
def test_only_the_number_of_the_same_edges_makes_a_mean(build, count, each, unit, is_mean):
    weights = {
        "empty": np.zeros(5, np.float32),
        "each": np.full(8, each, np.float32),
        "unit": np.float32(unit),
    }
    (line,) = lines(build, mean_nodes(count), **weights)
    assert line == (FOUND.replace("add", "mean") if is_mean else FOUND.replace("y", "t", 1))


def test_constants_too_large_to_fold(build):
    """Zeros, ones and the lowest number stay computed in a large graph."""
    nodes = f"""{ROWS} {COLUMN} m = Gather<axis=0>(x, s)
        zero_rows = ConstantOfShape(size) z = ConstantOfShape(five) u = Expand(unit, eight)
        t = ScatterElements<axis=0, reduction="add">(zero_rows, i, m)
        n = ScatterElements<axis=0, reduction="add">(z, d, u)
        least = Max(n, unit) k = Reshape(least, column) y = Div(t, k)
        low = Expand(lowest, wide)
        b = ScatterElements<axis=0, reduction="min">(zero_rows, i, low)
        q = ScatterElements<axis=0, reduction="max">(b, i, m)"""
    sizes = {"size": numbers(5, 3), "five": numbers(5), "eight": numbers(8)}
    floats = {"unit": np.float32(1), "lowest": np.float32(np.finfo(np.float32).min)}
    header = "g (float[5,3] x, int64[2,8] e) => (float[5,3] y, float[5,3] q)"
    found = lines(build, nodes, header, **sizes, **floats)
    assert found == [FOUND.replace("add", "mean"), FOUND.replace("y = add", "q = max")]


@pytest.mark.parametrize("degrees", [[2, 1, 2, 3, 1], [2, 1, 2, 3, 2]])
def test_a_constant_divisor_has_to_be_the_degrees(build, degrees):
    nodes = f"""m = Gather<axis=0>(x, s) {COLUMN}
        t = ScatterElements<axis=0, reduction="add">(base, i, m) y = Div(t, k)"""
    ends = {"s": numbers(0, 1, 2, 3, 4, 0, 1, 2), "d": numbers(3, 3, 3, 0, 0, 1, 2, 2)}
    k = np.array(degrees, np.float32)[:, None]
    header = "g (float[5,3] x) => (float[5,3] y)"
    (line,) = lines(build, nodes, header, **ends, k=k)
    # Node 4 has no edge: its sum is 0, and the divisor of a mean 1.
    assert line.startswith("y = mean(x)" if degrees[-1] == 1 else "t = add(x)")


def sparse(rng, shape, density):
    return (rng.normal(size=shape) * (rng.random(shape) < density)).astype(np.float32)


def test_a_product_with_a_sparse_matrix_on_the_left(build, rng):
    a = sparse(rng, (6, 6), 0.3)
    header = "g (float[2,6,3] x) => (float[2,6,3] y)"
    (line,) = lines(build, "y = MatMul(a, x)", header, a=a)
    assert line.startswith(f"y = add(a * x): 6 nodes, {np.count_nonzero(a)} constant edges")


def test_on_the_right_only_with_edges_in_both_directions(build, rng):
    header = "g (float[2,3,6] x) => (float[2,3,6] y)"
    a = sparse(rng, (6, 6), 0.2)
    assert lines(build, "y = MatMul(x, a)", header, a=a) == []  # a layer with few weights
    both = (a + a.T).astype(np.float32)
    (line,) = lines(build, "y = MatMul(x, a)", header, a=both)
    assert "6 nodes" in line


def test_dense_products_are_layers(build, rng):
    a = rng.normal(size=(6, 6)).astype(np.float32)
    header = "g (float[6,3] x) => (float[6,3] y)"
    assert lines(build, "y = MatMul(a, x)", header, a=a) == []


def test_a_mean_over_all_nodes_is_a_readout(build, rng):
    nodes = f"""{ROWS} {COLUMN} m = Gather<axis=0>(x, s)
        t = ScatterElements<axis=0, reduction="add">(base, i, m) r = Relu(t)
        p = ReduceMean<keepdims=0>(r, zeros) q = Unsqueeze(p, zeros) y = MatMul(q, w)"""
    header = "g (float[5,3] x, int64[2,8] e) => (float[1,2] y)"
    w = rng.normal(size=(3, 2)).astype(np.float32)
    network = recognize(build(f"{header} {{ {nodes} }}", **CONSTANTS, w=w).graph)
    (readout,) = network.readouts
    assert (readout.pooled.name, readout.num_graphs, readout.index) == ("p", 1, None)
    assert [layer.inputs[1].name for layer in readout.output_layers] == ["w"]


def test_reduced_features_are_no_readout(build):
    nodes = f"""{ROWS} {COLUMN} m = Gather<axis=0>(x, s)
        t = ScatterElements<axis=0, reduction="add">(base, i, m)
        y = ReduceMean<keepdims=1>(t, ones)"""
    header = "g (float[5,3] x, int64[2,8] e) => (float[5,1] y)"
    assert not recognize(build(f"{header} {{ {nodes} }}", **CONSTANTS).graph).readouts


def test_attributes_of_edges_summed_at_their_ends(build):
    """Beside a region that gathers by the same index it is message passing, else a readout."""
    header = "g (float[5,3] x, int64[2,8] e, float[8,3] w) => (float[5,3] y, float[5,3] z)"
    alone = f"""{ROWS} {COLUMN} z = Relu(x)
        y = ScatterElements<axis=0, reduction="add">(base, i, w)"""
    assert lines(build, alone, header) == ["y = add(w): all nodes to 5 graphs by e[1]"]
    beside = f"""{ROWS} {COLUMN} m = Gather<axis=0>(x, s)
        z = ScatterElements<axis=0, reduction="add">(base, i, m)
        y = ScatterElements<axis=0, reduction="add">(base, i, w)"""
    found = lines(build, beside, header)
    assert "y = add(f(w)): 5 nodes, 8 edges e[1]" in found


def test_what_others_read_is_not_the_region_s_own(build):
    nodes = f"""{ROWS} {COLUMN} g = Gather<axis=0>(x, s) m = Relu(g)
        y = ScatterElements<axis=0, reduction="add">(base, i, m) z = Exp(m)"""
    header = "g (float[5,3] x, int64[2,8] e) => (float[5,3] y, float[8,3] z)"
    (found,) = find_message_passing(build(f"{header} {{ {nodes} }}", **CONSTANTS).graph)
    assert [node.op_type for node in found.nodes] == ["ScatterElements"]
    assert [value.name for value in found.edge_attributes] == ["m"]


def test_the_largest_sum_is_bounded_by_the_degree(build):
    nodes = f"{ROWS} {COLUMN} m = Gather<axis=0>(x, s) {SUM}"
    (found,) = find_message_passing(build(f"{HEADER} {{ {nodes} }}", **CONSTANTS).graph)
    # Given at run time, all 8 edges could end at one node.
    assert found.largest_sum(127) == 8 * 127
    limit = (2**31 - 1) // 8
    assert found.fits_int32(limit)
    assert not found.fits_int32(limit + 1)


@pytest.mark.parametrize(
    ("reduction", "largest", "expected"),
    [("mul", 3, 3**8), ("mul", 1, 1), ("mul", 10**9, 2**63), ("max", 127, 127)],
)
def test_products_and_extremes_have_bounds_of_their_own(build, reduction, largest, expected):
    nodes = f"{ROWS} {COLUMN} m = Gather<axis=0>(x, s) {SUM.replace('add', reduction)}"
    (found,) = find_message_passing(build(f"{HEADER} {{ {nodes} }}", **CONSTANTS).graph)
    assert found.largest_sum(largest) == expected
