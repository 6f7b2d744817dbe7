"""Opsets 26 to 28: what they added, said in opset 21; onnx's reference says what they mean."""

import numpy as np
import onnx
import pytest
from onnx import defs
from onnx.reference import ReferenceEvaluator

from octavo.compiler.importer.draft import OPSET
from octavo.compiler.importer.opset import schema_at
from octavo.compiler.importer.opset_rules import RULES
from octavo.compiler.importer.structure import MAX_OPSET, REVIEWED_OPSET

pytestmark = pytest.mark.skipif(
    MAX_OPSET < REVIEWED_OPSET, reason=f"the installed onnx ends at opset {MAX_OPSET}"
)
# what opsets 26 to 28 changed, all of it read: in types alone, in words, or with a rule
CHANGED = frozenset(
    """
    BitCast BitShift Cast CausalConvWithState Celu Compress CumProd DepthToSpace
    DequantizeLinear Einsum LinearAttention Mod OneHot Optional OptionalGetElement
    OptionalHasElement QuantizeLinear Range ReduceLogSum ReduceLogSumExp ReverseSequence
    SpaceToDepth SwiGLU Unique
    """.split()  # noqa: SIM905
)


def test_every_operator_that_changed_was_looked_at():
    changed = {
        schema.name
        for schema in defs.get_all_schemas_with_history()
        if not schema.domain and 25 < schema.since_version <= REVIEWED_OPSET
    }
    assert changed == CHANGED


def test_new_attributes_have_a_rule_or_only_their_default():
    for name in CHANGED:
        old, new = schema_at(name, OPSET), schema_at(name, REVIEWED_OPSET)
        added = set() if old is None else new.attributes.keys() - old.attributes.keys()
        assert not any(new.attributes[attribute].required for attribute in added), name
        if added - {"output_dtype", "precision", "round_mode"}:
            assert name in RULES or name == "Cast"


X = np.array([[-2.5, -1.0, -0.0, 0.5], [1.5, 2.0, 3.25, -4.0]], np.float32)
CASES = {
    "cum_prod": ("float[2,4] x", "float[2,4] y", "y = CumProd(x, a)", "int64 a = {1}"),
    "cum_prod_exclusive": (
        "float[2,4] x", "float[2,4] y", "y = CumProd<exclusive=1>(x, a)", "int64 a = {-1}",
    ),
    "cum_prod_reverse": (
        "float[2,4] x", "float[2,4] y", "y = CumProd<reverse=1, exclusive=1>(x, a)",
        "int64 a = {1}",
    ),
    "mod_floor": (
        "float[2,4] x", "float[2,4] y", "y = Mod(x, b)", "float[4] b = {1.5, -1.5, 2, -0.75}",
    ),
    "mod_truncate": (
        "float[2,4] x", "float[2,4] y", "y = Mod<fmod=1>(x, b)",
        "float[4] b = {1.5, -1.5, 2, -0.75}",
    ),
    "swiglu": ("float[2,4] x", "float[2,4] y", "n = Neg(x) y = SwiGLU<alpha=0.5>(x, n)", ""),
    "celu": ("float[2,4] x", "float[2,4] y", "y = Celu<alpha=2.0>(x)", ""),
    "space_to_depth": (
        "float[1,2,4,6] x", "float[1,8,2,3] y", "y = SpaceToDepth<blocksize=2>(x)", "",
    ),
    "space_to_depth_crd": (
        "float[1,2,4,6] x", "float[1,8,2,3] y",
        'y = SpaceToDepth<blocksize=2, mode="CRD">(x)', "",
    ),
    "depth_to_space": (
        "float[1,8,2,3] x", "float[1,2,4,6] y",
        'y = DepthToSpace<blocksize=2, mode="CRD">(x)', "",
    ),
    "bit_cast": (
        "float[2,4] x", "float[2,4] y", "b = BitCast<to=1>(bits) y = Add(x, b)",
        "int32[4] bits = {1065353216, 0, -1082130432, 1073741824}",
    ),
    "range": (
        "float[2,4] x", "float[2,4] y",
        "h = Cast<to=10>(bounds) s, l, d = Split<axis=0, num_outputs=3>(h)"
        " s0 = Reshape(s, e) l0 = Reshape(l, e) d0 = Reshape(d, e)"
        " r = Range(s0, l0, d0) f = Cast<to=1>(r) y = Add(x, f)",
        "float[3] bounds = {0.5, 4.0, 1.0}, int64[0] e = {}",
    ),
    "quantize": (
        "float[2,4] x", "float[2,4] y",
        "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)",
        "float s = {0.02}, int8 z = {3}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_operators_of_opset_28_compute_the_same(imported, run, case):
    inputs, outputs, body, constants = CASES[case]
    original = onnx.parser.parse_model(
        f"""<ir_version: 14, opset_import: ["" : 28]>
        g ({inputs}) => ({outputs}) <{constants}> {{ {body} }}"""
    )
    dims = original.graph.input[0].type.tensor_type.shape.dim
    shape = [dim.dim_value for dim in dims]
    data = X if shape == [2, 4] else np.arange(48, dtype=np.float32).reshape(shape)
    (expected,) = ReferenceEvaluator(original).run(None, {"x": data})
    (actual,) = run(imported(original), {"x": data})
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_floor_mod_of_infinities(imported, run):
    model = imported(
        """<ir_version: 13, opset_import: ["" : 28]>
        g (float[4] x, float[4] b) => (float[4] y) { y = Mod(x, b) }"""
    )
    data = {
        "x": np.float32([3, -3, np.inf, 3]),
        "b": np.float32([np.inf, np.inf, 2, 0]),
    }
    np.testing.assert_array_equal(run(model, data)[0], [3, np.inf, np.nan, np.nan])


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("y = BitCast<to=6>(x)", r"BitCast 'y' of a value that is computed"),
        ("i = Cast<to=6>(x) s = BitShift<direction=\"LEFT\">(i, i) y = Cast<to=1>(s)",
         "BitShift 's' of signed integers"),
        ("y = CumProd(x, a)", "axis has to be one constant"),
        ("y = Reluu(x)", "opset 28 has no such operator"),
    ],
)  # fmt: skip
def test_what_opset_21_cannot_say_is_one_line(refused, body, match):
    refused(
        f"""<ir_version: 13, opset_import: ["" : 28]>
        g (float[2] x, int64 a) => (float[2] y) {{ {body} }}""",
        match,
    )


def test_operators_before_opset_28_keep_their_meaning(refused):
    refused(
        """<ir_version: 13, opset_import: ["" : 27]>
        g (float[1,2,4,6] x) => (float[1,8,2,3] y) {
            y = SpaceToDepth<blocksize=2, mode="CRD">(x)
        }""",
        "mode",
    )


def test_a_newer_ir_version_is_one_line(refused):
    refused(
        f"""<ir_version: {onnx.IR_VERSION + 1}, opset_import: ["" : 21]>
        g (float[2] x) => (float[2] y) {{ y = Relu(x) }}""",
        f"IR version {onnx.IR_VERSION + 1} of ONNX; versions up to {onnx.IR_VERSION} are",
    )
