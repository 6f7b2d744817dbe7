"""Steps of two programs that compute the same nodes."""

from octavo.compiler.explain.program_steps import ProgramStep, layer_groups, manifest_steps


def step(index, *nodes, op_types=("Conv",), name="", placement="int8"):
    return ProgramStep(index, name or f"step{index}", op_types, nodes, placement, "v", "", "")


def names(groups):
    return [([s.index for s in ours], [s.index for s in theirs]) for ours, theirs in groups]


def test_equal_programs_match_step_by_step():
    program = [step(0, "a"), step(1, "b", "c")]
    assert names(layer_groups(program, program)) == [([0], [0]), ([1], [1])]


def test_what_is_fused_otherwise_is_one_group():
    # Here a and b are two steps and c is fused; there a, b and c are one, and d two.
    ours = [step(0, "a"), step(1, "b", "c"), step(2, "d", "e")]
    theirs = [step(0, "a", "b"), step(1, "c"), step(2, "d"), step(3, "e")]
    assert names(layer_groups(ours, theirs)) == [([0, 1], [0, 1]), ([2], [2, 3])]


def test_a_step_may_join_groups_that_were_apart():
    ours = [step(0, "a"), step(1, "b"), step(2, "c")]
    theirs = [step(0, "c", "a")]
    assert names(layer_groups(ours, theirs)) == [([0, 2], [0]), ([1], [])]


def test_conversions_are_no_layers():
    quantize = step(0, "image_quantize", op_types=("QuantizeLinear",))
    layout = step(1, "a", op_types=("Transpose",), name="image.layout")
    transpose = step(2, "t", op_types=("Transpose",), name="t")
    assert names(layer_groups([quantize, layout, transpose], [])) == [([2], [])]


def test_steps_of_a_manifest():
    entry = {"name": "a", "op_types": ["Conv"], "nodes": ["a", ""], "placement": "int8",
             "variant": "conv_gemm.x", "operation": {"b": 1, "a": 2},
             "schedule": None}  # fmt: skip
    (found,) = manifest_steps({"steps": [entry]})
    assert found.nodes == ("a",)
    assert found.operation == '{"a":2,"b":1}'
    assert found.schedule == "null"
    (other,) = manifest_steps({"steps": [entry | {"operation": None}]})
    assert other.operation == ""
