"""Steps of two builds are matched by the ONNX nodes that they share."""

from hypothesis import given
from hypothesis import strategies as st

from octavo.compiler.report.layer_groups import LayerGroup, layer_groups
from octavo.compiler.report.records import StepRecord
from octavo.compiler.roofline.traffic import Traffic


def steps(*nodes_of_steps):
    """Steps of the nodes that each text names; a step named in brackets has none."""
    return [
        StepRecord(
            index=i, name=text.strip("[]"), op_types=(), placement="int8", variant="",
            function="", macs=0, reason="", traffic=Traffic(0, 0, 0),
            nodes=() if text.startswith("[") else tuple(text.split()),
        )
        for i, text in enumerate(nodes_of_steps)
    ]  # fmt: skip


def matched(before, after):
    return [(g.before, g.after) for g in layer_groups(steps(*before), steps(*after))]


def test_one_build_fuses_what_the_other_splits():
    assert matched(["conv", "relu", "pool"], ["conv relu", "pool"]) == [
        ((0, 1), (0,)),
        ((2,), (1,)),
    ]


def test_groups_overlap_through_a_third_step():
    # before: (a b) (c); after: (a) (b c): nothing smaller can be compared.
    assert matched(["a b", "c"], ["a", "b c"]) == [((0, 1), (0, 1))]


def test_what_only_one_build_does_stands_where_it_ran():
    assert matched(["[x.layout]", "a", "[y.layout]", "b"], ["a", "b", "[b.dequantize]"]) == [
        ((0,), ()),
        ((1,), (0,)),
        ((2,), ()),
        ((3,), (1,)),
        ((), (2,)),
    ]


def test_conversions_match_by_their_own_names():
    assert matched(["[input.quantize]", "a"], ["[input.quantize]", "a"]) == [
        ((0,), (0,)),
        ((1,), (1,)),
    ]


def test_nodes_of_a_rewrite_belong_to_the_node_that_it_replaced():
    before = ["matmul", "softmax", "matmul_2"]
    after = ["matmul softmax_Max softmax_Exp matmul_2 softmax_Sum"]
    assert matched(before, after) == [((0, 1, 2), (0,))]


def test_a_name_that_begins_like_another_is_another_layer():
    # "block_1" is no part of "block": both builds have both.
    assert matched(["block", "block_1"], ["block", "block_1"]) == [((0,), (0,)), ((1,), (1,))]
    assert matched(["block"], ["block", "block_1"]) == [((0,), (0,)), ((), (1,))]


NODES = st.lists(st.sets(st.sampled_from("abcdef"), min_size=1), max_size=6)


@given(NODES, NODES)
def test_every_step_is_in_one_group_and_nodes_never_cross_groups(before, after):
    texts = [[" ".join(sorted(nodes)) for nodes in side] for side in (before, after)]
    groups = layer_groups(steps(*texts[0]), steps(*texts[1]))
    assert sorted(i for g in groups for i in g.before) == list(range(len(before)))
    assert sorted(i for g in groups for i in g.after) == list(range(len(after)))
    names = [
        set().union(*(before[i] for i in g.before), *(after[i] for i in g.after))
        for g in groups
    ]
    assert sum(map(len, names)) == len(set().union(*names))


def test_nothing_matches_nothing():
    assert layer_groups([], []) == []
    assert layer_groups([], steps("a")) == [LayerGroup((), (0,))]
