"""Rounding disappears between float layers, and stays where integers are written or read."""

import numpy as np
import pytest
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.passes.join_float_layers import JoinFloatLayers

CHAIN = """g (float[1,4] x) => (float[1,4] y) {
    [q0] a = QuantizeLinear(x, s, z) [d0] b = DequantizeLinear(a, s, z)
    [relu] c = Relu(b)
    [q1] e = QuantizeLinear(c, s, z) [d1] f = DequantizeLinear(e, s, z)
    [move] g = Transpose(f)
    [neg] h = Neg(g)
    [back] i = Transpose(h)
    [q2] j = QuantizeLinear(i, s, z) [d2] y = DequantizeLinear(j, s, z)
}"""


@pytest.fixture
def chain(build):
    return build(CHAIN, s=np.array(0.1, np.float32), z=np.array(128, np.uint8))


def ops(model):
    return [node.op_type for node in model.graph]


def joined(model, integer_nodes):
    result = JoinFloatLayers(integer_nodes)(model)
    RemoveUnusedNodesPass()(model)
    return result.modified


def test_all_in_float_leaves_no_rounding_and_the_output_keeps_its_name(chain, run):
    assert joined(chain, set())
    assert ops(chain) == ["Relu", "Transpose", "Neg", "Transpose"]
    x = np.array([[-1.0, 0.333, 2.0, 0.01]], np.float32)
    assert list(run(chain, x=x)) == ["y"]
    np.testing.assert_array_equal(run(chain, x=x)["y"], -np.maximum(x, 0))


@pytest.mark.parametrize(
    ("in_integers", "expected"),
    [
        ({"relu", "neg"}, 3),
        ({"relu"}, 2),  # what it reads, and what it writes: the output is float
        ({"neg"}, 2),
    ],
)
def test_integers_keep_their_quantizers(chain, in_integers, expected):
    joined(chain, in_integers)
    assert ops(chain).count("QuantizeLinear") == expected
    assert ops(chain).count("DequantizeLinear") == expected


def test_a_reader_in_integers_does_not_round_what_float_reads(build, run):
    model = build(
        """g (float[1,4] x) => (float[1,4] y, float[1,4] w) {
        [sqrt] c = Sqrt(x)
        [q] e = QuantizeLinear(c, s, z) [d] f = DequantizeLinear(e, s, z)
        [neg] y = Neg(f) [abs] w = Abs(f)
        }""",
        s=np.array(0.1, np.float32),
        z=np.array(0, np.uint8),
    )
    assert joined(model, {"neg"})
    x = np.array([[0.5, 1.0, 2.0, 3.0]], np.float32)
    found = run(model, x=x)
    np.testing.assert_array_equal(found["w"], np.sqrt(x))
    np.testing.assert_allclose(found["y"], -np.round(np.sqrt(x) / 0.1) * 0.1, rtol=1e-6)


def test_other_parameters_are_another_rounding(build):
    model = build(
        """g (float[1,4] x) => (float[1,4] y) {
        [q] e = QuantizeLinear(x, s, z) [d] f = DequantizeLinear(e, t, z) [neg] y = Neg(f)
        }""",
        s=np.array(0.1, np.float32),
        t=np.array(0.2, np.float32),
        z=np.array(0, np.uint8),
    )
    assert not joined(model, set())
    assert ops(model) == ["QuantizeLinear", "DequantizeLinear", "Neg"]
